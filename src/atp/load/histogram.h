// Latencies in a histogram whose buckets are under 1 % wide at any size: 128 for each doubling, so
// that percentiles of millions of calls cost a few kilobytes. Owns the buckets; quantiles are read
// from the counts by whoever shows them (result.py), where those of several processes are added.
#pragma once
#include <bit>
#include <cstdint>
#include <vector>

namespace atp::load {

class Histogram {
 public:
  static constexpr int kBits = 7;
  static constexpr int kBuckets = (64 - kBits) << kBits;

  Histogram() : counts_(kBuckets) {}

  // Adds one time, in nanoseconds; below 0 counts as 0.
  void add(std::int64_t nanoseconds) {
    const std::uint64_t value = nanoseconds < 0 ? 0 : static_cast<std::uint64_t>(nanoseconds);
    ++counts_[bucket(value)];
    if (static_cast<std::int64_t>(value) > most_) most_ = static_cast<std::int64_t>(value);
  }

  const std::vector<std::int64_t>& counts() const { return counts_; }
  std::int64_t most() const { return most_; }

 private:
  static std::size_t bucket(std::uint64_t value) {
    const int shift = std::bit_width(value) - 1 - kBits;
    if (shift <= 0) return value;
    return (static_cast<std::size_t>(shift) << kBits) + (value >> shift);
  }

  std::vector<std::int64_t> counts_;
  std::int64_t most_ = 0;
};

}  // namespace atp::load
