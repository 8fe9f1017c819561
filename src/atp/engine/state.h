// The whole engine in memory: settings, what all shards share, and the shards. Owns construction
// and release of the address space; decides nothing.
#pragma once
#include <new>

#include "caps.h"

namespace atp {

constexpr std::int64_t kNever = INT64_MAX;

// Bounds and times; fixed for the engine's life.
struct Settings {
  std::int64_t sku_max;
  std::int64_t live_holds_max;
  std::int64_t cap_counters_max;
  std::int64_t ended_max;
  std::int64_t remember;      // ns
  std::int64_t longest_life;  // ns
  bool record_events;
};

constexpr std::size_t kTailRoom = std::size_t{16} << 30;     // of address space, not of memory
constexpr std::size_t kTailRoomLeast = std::size_t{64} << 20;  // where a system gives less

// Where changes get their sequence and, if wanted, leave their event, each after a RecordHead
// (events.h). Two stretches of address space that never move: one fills, the other is empty, or
// with whoever writes what it holds. A page of them takes memory once it was touched.
struct Tail {
  // What every append touches: 32 bytes, beside the sequence (Engine::shared).
  Lock lock;
  bool behind = false;           // more waits to be written than is allowed
  bool has_writer = false;       // one at most takes the events
  char* bytes = nullptr;         // the stretch that fills
  std::size_t used = 0;          // of it
  std::size_t alarm = 0;         // above so much used, more waits than is allowed

  char* other = nullptr;        // the empty stretch; null while it is taken
  std::size_t room = 0;         // of either
  std::size_t taken = 0;        // bytes that were taken and are not yet written
  std::size_t most = SIZE_MAX;  // that may wait before changes are refused
  std::int64_t space = 0;       // the gate (gate.pxd), as far as room on the disk decides it
  std::int64_t drained = 0;     // how often a stretch came back
  std::int64_t crowded = 0;     // 1: so much waits that no more changes are promised room
  char* region = nullptr;

  bool open() {
    for (std::size_t size = kTailRoom; size >= kTailRoomLeast && region == nullptr; size /= 16) {
      region = static_cast<char*>(mmap(nullptr, 2 * size, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
      if (region == MAP_FAILED) region = nullptr;
      room = size;
    }
    bytes = region;
    other = region + room;
    alarm = room / 4;
    return region != nullptr;
  }
  ~Tail() {
    if (region != nullptr) munmap(region, 2 * room);
  }
};

struct Engine {
  Settings settings;
  char* region;
  TableRoom tables;
  CapTable caps;
  std::uint32_t next_cap_uid = 1;

  // What every command reads and few change.
  alignas(64) CapPlan plan;
  std::int64_t gate = 0;  // what the journal has room for: see gate.pxd
  std::int64_t time = 0;
  std::int64_t housekept = -(std::int64_t{1} << 62);  // see housekeep.pxd
  std::int64_t unasked = kHotSkipped;  // bits of requests' hashes, see hot.h; 0: all are counted

  // What every change touches, in a cache line of its own: this, and how the tail begins.
  struct Shared {
    std::int64_t sequence = 0;
    std::int64_t live_holds = 0;  // as far as shards have told: see places.pxd
    std::int64_t counters = 0;
    std::int64_t skus = 0;
  };
  alignas(64) Shared shared;
  Tail tail;

  // When the first hold anywhere is due, never later than that; see sweep.pxd.
  struct alignas(64) {
    std::int64_t next = kNever;
    std::int64_t pending = kNever;
    Lock sweeping;
    std::uint32_t next_housekept = 0;
  } due;
  alignas(64) std::int64_t shard_due[kShards];

  Lock snapshot_running;  // one at a time

  alignas(64) unsigned char shard_memory[kShards * sizeof(Shard)];

  explicit Engine(const Settings& given) : settings(given) {
    bool is_open;
    region = reserve_pages(kArenaBytes * kShards, &is_open);
    if (region == nullptr) throw std::bad_alloc();
    if (given.record_events && !tail.open()) {
      return_pages(region, kArenaBytes * kShards);
      throw std::bad_alloc();
    }
    if (is_open) tables.open();
    for (unsigned i = 0; i < kShards; ++i) {
      shard_due[i] = kNever;
      new (shard(i)) Shard(i, region + i * kArenaBytes, is_open, &tables);
    }
  }
  ~Engine() {
    for (unsigned i = 0; i < kShards; ++i) {
      // The addresses may be given to others, who know nothing of what was poisoned here.
      unpoison(shard(i)->base, shard(i)->open_places * kGranule);
      shard(i)->~Shard();
    }
    return_pages(region, kArenaBytes * kShards);
  }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  Shard* shard(unsigned number) {
    return reinterpret_cast<Shard*>(shard_memory) + number;
  }
};

}  // namespace atp
