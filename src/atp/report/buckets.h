// Durations in buckets of a fixed relative width, as a series of counts. Owns the width and the
// bounds; report/percentiles.py knows the same and turns counts back into times.
#pragma once
#include <bit>
#include <cstdint>

namespace atp::report {

constexpr int LONGEST_BITS = 40;  // about 18 minutes in nanoseconds; what is longer counts as that

constexpr int buckets_of(int bits) { return (LONGEST_BITS - bits + 1) << bits; }

// Bucket of a duration, with 2^bits buckets for each doubling.
inline int bucket_of(int64_t duration_ns, int bits) {
  constexpr int64_t most = (int64_t{1} << LONGEST_BITS) - 1;
  const int64_t bounded = duration_ns < 0 ? 0 : duration_ns > most ? most : duration_ns;
  const auto value = static_cast<uint64_t>(bounded);
  if (value < (uint64_t{1} << bits)) return static_cast<int>(value);
  const int shift = std::bit_width(value) - 1 - bits;
  return (shift << bits) + static_cast<int>(value >> shift);
}

}  // namespace atp::report
