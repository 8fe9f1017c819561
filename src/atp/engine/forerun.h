// Touches memory before holds take it, so that no command waits for the system to empty a page:
// where a machine's host must find it first, that is a fifth of a batch. Owns how far ahead of each
// shard's arena it goes, and where pages are large. Takes no lock and changes nothing that anybody
// can read; without it all is as it is, only slower.
#pragma once
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>

#include "core_share.h"
#include "state.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // since Linux 5.14; before it nothing is touched
#endif

namespace atp {

class Forerun {
 public:
  explicit Forerun(Engine& engine) : engine_(engine) {
    for (unsigned i = 0; i < kShards; ++i) reaches_[i] = {used(i), 0};
  }

  // Until finish(), or until there is no memory left to touch. For a thread of its own.
  void run() {
    give_way(kNice);
    long pause = kPauseLeast;
    while (!is_finished_.load(std::memory_order_relaxed)) {
      bool has_grown = false;
      for (unsigned i = 0; i < kShards; ++i) {
        if (!follow(i, &has_grown)) return;
      }
      pause = has_grown ? kPauseLeast : std::min(2 * pause, kPauseMost);
      const timespec time{0, pause};
      nanosleep(&time, nullptr);
    }
  }
  void finish() { is_finished_.store(true, std::memory_order_relaxed); }

 private:
  static constexpr int kNice = 10;
  static constexpr long kPauseLeast = 1'000'000, kPauseMost = 16'000'000;  // ns
  static constexpr std::uintptr_t kSmallPiece = std::uintptr_t{1} << 16;
  static constexpr std::uintptr_t kLargePage = std::uintptr_t{1} << 21;
  // A shard that has this much has large pages from there on, so that what is touched and not yet
  // used is at most half as much as what is used.
  static constexpr std::uintptr_t kLargeFrom = std::uintptr_t{1} << 22;
  // Ahead of what is used, in either: a large page takes milliseconds, and shards are served in
  // turn.
  static constexpr std::uintptr_t kSmallAhead = std::uintptr_t{1} << 17;
  static constexpr std::uintptr_t kLargeAhead = std::uintptr_t{1} << 20;
  static constexpr std::uintptr_t kRounds = 4;  // as much as the last round took, this many times

  struct Reach {
    std::uintptr_t used, touched;  // addresses
  };

  std::uintptr_t used(unsigned number) const {
    const Shard* shard = engine_.shard(number);
    return reinterpret_cast<std::uintptr_t>(shard->base) + look(&shard->next_place) * kGranule;
  }

  bool follow(unsigned number, bool* has_grown) {
    Reach& reach = reaches_[number];
    const std::uintptr_t now = used(number), grown = now - reach.used;
    const auto base = reinterpret_cast<std::uintptr_t>(engine_.shard(number)->base);
    const std::uintptr_t last = base + kArenaBytes;
    const std::uintptr_t large_from = base + number * kPlacesApart * kGranule + kLargeFrom;
    const std::uintptr_t least = now < large_from ? kSmallAhead : kLargeAhead;
    const std::uintptr_t goal = std::min(now + std::max(least, kRounds * grown), last);
    *has_grown |= grown != 0;
    reach.used = now;
    reach.touched = std::max(reach.touched, now / kPage * kPage);
    while (reach.touched < goal && !is_finished_.load(std::memory_order_relaxed)) {
      const bool is_large = reach.touched % kLargePage == 0 && reach.touched >= large_from;
      const std::uintptr_t piece = is_large ? kLargePage : kSmallPiece;
      const std::uintptr_t end = std::min((reach.touched / piece + 1) * piece, last);
      if (!touch(reach.touched, end, is_large)) return false;
      reach.touched = end;
    }
    return true;
  }

  static bool touch(std::uintptr_t from, std::uintptr_t end, bool is_large) {
    void* const at = reinterpret_cast<void*>(from);
    if (is_large) madvise(at, end - from, MADV_HUGEPAGE);  // where there are none, small ones do
    return madvise(at, end - from, MADV_POPULATE_WRITE) == 0;
  }

  Engine& engine_;
  std::array<Reach, kShards> reaches_;
  std::atomic<bool> is_finished_{false};
};

}  // namespace atp
