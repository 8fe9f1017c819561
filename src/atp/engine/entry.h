// What a snapshot holds of a block: an entry. Packed, little-endian, nothing between entries. Owns
// the layout (docs/journal-format.md has every byte) and the writing; whoever reads trusts nothing.
// What can be made anew is left out: heaps, indexes, and what a SKU holds, which is what its live
// lines hold.
#pragma once
#include <bit>

#include "layout.h"

namespace atp {

static_assert(std::endian::native == std::endian::little, "entries are written as they lie");

#pragma pack(push, 1)
struct SkuEntry {  // the name follows
  std::uint32_t number;  // names the SKU in lines and counters: where it lay in memory
  std::int64_t on_hand;
  std::int64_t sold;
  std::int64_t received;
  std::int64_t adjusted;
  std::int64_t last_sequence;
  std::uint8_t name_size;
};
struct RecordEntry {  // lines, address and customer follow
  std::uint8_t key[16];
  std::uint64_t fingerprint;
  std::int64_t create_time;
  std::int64_t expire_time;
  std::int64_t grant_sequence;
  std::int64_t last_sequence;
  std::uint32_t caps_generation;  // 0 once ended
  std::uint16_t line_count;
  std::uint8_t flags;
  std::uint8_t customer_size;
};
struct LineEntry {
  std::uint32_t sku;
  std::int32_t quantity;
  std::int32_t committed;
  std::int32_t released;
};
struct CounterEntry {  // the subject follows, then the steps
  std::uint32_t cap_uid;
  std::uint32_t sku;  // 0: of no SKU alone
  std::int64_t units;
  std::uint16_t step_count;
  std::uint8_t subject_size;
};
struct StepEntry {
  std::int64_t step;
  std::int64_t units;
};
#pragma pack(pop)
static_assert(sizeof(SkuEntry) == 45 && sizeof(RecordEntry) == 64 && sizeof(LineEntry) == 16);
static_assert(sizeof(CounterEntry) == 19 && sizeof(StepEntry) == sizeof(WindowEntry));

constexpr unsigned kKindMask = 15;  // of a record's flags: see layout.pxd
constexpr unsigned kStateHeld = 1;
constexpr unsigned kReceiptFrom = 5;

inline unsigned record_address_size(std::uint8_t flags) {
  const unsigned code = flags >> 5;
  return code == 0 ? 0 : code == 1 ? 4 : 16;
}
inline void write_key_bytes(const Key& key, std::uint8_t* into) {
  const std::uint64_t words[2] = {__builtin_bswap64(key.high), __builtin_bswap64(key.low)};
  std::memcpy(into, words, sizeof words);
}
inline Key read_key_bytes(const std::uint8_t* from) {
  std::uint64_t words[2];
  std::memcpy(words, from, sizeof words);
  return Key{__builtin_bswap64(words[0]), __builtin_bswap64(words[1])};
}
inline const Window* window_at(const Shard* shard, const Counter* counter) {
  if (counter->window == 0) return nullptr;
  return reinterpret_cast<const Window*>(
      shard->base + std::size_t{counter->window & kPlaceMask} * kGranule);
}

inline std::uint32_t place_of(const Shard* shard, const void* block) {
  const auto bytes = static_cast<std::size_t>(static_cast<const char*>(block) - shard->base);
  return static_cast<std::uint32_t>(bytes / kGranule);
}

inline std::size_t entry_bytes(const Shard*, const Sku* sku) {
  return sizeof(SkuEntry) + sku->name_size;
}
inline std::size_t entry_bytes(const Shard*, const Record* record) {
  return sizeof(RecordEntry) + record->line_count * sizeof(LineEntry) +
         record_address_size(record->flags) + record->customer_size;
}
inline std::size_t entry_bytes(const Shard* shard, const Counter* counter) {
  const Window* window = window_at(shard, counter);
  const std::size_t steps = window == nullptr ? 0 : window->count;
  return sizeof(CounterEntry) + counter->subject_size + steps * sizeof(StepEntry);
}

inline void write_entry(const Shard* shard, const Sku* sku, char* into) {
  const SkuEntry entry{place_of(shard, sku) | shard->number << kPlaceBits,
                       sku->on_hand,
                       sku->sold,
                       sku->received,
                       sku->adjusted,
                       sku->last_sequence,
                       sku->name_size};
  std::memcpy(into, &entry, sizeof entry);
  std::memcpy(into + sizeof entry, reinterpret_cast<const char*>(sku) + kSkuNameAt,
              sku->name_size);
}
inline void write_entry(const Shard*, const Record* record, char* into) {
  RecordEntry entry;
  write_key_bytes(record->key, entry.key);
  std::memcpy(entry.key + sizeof entry.key, &record->fingerprint,
              sizeof(Record) - sizeof(Key));  // the rest lies in both alike
  if ((record->flags & kKindMask) != kStateHeld) entry.caps_generation = 0;
  std::memcpy(into, &entry, sizeof entry);
  into += sizeof entry;
  const Line* line = reinterpret_cast<const Line*>(record + 1);
  for (unsigned i = 0; i < record->line_count; ++i, ++line, into += sizeof(LineEntry)) {
    const LineEntry one{line->sku, line->quantity, line->committed, line->released};
    std::memcpy(into, &one, sizeof one);
  }
  std::memcpy(into, line, record_address_size(record->flags) + record->customer_size);
}
inline void write_entry(const Shard* shard, const Counter* counter, char* into) {
  const Window* window = window_at(shard, counter);
  const std::uint32_t steps = window == nullptr ? 0 : window->count;
  const CounterEntry entry{counter->cap_uid, counter->sku, counter->units,
                           static_cast<std::uint16_t>(steps), counter->subject_size};
  std::memcpy(into, &entry, sizeof entry);
  into += sizeof entry;
  std::memcpy(into, reinterpret_cast<const char*>(counter) + kCounterSubjectAt,
              counter->subject_size);
  if (steps) std::memcpy(into + counter->subject_size, window + 1, steps * sizeof(StepEntry));
}

}  // namespace atp
