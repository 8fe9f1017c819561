// One connection that asks: unary calls on a stream each, or batches on one Execute stream. Owns
// what is under way on it; whether and when the next call is due is the run's to say.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "batch_stream.h"
#include "call_slots.h"
#include "refusals.h"
#include "wire.h"

namespace atp::load {

class Connection final : public Wire {
 public:
  Connection(int socket, Traffic* traffic)
      : Wire(socket, traffic), reader_(&traffic->tally), slots_(traffic->pattern.in_flight) {}

  // Calls or batches sent and not answered.
  std::size_t open() const { return slots_.open() + stream_.open(); }

  // Whether what is waited for has not come, nor anything else, for so long.
  bool is_silent(std::int64_t now, std::int64_t longest) const {
    return (open() > 0 || !is_ready()) && now - moved_ > longest;
  }

  // Whether another call may begin.
  bool has_room() {
    const Pattern& pattern = traffic()->pattern;
    if (!is_ready() || has_ended() || is_leaving() || is_blocked()) return false;
    if (pattern.batch > 0) return stream_.open() < pattern.in_flight && !stream_ended_;
    return slots_.open() < std::min<std::size_t>(pattern.in_flight, streams_max_) &&
           send_window_ >= static_cast<std::int64_t>(traffic()->requests.bytes_most()) &&
           !slots_.used_up();
  }

  // Begins what is owed longest, or a batch of all that is, up to as many as a batch has.
  void ask_owed(std::int64_t now) {
    if (traffic()->pattern.batch == 0) return send_call(traffic()->errands.take(), now);
    Batch batch;
    batch.due = now;
    add_owed(&batch);
    send_batch(std::move(batch), now);
  }

  // Begins what a fresh shopper asks, or a batch of many, with what is owed; its time counts from
  // `due`, and what it waited is off its deadline.
  void ask(std::int64_t due, std::int64_t now) {
    const std::int64_t count = traffic()->pattern.batch;
    if (count == 0) return send_call(traffic()->fresh(due), now);
    Batch batch;
    batch.due = due;
    batch.errands.reserve(static_cast<std::size_t>(count));
    add_owed(&batch);
    for (std::int64_t left = count; left > 0; --left) add(&batch, traffic()->fresh(due));
    send_batch(std::move(batch), now);
  }

  // No more batches: the server is to end the stream. Nothing to do for unary calls.
  void close_stream() {
    if (stream_id_ == 0 || stream_.half_closed || stream_.waits()) return;
    stream_.half_closed = true;
    append_frame(&out_, kData, kEndStream, stream_id_, {});
  }
  bool is_closed() const { return stream_id_ == 0 || stream_ended_; }

  // True the first time after its end. What was under way here got no answer: it is given back.
  bool drop(std::int64_t now) {
    if (!has_ended() || std::exchange(is_dropped_, true)) return false;
    give_back(now);
    return true;
  }

 protected:
  bool take_data(const FrameHead& head, std::string_view payload) override {
    const bool is_last = head.flags & kEndStream;
    if (head.stream == stream_id_ && stream_id_ != 0) return take_batch_data(head, payload);
    CallSlot* slot = slots_.find(head.stream);
    if (slot == nullptr) return true;
    if (slot->part.empty() && is_whole(payload)) {
      take_message(slot, payload.substr(kPrefixBytes));
    } else if (!payload.empty()) {
      slot->part.append(payload);
      if (is_whole(slot->part)) {
        const std::string whole = std::exchange(slot->part, {});
        take_message(slot, std::string_view(whole).substr(kPrefixBytes));
      }
    }
    if (is_last) finish(slot, {});  // without trailers: no status
    return true;
  }

  bool take_heads(std::uint32_t stream, const AnswerHeads& heads, bool is_last) override {
    if (stream == stream_id_ && stream_id_ != 0) {
      if (is_last) end_batches(heads.grpc_status, heads.grpc_message);
      return true;
    }
    CallSlot* slot = slots_.find(stream);
    if (slot == nullptr) return true;
    if (heads.http_status != 0) slot->http_status = heads.http_status;
    if (heads.grpc_status >= 0) slot->status = heads.grpc_status;
    if (is_last) finish(slot, heads.grpc_message, heads.details);
    return true;
  }

  bool take_reset(std::uint32_t stream, std::uint32_t code) override {
    const std::string reason = "the stream was reset: HTTP/2 error " + std::to_string(code);
    if (stream == stream_id_ && stream_id_ != 0) {
      if (!stream_ended_) end_batches(status_of_reset(code), reason);
    } else if (CallSlot* slot = slots_.find(stream)) {
      slot->status = status_of_reset(code);
      finish(slot, reason);
    }
    return true;
  }

  bool check_window() override {
    if (stream_window_ >= static_cast<std::int64_t>(traffic()->requests.bytes_most())) return true;
    return traffic()->pattern.batch > 0 || end("the server's window has no room for a request");
  }

  void widen(std::uint32_t stream, std::int64_t more) override {
    if (stream == stream_id_ && stream_id_ != 0) stream_.window += more;
    if (stream_.waits()) stream_.pump(&out_, stream_id_, &send_window_);
  }
  void widen_all(std::int64_t more) override { stream_.window += more; }

 private:
  void give_back(std::int64_t now) {
    slots_.for_each([this, now](CallSlot* slot) {
      traffic()->lose(std::move(slot->errand), now);
      slots_.give(slot);
    });
    while (stream_.open() > 0) {
      for (Errand& errand : stream_.take_oldest().errands) traffic()->lose(std::move(errand), now);
    }
  }

  static bool is_whole(std::string_view part) {
    return part.size() >= kPrefixBytes && read_u32(part.data() + 1) == part.size() - kPrefixBytes;
  }

  // The fields of a call's header block; from the second call on they are one byte each.
  std::string_view heads_of(std::size_t method) {
    if (asked_before_[method]) return blocks_[method];
    auto write = [&](std::string* block) {
      table_.begin(block);
      table_.append(block, ":method", "POST");
      table_.append(block, ":scheme", traffic()->tls ? "https" : "http");
      table_.append(block, ":path", kPaths[method]);
      table_.append(block, ":authority", traffic()->authority);
      table_.append(block, "content-type", "application/grpc");
      table_.append(block, "te", "trailers");
      table_.append(block, "user-agent", "atp-load-test");
    };
    first_block_.clear();
    write(&first_block_);
    asked_before_[method] = true;
    for (std::size_t other = 0; other < kPaths.size(); ++other) {
      if (!asked_before_[other]) continue;
      method = other;  // places in the table have moved
      blocks_[other].clear();
      write(&blocks_[other]);
    }
    return first_block_;
  }

  void send_call(Errand errand, std::int64_t now) {
    const std::int64_t due = errand.due;
    const Kind kind = errand.kind;
    traffic()->requests.add(&message_, errand);
    if (open() == 0) moved_ = now;
    CallSlot* slot = slots_.take(std::move(errand));
    slot->number = record_sent(method_of(kind), due, now);
    std::string_view heads = heads_of(static_cast<std::size_t>(kind));
    if (const std::int64_t deadline_ns = traffic()->pattern.deadline_ns) {
      timed_block_.assign(heads);
      append_timeout(&timed_block_, deadline_ns - (now - due));
      heads = timed_block_;
    }
    append_frame(&out_, kHeaders, kEndHeaders, slot->stream, heads);
    append_message(slot->stream);
    send_window_ -= static_cast<std::int64_t>(kPrefixBytes + message_.size());
    message_.clear();
    ++traffic()->tally.asked;
  }

  // The message being written as the whole of a stream's data.
  void append_message(std::uint32_t stream) {
    const std::size_t size = kPrefixBytes + message_.size();
    char head[kHeadBytes + kPrefixBytes];
    const bool is_one = size <= kFrameBytesMax;
    write_head(head, is_one ? size : kFrameBytesMax, kData, is_one ? kEndStream : 0, stream);
    head[kHeadBytes] = 0;
    write_u32(head + kHeadBytes + 1, static_cast<std::uint32_t>(message_.size()));
    out_.append(head, sizeof head);
    std::string_view left(message_);
    const std::size_t first = std::min(left.size(), kFrameBytesMax - kPrefixBytes);
    out_.append(left.substr(0, first));
    for (left.remove_prefix(first); !left.empty();) {
      const std::size_t next = std::min(left.size(), kFrameBytesMax);
      const std::uint8_t flags = next == left.size() ? kEndStream : 0;
      append_frame(&out_, kData, flags, stream, left.substr(0, next));
      left.remove_prefix(next);
    }
  }

  void add(Batch* batch, Errand errand) {
    traffic()->requests.add_to_batch(&message_, errand, &room_);
    batch->errands.push_back(std::move(errand));
  }
  void add_owed(Batch* batch) {
    const Pattern& pattern = traffic()->pattern;
    const std::int64_t most = std::min(pattern.batch, kBatchMost - pattern.batch);
    for (std::int64_t left = std::max<std::int64_t>(most, 1);
         left > 0 && traffic()->errands.is_owed(); --left) {
      Errand errand = traffic()->errands.take();
      batch->due = std::min(batch->due, errand.since);  // its time is that of who waits longest
      add(batch, std::move(errand));
    }
  }

  void send_batch(Batch batch, std::int64_t now) {
    if (stream_id_ == 0) {
      stream_id_ = 1;
      stream_.window = stream_window_;
      append_frame(&out_, kHeaders, kEndHeaders, stream_id_, heads_of(kExecute));
    }
    traffic()->requests.end_batch(&message_);
    if (open() == 0) moved_ = now;
    batch.number = record_sent(Method::kExecute, batch.due, now);
    stream_.add(std::move(batch), message_);
    message_.clear();
    stream_.pump(&out_, stream_id_, &send_window_);
    ++traffic()->tally.asked;
  }

  void take_message(CallSlot* slot, std::string_view message) {
    if (slot->has_message) ++traffic()->tally.malformed;  // a second one
    slot->has_message = true;
    if (traffic()->history) slot->response.assign(message);
    slot->verdict = reader_.read(slot->errand, message);
    slot->hold.assign(slot->verdict.reservation_id);
  }

  // The message being written goes out now; gives its number in the history.
  std::int64_t record_sent(Method method, std::int64_t due, std::int64_t now) {
    if (!traffic()->history) return 0;
    return traffic()->history->add_sent(method, message_, due == now ? 0 : due, now);
  }
  void record_ended(std::int64_t number, int status, std::string_view response,
                    std::string_view text, std::string_view details) {
    if (!traffic()->history) return;
    const bool is_known = status >= 0 && status < static_cast<int>(kNoStatus);
    traffic()->history->add_ended(number, is_known ? status : kUnknown, response, text,
                                  is_refusal(details), now_);
  }

  void finish(CallSlot* slot, std::string_view text, std::string_view details = {}) {
    std::string http;
    if (slot->status < 0 && slot->http_status != 200 && slot->http_status != 0 && text.empty()) {
      http = "HTTP status " + std::to_string(slot->http_status);
      text = http;
    }
    traffic()->finish(slot->status, text, slot->errand.since, now_);
    record_ended(slot->number, slot->status, slot->response, text, details);
    if (slot->status == 0 && !slot->has_message) ++traffic()->tally.malformed;
    if (slot->verdict.is_judged) {
      slot->verdict.reservation_id = slot->hold;
      traffic()->follow(slot->errand, slot->verdict, now_);
    } else if (slot->status == kUnavailable && traffic()->pattern.tries_max > 0) {
      traffic()->turn_away(std::move(slot->errand), now_);
    }
    slots_.give(slot);
  }

  bool take_batch_data(const FrameHead& head, std::string_view payload) {
    stream_.taken += static_cast<std::int64_t>(head.size);
    if (stream_.taken > BatchStream::kTopUp) {
      append_window_update(&out_, stream_id_, stream_.taken);
      stream_.taken = 0;
    }
    const bool is_right = stream_.take(payload, [this](std::string_view message) {
      if (stream_.open() == 0) {
        ++traffic()->tally.malformed;  // nothing was asked
        return;
      }
      take_results(stream_.take_oldest(), message);
    });
    if (!is_right) return end("the server compressed an answer unasked");
    if (head.flags & kEndStream) end_batches(-1, "the stream ended without a status");
    return true;
  }

  void take_results(const Batch& batch, std::string_view message) {
    reader_.read_batch(message, batch.errands, [this](const Errand& errand, const Verdict& is) {
      if (is.is_judged) {
        traffic()->follow(errand, is, now_);
      } else if (is.error_code == kUnavailable && traffic()->pattern.tries_max > 0) {
        traffic()->turn_away(errand, now_);
      }
    });
    traffic()->finish(0, {}, batch.due, now_);
    record_ended(batch.number, 0, message, {}, {});
  }

  // The stream is over; batches that were not answered get its status. Before it was half closed
  // that is the server's fault, and no other stream is begun.
  void end_batches(int status, std::string_view text) {
    stream_ended_ = true;
    const bool is_early = !stream_.half_closed || stream_.open() > 0;
    const int told = status == 0 ? -1 : status;
    while (stream_.open() > 0) {
      Batch batch = stream_.take_oldest();
      traffic()->finish(told, text, batch.due, now_);
      record_ended(batch.number, told, {}, text, {});
      for (Errand& errand : batch.errands) traffic()->lose(std::move(errand), now_);
    }
    if (is_early || status != 0) {
      end("the stream of batches ended with gRPC status " + std::to_string(status) + " " +
          std::string(text));
    }
  }

  static constexpr int kUnknown = 2;  // gRPC's status for what has none
  static constexpr int kUnavailable = 14;
  static constexpr std::int64_t kBatchMost = 65'536;
  static constexpr std::size_t kExecute = kKinds;
  static constexpr std::array<std::string_view, kKinds + 1> kPaths{
      "/atp.v1.ReservationService/Reserve",         "/atp.v1.ReservationService/Commit",
      "/atp.v1.ReservationService/Release",         "/atp.v1.ReservationService/Extend",
      "/atp.v1.ReservationService/GetAvailability", "/atp.v1.ReservationService/Execute"};

  AnswerReader reader_;
  CallSlots slots_;
  BatchStream stream_;
  std::uint32_t stream_id_ = 0;  // of Execute; 0: not begun
  bool stream_ended_ = false;
  bool is_dropped_ = false;
  std::string message_;  // room for the one being written
  std::string room_;     // and for a command of it
  std::array<bool, kKinds + 1> asked_before_{};
  std::array<std::string, kKinds + 1> blocks_;
  std::string first_block_;
  std::string timed_block_;
};

}  // namespace atp::load
