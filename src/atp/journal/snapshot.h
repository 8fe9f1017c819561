// The frame of a snapshot file: its head, its chunks, its end. Owns their layout and what they add
// up to; docs/journal-format.md has every byte. What a chunk holds of blocks is in engine/entry.h.
#pragma once
#include <cstddef>

#include "atp/engine/cut.h"
#include "atp/engine/state.h"

namespace atp {

constexpr char kSnapshotMagic[8] = {'A', 'T', 'P', 'S', 'N', 'A', 'P', 'S'};
constexpr std::uint32_t kSnapshotVersion = 1;
constexpr std::size_t kChunkBytesMost = std::size_t{1} << 20;  // of payload

enum ChunkKind : std::uint32_t {
  kChunkCaps = 1,
  kChunkSkus = 2,
  kChunkRecords = 3,
  kChunkCounters = 4,
  kChunkEnd = 5,
};

#pragma pack(push, 1)
// Magic, version and checksum are where they are in every version.
struct SnapshotHead {
  char magic[8];
  std::uint32_t version;
  std::uint32_t next_cap_uid;
  std::uint8_t store_id[16];
  std::int64_t sequence;
  std::int64_t create_time;  // by the clock on the wall
  std::int64_t cut_time;     // the engine's time at the cut
  std::int64_t caps_generation;
  std::uint8_t unused[56];
  std::uint64_t checksum;  // of all before it
};
struct ChunkHead {
  std::uint64_t checksum;  // of what follows of this head, and the payload
  std::uint32_t kind;
  std::uint32_t size;    // of the payload
  std::uint32_t number;  // of the chunk: 0, 1, 2, ...
  std::uint32_t shard;
  std::uint32_t count;  // of entries
  std::uint32_t unused;
};
struct CapEntry {  // the definition follows, an atp.v1.Cap message
  std::uint32_t uid;
  std::uint32_t since_generation;
  std::int64_t set_sequence;
  std::int64_t update_time;
  std::int64_t refused;
  std::int64_t shadow_refused;
  std::uint32_t definition_size;
};
// The payload of the last chunk: what all others add up to.
struct SnapshotTotals {
  std::int64_t end_time;  // the engine's time when the last shard had been copied
  std::int64_t caps;
  std::int64_t skus;
  std::int64_t records;
  std::int64_t live;
  std::int64_t receipts;
  std::int64_t lines;
  std::int64_t counters;
  std::int64_t on_hand;
  std::int64_t sold;
  std::int64_t held;
  std::int64_t counted;
};
#pragma pack(pop)
static_assert(sizeof(SnapshotHead) == 128 && sizeof(ChunkHead) == 32 && sizeof(CapEntry) == 44);
static_assert(sizeof(SnapshotTotals) == 96);

inline std::uint64_t head_checksum(const char* head) {
  return hash64(head, offsetof(SnapshotHead, checksum));
}
inline std::uint64_t chunk_checksum(const char* chunk, std::size_t payload) {
  return hash64(chunk + sizeof(std::uint64_t), sizeof(ChunkHead) - sizeof(std::uint64_t) + payload);
}

// Adds what an entry says to the totals, and returns where the next one begins. The sums of units
// may wrap; they are only compared.
inline std::int64_t wrapping_sum(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}
inline const char* add_entry(SnapshotTotals& totals, std::uint32_t kind, const char* at) {
  if (kind == kChunkSkus) {
    SkuEntry sku;
    std::memcpy(&sku, at, sizeof sku);
    totals.skus += 1;
    totals.on_hand = wrapping_sum(totals.on_hand, sku.on_hand);
    totals.sold = wrapping_sum(totals.sold, sku.sold);
    return at + sizeof sku + sku.name_size;
  }
  if (kind == kChunkCounters) {
    CounterEntry counter;
    std::memcpy(&counter, at, sizeof counter);
    totals.counters += 1;
    totals.counted = wrapping_sum(totals.counted, counter.units);
    return at + sizeof counter + counter.subject_size + counter.step_count * sizeof(StepEntry);
  }
  RecordEntry record;
  std::memcpy(&record, at, sizeof record);
  at += sizeof record;
  const unsigned state = record.flags & kKindMask;
  totals.records += 1;
  totals.live += state == kStateHeld;
  totals.receipts += state >= kReceiptFrom;
  totals.lines += record.line_count;
  for (unsigned i = 0; i < record.line_count; ++i, at += sizeof(LineEntry)) {
    LineEntry line;
    std::memcpy(&line, at, sizeof line);
    if (state == kStateHeld) totals.held += line.quantity - line.committed - line.released;
  }
  return at + record_address_size(record.flags) + record.customer_size;
}

}  // namespace atp
