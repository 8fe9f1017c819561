// One pass over a file of a history: what was asked, how it ended and how long it took, as counts
// in steps of time. Owns reading the entries (proto/atp/v1/history.proto) and the messages in them
// as far as the counts need; judges no answer. Bad bytes end the pass, and are told.
#pragma once
#include <protozero/pbf_message.hpp>
#include <tsl/robin_map.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "buckets.h"

namespace atp::report {

using Message = protozero::pbf_reader;

enum Method : uint8_t { RESERVE = 1, COMMIT, RELEASE, EXTEND, GET_RESERVATION, GET_AVAILABILITY,
                        EXECUTE, SET_STOCK, ADJUST_STOCK, BATCH_SET_STOCK, SET_CAP, REMOVE_CAP };
constexpr int KINDS = 13;
// How a command ended: below 16 its outcome's number (1 where there is none to tell), then 16 and
// the gRPC status, at last those that were never answered.
constexpr int STATUS_FROM = 16, UNANSWERED = 33, CODES = 34;
constexpr int FINE_BITS = 7, COARSE_BITS = 5;
constexpr size_t SKUS_MOST = 1 << 20, CAPS_MOST = 1 << 12;

struct Hash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
struct Equal {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const { return a == b; }
};
template <typename Value>
using ByName = tsl::robin_map<std::string, Value, Hash, Equal>;

inline std::string_view text_of(Message& from) {
  const protozero::data_view view = from.get_view();
  return {view.data(), view.size()};
}

// The next entry of the file from `at` on; empty at the end and where the file is torn.
inline std::string_view next_entry(std::string_view file, size_t& at) {
  const char* place = file.data() + at;
  const char* const end = file.data() + file.size();
  uint64_t size = 0;
  for (int shift = 0; place < end && shift < 64; shift += 7) {
    const auto byte = static_cast<uint8_t>(*place++);
    size |= uint64_t{byte & 0x7fu} << shift;
    if (byte >= 0x80) continue;
    if (size == 0) throw protozero::invalid_length_exception{};
    if (size > static_cast<uint64_t>(end - place)) return {};
    at = static_cast<size_t>(place - file.data()) + size;
    return {place, size};
  }
  return {};
}

struct OpenCall {
  int64_t from_ns;  // due or sent
  uint8_t method;
  std::vector<uint8_t> commands;  // of a batch
};

class HistoryScan {
 public:
  HistoryScan(int64_t begin_ns, int64_t step_ns, int steps)
      : begin_ns(begin_ns), step_ns(step_ns), steps(steps),
        offered(KINDS * static_cast<size_t>(steps)),
        ended(static_cast<size_t>(KINDS) * CODES * steps),
        coarse(static_cast<size_t>(steps) * buckets_of(COARSE_BITS)),
        fine(static_cast<size_t>(KINDS) * buckets_of(FINE_BITS)), longest(KINDS),
        statuses(CODES) {}

  // Reads a whole file. False: `wrong` says what is wrong with it, `at` where.
  bool feed(const char* data, size_t size) {
    open.clear();
    at = 0;
    const std::string_view file{data, size};
    try {
      for (size_t next = 0;;) {
        const std::string_view entry = next_entry(file, next);
        if (entry.empty()) break;
        take(entry);
        at = next;
      }
    } catch (const protozero::exception& error) {
      wrong = error.what();
      return false;
    }
    torn_bytes += static_cast<int64_t>(size - at);
    for (const auto& [number, call] : open) {
      ++statuses[UNANSWERED];
      end_all(call, UNANSWERED, call.from_ns);
    }
    return true;
  }

  const int64_t begin_ns, step_ns;
  const int steps;
  std::vector<int64_t> offered, ended;  // [kind][step], [kind][code][step]
  std::vector<uint32_t> coarse;         // [step][bucket], of calls that change something
  std::vector<int64_t> fine, longest;   // [kind][bucket], [kind]
  std::vector<int64_t> statuses;        // of calls
  ByName<std::vector<int64_t>> caps;    // refusals in each step
  ByName<int64_t> asked;                // units asked for, by SKU
  std::vector<std::string> others;      // entries that are about no call, as they are
  int64_t repeated = 0, units_asked = 0, torn_bytes = 0;
  std::string wrong;
  size_t at = 0;

 private:
  void take(std::string_view bytes) {
    Message entry{bytes.data(), bytes.size()};
    while (entry.next()) {
      switch (entry.tag()) {
        case 2: take_sent(entry.get_message()); break;
        case 3: take_ended(entry.get_message()); break;
        default: others.emplace_back(bytes); return;
      }
    }
  }

  void take_sent(Message sent) {
    int64_t number = 0, sent_ns = 0, due_ns = 0;
    OpenCall call{};
    std::string_view request;
    while (sent.next()) {
      switch (sent.tag()) {
        case 1: number = sent.get_int64(); break;
        case 2: sent_ns = sent.get_int64(); break;
        case 3: call.method = static_cast<uint8_t>(sent.get_enum()); break;
        case 4: request = text_of(sent); break;
        case 5: due_ns = sent.get_int64(); break;
        default: sent.skip();
      }
    }
    if (call.method == 0 || call.method >= KINDS)
      throw protozero::unknown_pbf_wire_type_exception{};
    call.from_ns = due_ns ? due_ns : sent_ns;
    const int step = step_at(call.from_ns);
    if (call.method == EXECUTE) {
      Message batch{request.data(), request.size()};
      while (batch.next(1)) {
        Message command = batch.get_message();
        if (!command.next()) continue;
        const auto kind = static_cast<uint8_t>(command.tag());
        call.commands.push_back(kind <= EXTEND ? kind : uint8_t{EXECUTE});
        ++offered[call.commands.back() * steps + step];
        if (kind == RESERVE) ask(command.get_message());
      }
    } else {
      ++offered[call.method * steps + step];
      if (call.method == RESERVE) ask(Message{request.data(), request.size()});
    }
    open[number] = std::move(call);
  }

  // What a reserve asks for, by SKU.
  void ask(Message reserve) {
    while (reserve.next(2)) {
      Message line = reserve.get_message();
      std::string_view sku;
      int64_t quantity = 0;
      while (line.next()) {
        if (line.tag() == 1) sku = text_of(line);
        else if (line.tag() == 2) quantity = line.get_int64();
        else line.skip();
      }
      units_asked += quantity;
      const auto found = asked.find(sku);
      if (found != asked.end()) found.value() += quantity;
      else if (asked.size() < SKUS_MOST) asked.emplace(sku, quantity);
    }
  }

  void take_ended(Message end) {
    int64_t number = 0, time_ns = 0;
    int status = 0;
    std::string_view response;
    while (end.next()) {
      switch (end.tag()) {
        case 1: number = end.get_int64(); break;
        case 2: time_ns = end.get_int64(); break;
        case 3: status = end.get_int32(); break;
        case 4: response = text_of(end); break;
        default: end.skip();
      }
    }
    const auto found = open.find(number);
    if (found == open.end()) return;  // the audit names it
    const OpenCall call = std::move(found.value());
    open.erase(found);
    status = status < 0 || status > 16 ? 2 : status;
    ++statuses[status];
    if (status) return end_all(call, STATUS_FROM + status, time_ns);
    count_latency(call, time_ns);
    Message answer{response.data(), response.size()};
    if (call.method == EXECUTE) return end_batch(call, answer, time_ns);
    count(call.method, outcome_of(call.method, answer, step_at(time_ns)), time_ns);
  }

  void end_batch(const OpenCall& call, Message answer, int64_t time_ns) {
    size_t number = 0;
    for (; answer.next(1) && number < call.commands.size(); ++number) {
      Message result = answer.get_message();
      if (!result.next()) continue;
      const uint32_t kind = result.tag();
      Message told = result.get_message();
      if (kind <= EXTEND) {
        count(static_cast<int>(kind), outcome_of(kind, told, step_at(time_ns)), time_ns);
        continue;
      }
      int code = 2;
      if (told.next(1)) code = told.get_int32();
      count(call.commands[number], STATUS_FROM + (code < 0 || code > 16 ? 2 : code), time_ns);
    }
    for (; number < call.commands.size(); ++number)
      count(call.commands[number], UNANSWERED, time_ns);
  }

  // The outcome's number, and what else an answer tells: repeats and caps.
  int outcome_of(uint32_t method, Message answer, int step) {
    if (method > EXTEND && method != SET_STOCK && method != ADJUST_STOCK) return 1;
    int outcome = 0;
    while (answer.next()) {
      if (answer.tag() == 1) outcome = answer.get_enum();
      else if (answer.tag() == 4) repeated += answer.get_bool();
      else if (answer.tag() == 6 && method == RESERVE) count_cap(answer.get_message(), step);
      else answer.skip();
    }
    return outcome < 0 || outcome >= STATUS_FROM ? 0 : outcome;
  }

  void count_cap(Message refusal, int step) {
    if (!refusal.next(1)) return;
    const std::string_view cap = text_of(refusal);
    auto found = caps.find(cap);
    if (found == caps.end()) {
      if (caps.size() >= CAPS_MOST) return;
      found = caps.emplace(cap, std::vector<int64_t>(steps)).first;
    }
    ++found.value()[step];
  }

  void count_latency(const OpenCall& call, int64_t time_ns) {
    const int64_t took_ns = time_ns - call.from_ns;
    ++fine[call.method * buckets_of(FINE_BITS) + bucket_of(took_ns, FINE_BITS)];
    if (took_ns > longest[call.method]) longest[call.method] = took_ns;
    if (call.method > EXTEND && call.method != EXECUTE) return;
    const size_t step = step_at(call.from_ns);
    ++coarse[step * buckets_of(COARSE_BITS) + bucket_of(took_ns, COARSE_BITS)];
  }

  void end_all(const OpenCall& call, int code, int64_t time_ns) {
    if (call.method != EXECUTE) return count(call.method, code, time_ns);
    for (const uint8_t kind : call.commands) count(kind, code, time_ns);
  }

  void count(int kind, int code, int64_t time_ns) {
    ++ended[(static_cast<size_t>(kind) * CODES + code) * steps + step_at(time_ns)];
  }

  int step_at(int64_t time_ns) const {
    if (time_ns <= begin_ns) return 0;
    const int64_t step = (time_ns - begin_ns) / step_ns;
    return step >= steps ? steps - 1 : static_cast<int>(step);
  }

  tsl::robin_map<int64_t, OpenCall> open;
};

// From when to when a file goes, by its calls to the data plane: the set-up before a sale is not
// part of it. False: `wrong` says what is wrong with the file.
struct Span {
  int64_t first_ns = INT64_MAX, last_ns = INT64_MIN;
  std::string wrong;

  bool feed(const char* data, size_t size) {
    try {
      size_t at = 0;
      const std::string_view file{data, size};
      for (std::string_view bytes; !(bytes = next_entry(file, at)).empty();) {
        Message entry{bytes.data(), bytes.size()};
        if (!entry.next() || (entry.tag() != 2 && entry.tag() != 3)) continue;
        const bool is_sent = entry.tag() == 2;
        take(entry.get_message(), is_sent);
      }
    } catch (const protozero::exception& error) {
      wrong = error.what();
      return false;
    }
    return true;
  }

 private:
  void take(Message call, bool is_sent) {
    int64_t time_ns = 0;
    int method = 0;
    while (call.next()) {
      if (call.tag() == 2) time_ns = call.get_int64();
      else if (is_sent && call.tag() == 3) method = call.get_enum();
      else call.skip();
    }
    if (is_sent && method <= EXECUTE) first_ns = std::min(first_ns, time_ns);
    last_ns = std::max(last_ns, time_ns);
  }
};

}  // namespace atp::report
