// Where blocks are found by a hash: sets of references into one arena. Owns the places of blocks in
// an arena as an entry has them, and how tables grow; what is in a block is its traits' to say.
#pragma once
#include <tsl/robin_set.h>

#include <array>
#include <utility>
#include <vector>

#include "buckets.h"
#include "hot.h"

namespace atp {

constexpr unsigned kShards = 64;
constexpr unsigned kPlaceBits = 26;
constexpr Ref kPlaceMask = (Ref{1} << kPlaceBits) - 1;
constexpr std::size_t kGranule = 8;

struct Probe {
  const void* data;
  std::size_t size;
  std::uint64_t hash;
};

// A hash set of references into one arena. An entry is the place of the block with six bits of
// its hash above it, so that most strangers are told apart without reading their block. The
// hash's top six bits chose the shard, the six below are the tag, the low ones choose the bucket.
template <class Traits>
class alignas(64) Table {
  static std::uint32_t tag(std::uint64_t hash) {
    return static_cast<std::uint32_t>(hash >> 52) & 63u;
  }
  struct Hash {
    const char* base;
    using is_transparent = void;
    std::size_t operator()(std::uint32_t entry) const {
      return Traits::hash(base + std::size_t{entry & kPlaceMask} * kGranule);
    }
    std::size_t operator()(const Probe& probe) const { return probe.hash; }
  };
  struct Equal {
    const char* base;
    using is_transparent = void;
    bool operator()(std::uint32_t a, std::uint32_t b) const { return a == b; }
    bool operator()(std::uint32_t entry, const Probe& probe) const {
      return entry >> kPlaceBits == tag(probe.hash) &&
             Traits::equal(base + std::size_t{entry & kPlaceMask} * kGranule, probe);
    }
    bool operator()(const Probe& probe, std::uint32_t entry) const {
      return (*this)(entry, probe);
    }
  };
  // Finds the first entry that may be the one, by its tag alone.
  struct Peek {
    std::uint64_t hash;
  };
  struct EqualOrAlike : Equal {
    using Equal::operator();
    bool operator()(std::uint32_t entry, const Peek& peek) const {
      return entry >> kPlaceBits == tag(peek.hash);
    }
    bool operator()(const Peek& peek, std::uint32_t entry) const { return (*this)(entry, peek); }
  };
  struct HashOrPeek : Hash {
    using Hash::operator();
    std::size_t operator()(const Peek& peek) const { return peek.hash; }
  };
  using Set = tsl::robin_set<std::uint32_t, HashOrPeek, EqualOrAlike, KnownPlace<std::uint32_t>>;
  static constexpr std::size_t kBucketBytes = 8;
  static constexpr int kLookMost = 16;  // buckets looked through ahead; a full table needs many
  // A bucket of the table as it lies in memory: its distance from where it belongs, then the entry.
  struct Bucket {
    std::int16_t distance;
    bool last;
    std::uint32_t entry;
  };
  static_assert(sizeof(Bucket) == kBucketBytes, "a bucket is eight bytes");
  BucketPlaces places_;  // outlives the table
  std::size_t last_bucket_ = 0;
  Set set_;

  // Whoever grows a table reads the hash of each block, in no order: many at once take a fifth of
  // the time of one after another.
  void fetch_blocks() const {
    const char* base = set_.hash_function().base;
    for (const std::uint32_t entry : set_) {
      __builtin_prefetch(base + std::size_t{entry & kPlaceMask} * kGranule);
    }
  }

 public:
  Table(const char* base, TableRoom* room, float load_most)
      : places_(room),
        set_(0, HashOrPeek{{base}}, EqualOrAlike{{base}}, KnownPlace<std::uint32_t>(&places_)) {
    set_.max_load_factor(load_most);
  }
  void fetch_bucket(std::uint64_t hash) const {
    const std::size_t last = __atomic_load_n(&last_bucket_, __ATOMIC_ACQUIRE);
    const char* buckets = __atomic_load_n(&places_.current, __ATOMIC_ACQUIRE);
    __builtin_prefetch(buckets + (hash & last) * kBucketBytes);
  }
  __attribute__((no_sanitize("thread"))) void fetch_block_ahead(std::uint64_t hash,
                                                                const char* base) const {
    const std::size_t last = __atomic_load_n(&last_bucket_, __ATOMIC_ACQUIRE);
    const char* buckets = __atomic_load_n(&places_.current, __ATOMIC_ACQUIRE);
    if (last == 0) return;
    for (int i = 0; i < kLookMost; ++i) {
      Bucket bucket;
      const std::size_t place = (hash + static_cast<unsigned>(i)) & last;
      std::memcpy(&bucket, buckets + place * kBucketBytes, sizeof bucket);
      if (bucket.distance < i) return;  // it would stand before this one
      if (bucket.entry >> kPlaceBits == tag(hash)) {
        const char* block = base + std::size_t{bucket.entry & kPlaceMask} * kGranule;
        __builtin_prefetch(block, 1);
        __builtin_prefetch(block + 64, 1);
        return;
      }
    }
  }
  void fetch_block(std::uint64_t hash, const char* base) const {
    const auto alike = set_.find(Peek{hash}, hash);
    if (alike == set_.end()) return;
    const char* block = base + std::size_t{*alike & kPlaceMask} * kGranule;
    __builtin_prefetch(block, 1);
    __builtin_prefetch(block + 64, 1);
  }
  std::uint32_t find(const Probe& probe) const {
    const auto found = set_.find(probe, probe.hash);
    return found == set_.end() ? 0u : *found & kPlaceMask;
  }
  bool make_room(std::size_t more) noexcept {
    const auto wanted = static_cast<float>(set_.size() + more + 1);
    const float load_most = set_.max_load_factor();
    if (wanted < load_most * static_cast<float>(set_.bucket_count())) return true;
    try {
      std::size_t buckets = set_.bucket_count() < 8 ? 16 : set_.bucket_count() * 2;
      while (load_most * static_cast<float>(buckets) <= wanted) buckets *= 2;
      fetch_blocks();
      set_.rehash(buckets);
      __atomic_store_n(&last_bucket_, set_.bucket_count() - 1, __ATOMIC_RELEASE);
      return true;
    } catch (...) {
      return false;
    }
  }
  void insert(std::uint32_t place, std::uint64_t hash) noexcept {
    set_.insert(place | tag(hash) << kPlaceBits);
  }
  void erase(std::uint32_t place, std::uint64_t hash) noexcept {
    set_.erase(place | tag(hash) << kPlaceBits, hash);
  }
  std::size_t size() const { return set_.size(); }
  std::size_t bytes() const { return set_.bucket_count() * kBucketBytes; }
  const Set& entries() const { return set_; }
};

// All blocks of one kind in one arena, in several tables, because a table that doubles makes
// whoever asks meanwhile wait for all of it: three bits of the hash choose, below those of the tag.
template <class Traits>
class Index {
  static constexpr unsigned kTables = 8;
  using Tables = std::array<Table<Traits>, kTables>;
  // How full a table gets. Tables fill alike: with one bound for all of them, all of all shards
  // would grow in the same moment, one after another, and who asks then would wait for all.
  static constexpr float kLoadMost = 0.9f;
  static constexpr float kLoadLeast = 0.65f;
  Tables tables_;

  static float load_most(unsigned shard, std::size_t table) {
    const auto place = static_cast<float>(table * kShards + shard);
    return kLoadLeast + (kLoadMost - kLoadLeast) * place / (kShards * kTables - 1);
  }
  template <std::size_t... number>
  static Tables make(const char* base, TableRoom* room, unsigned shard,
                     std::index_sequence<number...>) {
    return {Table<Traits>(base, room, load_most(shard, number))...};
  }
  static std::size_t number(std::uint64_t hash) { return (hash >> 49) % kTables; }
  Table<Traits>& table(std::uint64_t hash) { return tables_[number(hash)]; }
  const Table<Traits>& table(std::uint64_t hash) const { return tables_[number(hash)]; }

 public:
  Index(const char* base, TableRoom* room, unsigned shard)
      : tables_(make(base, room, shard, std::make_index_sequence<kTables>())) {}
  // Fetches the bucket of a hash; needs no lock.
  void fetch_bucket(std::uint64_t hash) const { table(hash).fetch_bucket(hash); }
  // Fetches the block that a look-up of this hash will probably read; needs no lock, once the
  // bucket is there. Buckets may change while they are read: a wrong block is fetched then, or
  // none.
  void fetch_block_ahead(std::uint64_t hash, const char* base) const {
    table(hash).fetch_block_ahead(hash, base);
  }
  // Fetches the block that a look-up of this hash will read; the shard is locked.
  void fetch_block(std::uint64_t hash, const char* base) const {
    table(hash).fetch_block(hash, base);
  }
  // The block's place, or 0.
  std::uint32_t find(const Probe& probe) const { return table(probe.hash).find(probe); }
  // Makes room for one more of this hash; false when memory is short. After it, `insert` of that
  // one cannot fail.
  bool make_room(std::uint64_t hash) noexcept { return table(hash).make_room(1); }
  // Makes room for so many of any hash, more or less, lest tables grow one step after another.
  void expect(std::size_t more) noexcept {
    for (auto& one : tables_) one.make_room(more / kTables);
  }
  void insert(std::uint32_t place, std::uint64_t hash) noexcept {
    table(hash).insert(place, hash);
  }
  void erase(std::uint32_t place, std::uint64_t hash) noexcept { table(hash).erase(place, hash); }
  std::size_t size() const {
    std::size_t total = 0;
    for (const auto& one : tables_) total += one.size();
    return total;
  }
  std::size_t bytes() const {
    std::size_t total = 0;
    for (const auto& one : tables_) total += one.bytes();
    return total;
  }
  // All places, in no order, for recounts and housekeeping. False when memory is short.
  bool places(std::vector<std::uint32_t>& into) const noexcept {
    try {
      into.clear();
      into.reserve(size());
      for (const auto& one : tables_) {
        for (const std::uint32_t entry : one.entries()) into.push_back(entry & kPlaceMask);
      }
      return true;
    } catch (...) {
      return false;
    }
  }
};

}  // namespace atp
