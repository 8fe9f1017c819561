// How far behind its clients a loop is: how long bytes may have lain in a socket before they were
// read, and how long a round takes. From it follows which call would be answered too late, and is
// better refused at once. Owns the estimate; refuses nothing.
#pragma once
#include <algorithm>
#include <cstdint>

namespace atp {

class Delay {
 public:
  // Before and after the wait for events. Whoever slept had nothing to do: what it finds when it
  // wakes has only just come. And what it did not find came later, or waits for its own client to
  // take answers.
  void begin_wait(std::int64_t now) {
    missed_at_ = found_at_;
    waits_since_ = found_at_ = now;
    round_began_ = 0;  // one that went over to another thread is nobody's
  }
  void end_wait(std::int64_t now) {
    if (waits_since_ == 0) return;
    if (now - waits_since_ > kAsleep) {
      idle_at_ = now;
      round_ = 0;
    }
    waits_since_ = 0;
    round_began_ = found_at_ = now;
  }
  void end_round(std::int64_t now) {
    if (waits_since_ != 0) found_at_ = now;  // and nothing was found
    waits_since_ = 0;
    if (round_began_ == 0) return;
    const std::int64_t took = now - round_began_;
    round_ = round_ ? round_ + (took - round_) / 4 : took;
    round_began_ = 0;
  }

  // Whether a call that was read just now, from a connection that was read before at `read_before`,
  // would get its answer too late. It may use `left`; without a deadline of its own, `most`.
  bool is_late(std::int64_t read_before, std::int64_t now, std::int64_t left,
               std::int64_t most) const {
    // It has waited for no longer than this, and on average for half of it.
    const std::int64_t waited = now - std::max({read_before, idle_at_, missed_at_});
    return waited / 2 + round_ > std::min(left, most);
  }

 private:
  static constexpr std::int64_t kAsleep = 30'000;  // ns; a wait that finds something takes less

  std::int64_t waits_since_ = 0;  // 0: it has ended
  std::int64_t found_at_ = 0;     // when it ended, or at least began
  std::int64_t missed_at_ = 0;    // the same of the one before it
  std::int64_t round_began_ = 0;
  std::int64_t idle_at_ = 0;
  std::int64_t round_ = 0;  // smoothed, over rounds without sleep between them
};

}  // namespace atp
