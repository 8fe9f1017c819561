// Reads a snapshot's frame and trusts nothing of it: every bound is checked, and the first thing
// that is wrong is told with its offset. Also runs work on all shards with several threads. What
// entries mean is for restoring.pxd.
#pragma once
#include <thread>

#include "snapshot.h"

namespace atp {

struct Damage {
  Lock lock;
  const char* reason = nullptr;  // nullptr: none
  std::uint64_t offset = 0;

  // Of several threads' findings the one nearest to the beginning stays.
  void note(std::uint64_t at, const char* what) {
    lock.take();
    if (reason == nullptr || at < offset) {
      offset = at;
      reason = what;
    }
    lock.give();
  }
  bool any() {
    lock.take();
    const bool found = reason != nullptr;
    lock.give();
    return found;
  }
};

struct Chunk {
  const char* payload;
  std::uint32_t kind;
  std::uint32_t size;
  std::uint32_t shard;
  std::uint32_t count;
};

// What is still to be read of a chunk's payload.
struct Cursor {
  const char* at;
  const char* end;

  template <class T>
  bool read(T* into) {
    const char* from = take(sizeof *into);
    if (from == nullptr) return false;
    std::memcpy(into, from, sizeof *into);
    return true;
  }
  const char* take(std::size_t size) {
    if (static_cast<std::size_t>(end - at) < size) return nullptr;
    const char* from = at;
    at += size;
    return from;
  }
};

struct SnapshotParts {
  const char* data = nullptr;
  std::size_t size = 0;
  SnapshotHead head{};
  SnapshotTotals totals{};
  std::vector<Chunk> chunks;
  bool is_future = false;
  Damage damage;

  std::uint64_t offset_of(const char* at) const { return static_cast<std::uint64_t>(at - data); }
  bool no(std::uint64_t at, const char* what) {
    damage.note(at, what);
    return false;
  }
  bool read_head() {
    if (size < sizeof head) return no(size, "it ends within its head");
    std::memcpy(&head, data, sizeof head);
    if (std::memcmp(head.magic, kSnapshotMagic, sizeof head.magic) != 0) {
      return no(0, "it does not begin as a snapshot does");
    }
    if (head.checksum != head_checksum(data)) return no(0, "its head does not fit its checksum");
    is_future = head.version > kSnapshotVersion;
    if (is_future) return false;
    if (head.version == 0) return no(8, "it has no version");
    if (head.sequence < 0 || head.cut_time < 0 || head.caps_generation < 1 ||
        head.caps_generation > UINT32_MAX) {
      return no(32, "its head has a number out of range");
    }
    return true;
  }
  // Finds the chunks by their heads. Throws when memory is short.
  bool find_chunks() {
    std::size_t at = sizeof head;
    for (std::uint32_t number = 0;; ++number) {
      if (size - at < sizeof(ChunkHead)) return no(size, "it ends before its last chunk");
      ChunkHead chunk;
      std::memcpy(&chunk, data + at, sizeof chunk);
      if (chunk.size > kChunkBytesMost || chunk.number != number || chunk.shard >= kShards ||
          chunk.kind < kChunkCaps || chunk.kind > kChunkEnd || chunk.unused != 0 ||
          (chunk.shard != 0 && (chunk.kind == kChunkCaps || chunk.kind == kChunkEnd)) ||
          (chunk.count != 0 && chunk.kind == kChunkEnd)) {
        return no(at, "no chunk begins here");
      }
      if (size - at - sizeof chunk < chunk.size) return no(size, "it ends within a chunk");
      chunks.push_back(
          Chunk{data + at + sizeof chunk, chunk.kind, chunk.size, chunk.shard, chunk.count});
      at += sizeof chunk + chunk.size;
      if (chunk.kind == kChunkEnd) break;
    }
    if (at != size) return no(at, "something follows its last chunk");
    const Chunk& last = chunks.back();
    if (last.size != sizeof totals) return no(offset_of(last.payload), "its end has no totals");
    std::memcpy(&totals, last.payload, sizeof totals);
    return true;
  }
  void verify(std::size_t i) {
    const char* head_at = chunks[i].payload - sizeof(ChunkHead);
    std::uint64_t checksum;
    std::memcpy(&checksum, head_at, sizeof checksum);
    if (checksum != chunk_checksum(head_at, chunks[i].size)) {
      no(offset_of(head_at), "a chunk does not fit its checksum");
    }
  }
};

inline bool open_parts(SnapshotParts& parts, const char* data, std::size_t size) {
  parts.data = data;
  parts.size = size;
  return parts.read_head() && parts.find_chunks();
}

// Calls work(context, i) for each i below `count`, on this thread and others.
inline void run_on_all(unsigned threads, std::size_t count, void (*work)(void*, std::size_t),
                       void* context) noexcept {
  std::size_t next = 0;
  const auto loop = [&] {
    for (;;) {
      const std::size_t i = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
      if (i >= count) return;
      work(context, i);
    }
  };
  std::vector<std::thread> others;
  try {
    others.reserve(threads);
    while (others.size() + 1 < threads) others.emplace_back(loop);
  } catch (...) {
    // then with as many as there are
  }
  loop();
  for (std::thread& other : others) other.join();
}
// How many threads are worth their start for so many bytes.
inline unsigned threads_for(std::int64_t bytes) {
  constexpr std::int64_t alone = 4 << 20;
  const unsigned threads = bytes < alone ? 1 : std::thread::hardware_concurrency();
  return threads < 1 ? 1 : threads > 8 ? 8 : threads;
}
inline unsigned threads_for_state(Engine& engine) {
  std::int64_t bytes = 0;
  for (unsigned i = 0; i < kShards; ++i) bytes += engine.shard(i)->used_bytes;
  return threads_for(bytes);
}
inline void verify_part(void* parts, std::size_t i) {
  static_cast<SnapshotParts*>(parts)->verify(i);
}
inline void verify_all(SnapshotParts& parts, unsigned threads) noexcept {
  run_on_all(threads, parts.chunks.size(), verify_part, &parts);
}

// Room that is asked for where nothing may be thrown; false when memory is short.
template <class T>
bool push(std::vector<T>& into, const T& one) noexcept {
  try {
    into.push_back(one);
    return true;
  } catch (...) {
    return false;
  }
}

// The SKUs of one shard by the number that the snapshot gives them. A SKU has at least ten
// granules of its own, so that a tenth of its place is enough to tell it apart.
class SkuNumbers {
  static constexpr std::uint32_t kApart = (kSkuNameAt + kGranule) / kGranule;
  std::vector<Ref> refs_;

 public:
  // The number is of this shard. False when memory is short.
  bool set(std::uint32_t number, Ref ref) noexcept {
    const std::size_t slot = (number & kPlaceMask) / kApart;
    try {
      if (slot >= refs_.size()) refs_.resize(std::max(slot + 1, refs_.size() * 3 / 2));
    } catch (...) {
      return false;
    }
    refs_[slot] = ref;
    return true;
  }
  // 0: no SKU has it.
  Ref find(std::uint32_t number) const {
    const std::size_t slot = (number & kPlaceMask) / kApart;
    return slot < refs_.size() ? refs_[slot] : 0;
  }
};

// A live line, to be linked into its SKU's heap once all SKUs and records are there.
struct Link {
  std::int64_t expire_time;
  Ref line;
  Ref sku;
};
struct Ended {
  std::uint64_t order;  // by sequence, receipts first
  Ref record;
  bool operator<(const Ended& other) const { return order < other.order; }
};
struct UidOfRule {
  std::uint32_t uid;
  std::uint32_t rule;
  bool operator<(const UidOfRule& other) const { return uid < other.uid; }
};

// A snapshot being loaded into a fresh engine.
struct Restoring {
  Engine* engine = nullptr;
  unsigned threads = 1;
  SnapshotParts parts;
  std::vector<UidOfRule> rules;
  SkuNumbers numbers[kShards];
  std::vector<Link> links[kShards][kShards];  // by the record's shard, then the SKU's
  std::vector<Ended> ended[kShards];
  SnapshotTotals found[kShards]{};

  bool add_link(unsigned record_shard, const Link& link) noexcept {
    return push(links[record_shard][link.sku >> kPlaceBits], link);
  }
  void sort_ended(unsigned shard) { std::sort(ended[shard].begin(), ended[shard].end()); }
  // The rule of a counter, or nullptr.
  const Rule* rule_of_uid(std::uint32_t uid) const {
    const auto at = std::lower_bound(rules.begin(), rules.end(), UidOfRule{uid, 0});
    return at == rules.end() || at->uid != uid ? nullptr : &engine->caps.rules[at->rule];
  }
  void list_rules() {
    for (std::uint32_t i = 0; i < engine->caps.rules.size(); ++i) {
      rules.push_back(UidOfRule{engine->caps.rules[i].uid, i});
    }
    std::sort(rules.begin(), rules.end());
  }
};

}  // namespace atp
