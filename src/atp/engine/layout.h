// What the engine keeps in memory: the blocks of an arena, the indexes over them, a shard, the
// whole. Owns the layout; decides nothing. A block is named by a 32-bit reference: 6 bits of
// shard, 26 bits of place in the shard's arena in granules of 8 bytes. Sizes are asserted,
// because memory per SKU and per hold is a promise.
#pragma once
#include <string>
#include <vector>

#include "hot.h"
#include "index.h"

namespace atp {

constexpr std::size_t kArenaBytes = (std::size_t{1} << kPlaceBits) * kGranule;
constexpr unsigned kSizeClasses = 144;  // size_class() of a whole arena is the last of them

// A SKU; its name follows in place.
struct Sku {
  std::int64_t on_hand;
  std::int64_t held;
  std::int64_t sold;
  std::int64_t received;
  std::int64_t adjusted;
  std::int64_t last_sequence;
  std::int64_t first_expire;  // of its live lines; the end of time when there is none
  std::int64_t last_expire;   // of the last in its row of them; meaningless when that is empty
  Ref row_first;              // live lines that end in the order they came
  Ref row_last;
  Ref heap;             // the others: a LineHeap, or 0
  std::uint32_t place;  // in the shard's heap of SKUs, while it has live lines
  std::uint8_t name_size;
};
constexpr std::size_t kSkuNameAt = 81;
static_assert(offsetof(Sku, name_size) == kSkuNameAt - 1, "the name follows its size");

// A reservation, or (line_count 0) the receipt of another command. Lines, address and customer
// follow.
struct Record {
  Key key;
  std::uint64_t fingerprint;
  std::int64_t create_time;
  std::int64_t expire_time;  // once ended: when it ended
  std::int64_t grant_sequence;
  std::int64_t last_sequence;
  std::uint32_t caps_generation;  // once ended: the next ended record of the shard
  std::uint16_t line_count;
  std::uint8_t flags;  // state or receipt kind, partial, size of the address
  std::uint8_t customer_size;
};
static_assert(sizeof(Record) == 64, "a record's header is one cache line");

// One SKU of a reservation; held = quantity - committed - released while the reservation is held.
struct Line {
  Ref sku;
  std::int32_t quantity;
  std::int32_t committed;
  std::int32_t released;
  // Where it stands among the live lines of its SKU; guarded by the SKU's shard.
  Ref next;             // in the row
  std::uint32_t place;  // in the row: the line before; in the heap: its place
  std::uint16_t index;  // in the reservation
  std::uint16_t in_heap;
  std::uint32_t unused;
};
static_assert(sizeof(Line) == 32, "a line is four granules");

// Of live lines that came out of order, by when they end; times and references follow.
struct LineHeap {
  std::uint32_t count;
  std::uint32_t room;
};

// Units in force for one subject of one cap. The subject follows.
struct Counter {
  std::int64_t units;
  std::int64_t last_sequence;
  Ref window;  // for a cap with a window: when the units were granted
  std::uint32_t cap_uid;
  Ref sku;
  std::uint8_t subject_size;
};
constexpr std::size_t kCounterSubjectAt = 29;
static_assert(offsetof(Counter, subject_size) == kCounterSubjectAt - 1, "subject after its size");

struct CounterIdentity {
  std::uint32_t cap_uid;
  Ref sku;
  const std::uint8_t* subject;
  std::uint8_t subject_size;
};

// When a counter's units were granted, in steps of the window, oldest first. Entries follow.
struct Window {
  std::uint32_t count;
  std::uint32_t room;
};
struct WindowEntry {
  std::int64_t step;
  std::int64_t units;
};

struct SkuTraits {
  static std::uint64_t hash(const char* block) {
    return hash64(block + kSkuNameAt, reinterpret_cast<const Sku*>(block)->name_size);
  }
  static bool equal(const char* block, const Probe& probe) {
    return reinterpret_cast<const Sku*>(block)->name_size == probe.size &&
           same_bytes(block + kSkuNameAt, probe.data, probe.size);
  }
};
struct RecordTraits {
  static std::uint64_t hash(const char* block) {
    return reinterpret_cast<const Record*>(block)->key.low;
  }
  static bool equal(const char* block, const Probe& probe) {
    return same_key(&reinterpret_cast<const Record*>(block)->key,
                    static_cast<const Key*>(probe.data));
  }
};
// Mixes the hash of a subject, which a command computes once, with the cap and the SKU.
inline std::uint64_t counter_hash(std::uint32_t cap_uid, Ref sku, std::uint64_t subject_hash) {
  const std::uint64_t parts =
      (subject_hash ^ (std::uint64_t{cap_uid} << 32 | sku)) * 0x9E3779B97F4A7C15ull;
  return parts ^ (parts >> 29);
}

struct CounterTraits {
  static std::uint64_t hash(const char* block) {
    const Counter* counter = reinterpret_cast<const Counter*>(block);
    return counter_hash(counter->cap_uid, counter->sku,
                        hash64(block + kCounterSubjectAt, counter->subject_size));
  }
  static bool equal(const char* block, const Probe& probe) {
    const Counter* counter = reinterpret_cast<const Counter*>(block);
    const CounterIdentity* wanted = static_cast<const CounterIdentity*>(probe.data);
    return counter->cap_uid == wanted->cap_uid && counter->sku == wanted->sku &&
           counter->subject_size == wanted->subject_size &&
           same_bytes(block + kCounterSubjectAt, wanted->subject, wanted->subject_size);
  }
};

// Room for a walk over everything, taken before it begins; false when memory is short.
inline bool room_for_walk(std::vector<std::uint32_t>& places, std::size_t most, std::string& text,
                          std::vector<std::uint64_t>& found) noexcept {
  try {
    places.reserve(most);
    text.reserve(1u << 20);  // more than a largest basket takes
    found.reserve(128);
    return true;
  } catch (...) {
    return false;
  }
}

struct Aside;  // see cut.h
constexpr std::int64_t kNoCut = -1;

// Caches choose by low bits of an address where they keep a line or a page. What all shards use
// most must not agree in them, or all fight for the room of a few: so each begins its arena some
// pages later than the one before, and shards are no power of two apart.
constexpr std::uint32_t kPlacesApart = 13 * kPage / kGranule;

// One of 64 parts of the engine.
struct alignas(64) Shard {
  Lock lock;
  std::uint32_t next_place;  // in granules; the forerunner looks at it without the lock
  std::uint32_t open_places;
  std::uint32_t number;
  bool is_open;  // all of the arena may be touched, not only what `open_places` says
  char* base;
  std::int64_t cut_sequence = kNoCut;  // while a snapshot of the state after it copies this shard
  // SKUs with live lines, earliest first expiry on top: parallel arrays, times before references.
  std::int64_t* due_heap = nullptr;
  std::uint32_t due_count = 0;
  std::uint32_t due_room = 0;
  // Of all of this shard's SKUs, in the line that whoever has the lock has at hand.
  std::int64_t held = 0;
  std::int64_t sold = 0;
  Ref counted = 0;  // where whoever counts the lines of a row has come to
  // Ended records, oldest first, linked through caps_generation.
  Ref ended_first = 0;
  Ref ended_last = 0;
  std::uint32_t ended_count = 0;
  std::uint32_t receipt_count = 0;
  std::int64_t ended_first_time = INT64_MAX;  // when the oldest of them ended, or before
  std::int64_t live_holds = 0;                // of this shard's records
  std::int64_t live_told = 0;                 // of these, what shared.live_holds knows of
  std::int64_t used_bytes = 0;
  Aside* aside = nullptr;  // the snapshot's, with the cut
  std::int64_t supplied = 0;  // received and adjusted, of all of this shard's SKUs
  std::int64_t expired_holds = 0;  // of this shard's, here; those replayed apart
  Hot hot;
  Index<SkuTraits> skus;
  Index<RecordTraits> records;
  Index<CounterTraits> counters;
  Ref free_blocks[kSizeClasses] = {};

  Shard(unsigned shard_number, char* arena, bool arena_is_open, TableRoom* room)
      : next_place(shard_number * kPlacesApart + 1),  // place 0 of all names nothing
        open_places(shard_number * kPlacesApart),
        number(shard_number),
        is_open(arena_is_open),
        base(arena),
        skus(arena, room, shard_number),
        records(arena, room, shard_number),
        counters(arena, room, shard_number) {}
  ~Shard() { drop_pages(due_heap, due_room * (sizeof(std::int64_t) + sizeof(Ref))); }
};

static_assert(sizeof(Shard) / 64 % 2 == 1, "shards begin in lines of all low bits");

}  // namespace atp
