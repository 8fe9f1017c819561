// Which SKUs of a shard are asked for most of late: a few, each with a count. Owns the counts,
// which fade (cool); they are for operators, and nothing is decided by them. The shard is locked.
#pragma once
#include <algorithm>
#include <cstdint>

namespace atp {

using Ref = std::uint32_t;  // of a block in an arena (layout.h); 0 names nothing

// Of the bits of a request's hash those that must be 0 for it to be counted while the engine is
// busy: one in sixteen then stands for all.
constexpr std::int64_t kHotSkipped = 15;

class Hot {
 public:
  static constexpr unsigned kSets = 6;
  static constexpr unsigned kWays = 4;
  static constexpr unsigned kKnown = kSets * kWays;

  // A SKU is in one set alone. A stranger takes the place of the coldest there once that has been
  // outvoted, so that who is asked for often stays known.
  void ask(Ref sku, std::uint32_t times) {
    const std::uint32_t mixed = sku * 0x9E3779B1u;
    Set& set = sets_[std::uint64_t{mixed} * kSets >> 32];
    unsigned coldest = 0;
    for (unsigned i = 0; i < kWays; ++i) {
      if (set.skus[i] == sku) {
        set.counts[i] += std::min(times, UINT32_MAX - set.counts[i]);
        return;
      }
      if (set.counts[i] < set.counts[coldest]) coldest = i;
    }
    if (set.counts[coldest]) {
      set.counts[coldest] -= std::min(times, set.counts[coldest]);
    } else {
      set.skus[coldest] = sku;
      set.counts[coldest] = times;
    }
  }
  // Half of every count goes; returns how much that was.
  std::int64_t cool() {
    std::int64_t gone = 0;
    for (Set& set : sets_) {
      for (std::uint32_t& count : set.counts) {
        gone += count - count / 2;
        count /= 2;
      }
    }
    return gone;
  }

  Ref sku(unsigned i) const { return sets_[i / kWays].skus[i % kWays]; }
  std::uint32_t count(unsigned i) const { return sets_[i / kWays].counts[i % kWays]; }

 private:
  // Half a cache line, which is all that a question touches.
  struct alignas(32) Set {
    Ref skus[kWays];
    std::uint32_t counts[kWays];
  };
  Set sets_[kSets] = {};
};

}  // namespace atp
