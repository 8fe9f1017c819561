// How long things took: counts in fixed buckets, from 10 microseconds to 10 seconds, and their sum.
// Owns the bounds. One thread adds at a time and any may read; adding takes no memory and no lock,
// and a reader may see the one and not yet the other half of an addition.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace atp {

// Nanoseconds; a time belongs to the first bound that it does not exceed, or to the place after
// the last.
constexpr std::array<std::int64_t, 19> kTimeBounds = {
    10'000,        20'000,        50'000,         100'000,       200'000,
    500'000,       1'000'000,     2'000'000,      5'000'000,     10'000'000,
    20'000'000,    50'000'000,    100'000'000,    200'000'000,   500'000'000,
    1'000'000'000, 2'000'000'000, 5'000'000'000,  10'000'000'000};
constexpr std::size_t kTimePlaces = kTimeBounds.size() + 1;

inline std::size_t time_place(std::int64_t took) {
  std::size_t place = 0;
  while (place < kTimeBounds.size() && took > kTimeBounds[place]) ++place;
  return place;
}

class TimeCounts {
 public:
  void add(std::int64_t took) {
    raise(counts_[time_place(took)], 1);
    raise(sum_, took);
  }
  std::int64_t count(std::size_t place) const {
    return counts_[place].load(std::memory_order_relaxed);
  }
  std::int64_t sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  static void raise(std::atomic<std::int64_t>& number, std::int64_t by) {
    number.store(number.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }

  std::array<std::atomic<std::int64_t>, kTimePlaces> counts_{};
  std::atomic<std::int64_t> sum_{0};
};

}  // namespace atp
