// Whether what is run again and again leaves more and more allocated. Owns how often it is run and
// what is too little to tell; runs nothing.
//
// What is kept for later use grows in the first turns, and in steps now and then; what a turn keeps
// in place of another thing is larger or smaller than that, by some hundred bytes. What leaks grows
// on and on.
#pragma once
#include <algorithm>
#include <cstdint>

namespace atp::fuzz {

class LeakHunt {
 public:
  // Before each turn, with what is allocated; false: enough was seen.
  bool goes_on(std::int64_t allocated) {
    if (turn_ >= kWarmTurns && (turn_ - kWarmTurns) % kTurns == 0) {
      if (turn_ > kWarmTurns) {
        least_ = std::min(least_, allocated - before_);
        if (least_ <= kSwing || turn_ == kWarmTurns + kWindows * kTurns) return false;
      }
      before_ = allocated;
    }
    ++turn_;
    return true;
  }

  // Bytes that each turn left, at least; 0 when nothing leaks.
  std::int64_t each_turn() const { return least_ <= kSwing ? 0 : least_ / kTurns; }

 private:
  static constexpr int kWarmTurns = 8;
  static constexpr int kTurns = 16;   // of a window, at whose ends it is looked
  static constexpr int kWindows = 3;  // all of which must have grown
  static constexpr std::int64_t kSwing = 1024;

  int turn_ = 0;
  std::int64_t before_ = 0;
  std::int64_t least_ = INT64_MAX;
};

}  // namespace atp::fuzz
