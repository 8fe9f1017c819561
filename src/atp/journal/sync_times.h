// How long syncs took: the last few thousand, and the longest of all. Owns the percentiles; guarded
// by its user.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

namespace atp {

struct SyncFigures {
  std::int64_t count, p50, p99, most;  // ns, but the first
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
  }

  // Sorts, so it takes a moment: for a copy.
  SyncFigures figures() {
    if (last_.empty()) return SyncFigures{};
    std::sort(last_.begin(), last_.end());
    const auto at = [&](std::size_t hundredths) {
      return last_[(last_.size() - 1) * hundredths / 100];
    };
    return SyncFigures{count_, at(50), at(99), most_};
  }

 private:
  static constexpr std::size_t kKept = 4096;

  std::vector<std::int64_t> last_;
  std::int64_t count_ = 0;
  std::int64_t most_ = 0;
};

}  // namespace atp
