// What all connections of a load share: what is asked, in which order, and the counts. Owns the one
// stream of request numbers and draws, so that no id is used twice; sends nothing itself.
#pragma once
#include <time.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "answers.h"
#include "history.h"
#include "requests.h"

namespace atp::load {

inline std::int64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

// What each call is: one reserve, one availability, or a batch of so many reserves; and whether
// each hold that is granted is then committed.
struct Pattern {
  bool is_availability = false;
  bool commits = false;
  std::int64_t batch = 0;  // 0: unary calls
  std::size_t in_flight = 1;
  std::int64_t deadline_ns = 0;  // 0: none
};

struct Traffic {
  Traffic(const Names& names, const Pattern& pattern, std::vector<Draw> draws,
          std::string authority)
      : pattern(pattern),
        requests(names),
        authority(std::move(authority)),
        draws_(std::move(draws)) {}

  const Draw& draw() {
    const Draw& drawn = draws_[next_draw_];
    if (++next_draw_ == draws_.size()) next_draw_ = 0;
    return drawn;
  }
  std::uint64_t number() { return next_number_++; }

  // Counts the end of a call. `due`: from when on its time counts.
  void finish(int status, std::string_view message, std::int64_t due, std::int64_t now) {
    ++tally.answered;
    tally.last_answer_ns = now;
    const bool is_known = status >= 0 && status < static_cast<int>(kNoStatus);
    ++tally.statuses[is_known ? static_cast<std::size_t>(status) : kNoStatus];
    if (status == 0) {
      const std::int64_t taken = now - due;
      tally.latencies.add(taken);
      ++(pattern.deadline_ns == 0 || taken <= pattern.deadline_ns ? tally.good : tally.late);
    } else if (tally.first_error.empty()) {
      tally.first_error = message.empty() ? "no reason was told" : message;
    }
  }

  const Pattern pattern;
  const Requests requests;
  const std::string authority;
  Tally tally;
  std::unique_ptr<HistoryWriter> history;  // nullptr: nothing is recorded

 private:
  std::vector<Draw> draws_;
  std::size_t next_draw_ = 0;
  std::uint64_t next_number_ = 0;
};

}  // namespace atp::load
