// How long syncs took: the last few thousand, the longest of all, and counts in fixed buckets. Owns
// the percentiles; guarded by its user.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "time_counts.h"

namespace atp {

struct SyncFigures {
  std::int64_t count, p50, p99, most;  // ns, but the first
  std::array<std::int64_t, kTimePlaces> counts;
  std::int64_t sum;
};

class SyncTimes {
 public:
  SyncTimes() { last_.reserve(kKept); }

  void add(std::int64_t took) {
    most_ = std::max(most_, took);
    if (last_.size() < kKept) {
      last_.push_back(took);
    } else {
      last_[static_cast<std::size_t>(count_) % kKept] = took;
    }
    ++count_;
    ++counts_[time_place(took)];
    sum_ += took;
  }

  // Sorts, so it takes a moment: for a copy.
  SyncFigures figures() {
    if (last_.empty()) return SyncFigures{};
    std::sort(last_.begin(), last_.end());
    const auto at = [&](std::size_t hundredths) {
      return last_[(last_.size() - 1) * hundredths / 100];
    };
    return SyncFigures{count_, at(50), at(99), most_, counts_, sum_};
  }

 private:
  static constexpr std::size_t kKept = 4096;

  std::vector<std::int64_t> last_;
  std::int64_t count_ = 0;
  std::int64_t most_ = 0;
  std::array<std::int64_t, kTimePlaces> counts_{};
  std::int64_t sum_ = 0;
};

}  // namespace atp
