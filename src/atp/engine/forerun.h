// Touches memory before holds take it, so that no command waits for the system to empty a page:
// where a machine's host must find it first, that is a fifth of a batch. Owns how far ahead of each
// shard's arena and of the tables it goes, and where an arena's pages are large. Takes no lock and
// changes nothing that anybody can read; without it all is as it is, only slower.
#pragma once
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>

#include "core_share.h"
#include "state.h"

namespace atp {

class Forerun {
 public:
  explicit Forerun(Engine& engine) : engine_(engine) {
    for (unsigned i = 0; i < kShards; ++i) reaches_[i] = {used(i), 0};
    tables_ = {engine_.tables.used(), 0};
  }

  // Until finish(). For a thread of its own.
  void run() {
    if (!engine_.shard(0)->is_open) return;  // where memory has to be asked for, nothing is ahead
    only_when_idle();
    long pause = kPauseLeast;
    while (!is_finished_.load(std::memory_order_relaxed)) {
      bool has_grown = false;
      for (unsigned i = 0; i < kShards; ++i) follow(i, &has_grown);
      follow_tables(&has_grown);
      pause = has_grown ? kPauseLeast : std::min(2 * pause, kPauseMost);
      const timespec time{0, pause};
      nanosleep(&time, nullptr);
    }
  }
  void finish() { is_finished_.store(true, std::memory_order_relaxed); }

 private:
  static constexpr long kPauseLeast = 1'000'000, kPauseMost = 16'000'000;  // ns
  static constexpr std::uintptr_t kSmallPiece = std::uintptr_t{1} << 16;
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

  void follow(unsigned number, bool* has_grown) {
    const auto base = reinterpret_cast<std::uintptr_t>(engine_.shard(number)->base);
    const std::uintptr_t large_from = base + number * kPlacesApart * kGranule + kLargeFrom;
    go_ahead(reaches_[number], used(number), large_from, base + kArenaBytes, has_grown);
  }
  void follow_tables(bool* has_grown) {
    const TableRoom& tables = engine_.tables;
    if (!tables.is_open()) return;
    const std::uintptr_t large_from = tables.begin() + TableRoom::kLargeFrom;
    go_ahead(tables_, tables.used(), large_from, tables.end(), has_grown);
  }

  void go_ahead(Reach& reach, std::uintptr_t now, std::uintptr_t large_from, std::uintptr_t last,
                bool* has_grown) {
    const std::uintptr_t grown = now - reach.used;
    const std::uintptr_t least = now < large_from ? kSmallAhead : kLargeAhead;
    const std::uintptr_t goal = std::min(now + std::max(least, kRounds * grown), last);
    *has_grown |= grown != 0;
    reach.used = now;
    reach.touched = std::max(reach.touched, now / kPage * kPage);
    while (reach.touched < goal && !is_finished_.load(std::memory_order_relaxed)) {
      const bool is_large = reach.touched % kLargePage == 0 && reach.touched >= large_from;
      const std::uintptr_t piece = is_large ? kLargePage : kSmallPiece;
      const std::uintptr_t end = std::min((reach.touched / piece + 1) * piece, last);
      if (is_large) {  // where there are none, small ones do
        madvise(reinterpret_cast<void*>(reach.touched), end - reach.touched, MADV_HUGEPAGE);
      }
      for (; reach.touched < end; reach.touched += kPage) touch(reach.touched);
    }
  }

  // A store of nothing, which may meet another thread's store to the same place. The system finds
  // the page under a lock of this stretch alone; asked to fill the stretch, it would hold the lock
  // of all memory, and who serves and needed a page for messages stood there for up to 13 ms.
  __attribute__((no_sanitize("thread", "address"))) static void touch(std::uintptr_t at) {
    __atomic_fetch_or(reinterpret_cast<char*>(at), char{0}, __ATOMIC_RELAXED);
  }

  Engine& engine_;
  std::array<Reach, kShards> reaches_;
  Reach tables_;
  std::atomic<bool> is_finished_{false};
};

}  // namespace atp
