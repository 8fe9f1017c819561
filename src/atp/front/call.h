// One call: a stream of HTTP/2, what has come of its message, its answer, and where it is on its
// way (in hand, in line to be judged, parked until its answer is durable, answered). Owns its
// memory, which stays for the next call; decides nothing.
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "../engine/state.h"
#include "answer.h"
#include "framing.h"
#include "headers.h"
#include "latency.h"

namespace atp {

struct Connection;

constexpr std::size_t kMemoryKept = 16384;  // of each text of a call that waits for its next use
constexpr std::size_t kBatchesMost = 4;     // judged, of one stream, and not yet sent

// Judging's methods come first, in its order.
enum CallMethod : std::uint8_t {
  kExecute = 6,
  kHealthCheck = 7,
  kHealthWatch = 8,
  kNoMethod = 9,
  kCallMethods = 10,
};

// A call of many messages: those that have come and those that go.
struct Flow {
  std::string inbox;         // bytes as they came, prefixes included
  std::size_t inbox_at = 0;  // from here on not judged
  std::size_t untaken = 0;   // of its bytes, those whose room the client has not been given back
  std::deque<Answer> outbox;  // judged and not yet sent, in order
  std::size_t sendable = 0;   // of them, those that need not wait any more
  std::size_t sent = 0;       // bytes of the first
  std::int64_t heard = 0;     // when bytes of it were last read
  bool opened = false;        // the response has begun
  bool ending = false;        // nothing is taken any more; `Call::answer` is the end
};

struct Call {
  Connection* connection = nullptr;  // none: its stream is gone
  Call* previous = nullptr;          // of the connection's, or of those that are free
  Call* next = nullptr;
  std::int32_t stream = 0;
  std::uint8_t method = kNoMethod;
  std::uint8_t parked = 0;  // answers that wait for their change to be durable
  bool is_post = false;
  bool is_grpc = false;        // by its content type
  bool is_timeout_bad = false;
  bool is_head_too_large = false;
  const Refusal* refusal = nullptr;  // what it is answered with, if that was written before
  std::uint16_t http_error = 0;  // no gRPC call
  bool is_put_off = false;       // refused, and its client is told so when it has sent its last
  std::uint32_t unwanted = 0;    // bytes that came since
  bool has_head = false;       // the whole header block has come
  bool has_all = false;        // the client has sent its last
  bool has_message = false;    // a unary call's message, in `view`
  bool is_queued = false;      // in line to be judged
  bool is_open = false;        // not answered
  bool is_answered = false;    // the last of its answer has been handed to HTTP/2
  bool is_counted = false;  // the bytes of its answer are held
  std::int64_t began = 0;          // ns of the loop's clock, as all; when it was first heard of
  std::int64_t deadline = kNever;
  std::int64_t whole_by = kNever;  // by then its head, or its message, must have come
  const char* view = nullptr;  // the message, while the bytes that were read lie still
  std::size_t view_size = 0;
  std::string message;  // its bytes so far, prefix included, where it came in pieces
  Answer answer;
  std::size_t sent = 0;       // bytes of the answer, prefix included
  std::int64_t held = 0;      // bytes that count against the bound of all calls
  std::unique_ptr<Flow> flow;

  // For its next use.
  void reset() {
    connection = nullptr;
    previous = next = nullptr;
    method = kNoMethod;
    is_post = is_grpc = is_timeout_bad = is_head_too_large = has_head = has_all = false;
    has_message = is_queued = is_open = is_answered = is_counted = false;
    parked = 0;
    refusal = nullptr;
    http_error = 0;
    is_put_off = false;
    unwanted = 0;
    began = 0;
    deadline = whole_by = kNever;
    view = nullptr;
    sent = 0;
    held = 0;
    flow.reset();
    forget(message);
    forget(answer.message);
    forget(answer.text);
    forget(answer.details);
    answer.code = 0;
    answer.reveals = 0;
    answer.began = 0;
  }

  void forget_message() { forget(message); }

  std::size_t unsent() const { return kPrefix + answer.message.size() - sent; }
  std::size_t copy_answer(std::uint8_t* to, std::size_t room) {
    const std::size_t part = copy_framed(answer.message.data(), answer.message.size(), sent,
                                         reinterpret_cast<char*>(to), room);
    sent += part;
    return part;
  }
  // Copies of the flow's answers what may go; those that are gone leave room for others, and
  // their times are noted.
  std::size_t copy_flow(std::uint8_t* to, std::size_t room, Latencies* latencies,
                        std::uint32_t* last, std::int64_t now) {
    std::size_t copied = 0;
    while (flow->sendable && copied < room) {
      const std::string& first = flow->outbox.front().message;
      const std::size_t part = copy_framed(first.data(), first.size(), flow->sent,
                                           reinterpret_cast<char*>(to) + copied, room - copied);
      copied += part;
      flow->sent += part;
      if (flow->sent < kPrefix + first.size()) break;
      flow->sent = 0;
      const std::int64_t batch_began = flow->outbox.front().began;
      if (batch_began) latencies->note(last, kExecute, batch_began, now);
      flow->outbox.pop_front();
      --flow->sendable;
    }
    return copied;
  }
  // The flow's first answer that waits may go; returns its bytes.
  std::size_t let_one_go() {
    return kPrefix + flow->outbox[flow->sendable++].message.size();
  }
  // Bytes of the flow's answers that may go and have not.
  std::size_t flow_left() const {
    std::size_t left = 0;
    for (std::size_t i = 0; i < flow->sendable; ++i) {
      left += kPrefix + flow->outbox[i].message.size();
    }
    return left - flow->sent;
  }

 private:
  static void forget(std::string& text) {
    if (text.capacity() > kMemoryKept) std::string().swap(text);
    text.clear();
  }
};

inline void open_flow(Call* call) { call->flow.reset(new Flow); }

// Calls that are free, of one thread.
class Calls {
 public:
  Calls() = default;
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;
  ~Calls() {
    while (free_) delete take();
  }
  Call* take() {
    if (!free_) return new Call;
    Call* const call = free_;
    free_ = call->next;
    --count_;
    call->next = nullptr;
    return call;
  }
  void give(Call* call) {
    if (count_ >= kFreeMost) {
      delete call;
      return;
    }
    call->reset();
    call->next = free_;
    free_ = call;
    ++count_;
  }

 private:
  static constexpr std::size_t kFreeMost = 4096;
  Call* free_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace atp
