// Reads a snapshot's frame and trusts nothing of it: every bound is checked, and the first thing
// that is wrong is told with its offset. Also runs work on all shards with several threads. What
// entries mean is for restoring.pxd.
#pragma once
#include <unistd.h>

#include <cerrno>
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
  std::uint64_t offset;  // of its head
  std::uint32_t kind;
  std::uint32_t size;
  std::uint32_t shard;
  std::uint32_t count;
};

// What is still to be read of a chunk's payload.
struct Cursor {
  const char* at = nullptr;
  const char* end = nullptr;

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

constexpr unsigned kThreadsMost = 8;

// A snapshot's bytes, in memory or in a file, of which then only a chunk for each thread is.
class SnapshotBytes {
  const char* data_ = nullptr;
  int fd_ = -1;
  std::vector<char> chunks_[kThreadsMost];

 public:
  std::uint64_t size = 0;

  void open(const char* data, std::uint64_t bytes) {
    data_ = data;
    size = bytes;
  }
  void open_file(int fd, std::uint64_t bytes) {
    fd_ = fd;
    size = bytes;
  }
  // So many bytes from there on, which are within `size`; nullptr when they can't be read.
  const char* at(std::uint64_t offset, std::size_t bytes, unsigned thread) noexcept {
    if (data_ != nullptr) return data_ + offset;
    std::vector<char>& chunk = chunks_[thread];
    try {
      if (chunk.size() < bytes) chunk.resize(sizeof(ChunkHead) + kChunkBytesMost);
    } catch (...) {
      return nullptr;
    }
    for (std::size_t got = 0; got < bytes;) {
      const ssize_t some = ::pread(fd_, chunk.data() + got, bytes - got,
                                   static_cast<off_t>(offset + got));
      if (some < 0 && errno == EINTR) continue;
      if (some <= 0) return nullptr;
      got += static_cast<std::size_t>(some);
    }
    return chunk.data();
  }
};

struct SnapshotParts {
  SnapshotBytes bytes;
  SnapshotHead head{};
  SnapshotTotals totals{};
  std::vector<Chunk> chunks;
  bool is_future = false;
  Damage damage;

  bool no(std::uint64_t at, const char* what) {
    damage.note(at, what);
    return false;
  }
  template <class T>
  bool read(std::uint64_t at, T* into) {
    const char* from = bytes.at(at, sizeof *into, 0);
    if (from == nullptr) return no(at, "it can't be read");
    std::memcpy(into, from, sizeof *into);
    return true;
  }
  bool read_head() {
    if (bytes.size < sizeof head) return no(bytes.size, "it ends within its head");
    if (!read(0, &head)) return false;
    if (std::memcmp(head.magic, kSnapshotMagic, sizeof head.magic) != 0) {
      return no(0, "it does not begin as a snapshot does");
    }
    if (head.checksum != head_checksum(reinterpret_cast<const char*>(&head))) {
      return no(0, "its head does not fit its checksum");
    }
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
    std::uint64_t at = sizeof head;
    for (std::uint32_t number = 0;; ++number) {
      ChunkHead chunk;
      if (bytes.size - at < sizeof chunk) return no(bytes.size, "it ends before its last chunk");
      if (!read(at, &chunk)) return false;
      if (chunk.size > kChunkBytesMost || chunk.number != number || chunk.shard >= kShards ||
          chunk.kind < kChunkCaps || chunk.kind > kChunkEnd || chunk.unused != 0 ||
          (chunk.shard != 0 && (chunk.kind == kChunkCaps || chunk.kind == kChunkEnd)) ||
          (chunk.count != 0 && chunk.kind == kChunkEnd)) {
        return no(at, "no chunk begins here");
      }
      if (bytes.size - at - sizeof chunk < chunk.size) {
        return no(bytes.size, "it ends within a chunk");
      }
      chunks.push_back(Chunk{at, chunk.kind, chunk.size, chunk.shard, chunk.count});
      at += sizeof chunk + chunk.size;
      if (chunk.kind == kChunkEnd) break;
    }
    if (at != bytes.size) return no(at, "something follows its last chunk");
    const Chunk& last = chunks.back();
    if (last.size != sizeof totals) return no(last.offset, "its end has no totals");
    Cursor cursor;
    if (!open_chunk(last, 0, &cursor)) return false;
    cursor.read(&totals);
    return true;
  }
  // A chunk's payload, once its checksum was seen to fit. False when it doesn't.
  bool open_chunk(const Chunk& chunk, unsigned thread, Cursor* cursor) {
    const char* from = bytes.at(chunk.offset, sizeof(ChunkHead) + chunk.size, thread);
    if (from == nullptr) return no(chunk.offset, "a chunk can't be read");
    std::uint64_t checksum;
    std::memcpy(&checksum, from, sizeof checksum);
    if (checksum != chunk_checksum(from, chunk.size)) {
      return no(chunk.offset, "a chunk does not fit its checksum");
    }
    cursor->at = from + sizeof(ChunkHead);
    cursor->end = cursor->at + chunk.size;
    return true;
  }
  bool open() { return read_head() && find_chunks(); }
};

// Calls work(context, i, thread) for each i below `count`, on this thread and others.
inline void run_on_all(unsigned threads, std::size_t count,
                       void (*work)(void*, std::size_t, unsigned), void* context) noexcept {
  std::size_t next = 0;
  const auto loop = [&](unsigned thread) {
    for (;;) {
      const std::size_t i = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
      if (i >= count) return;
      work(context, i, thread);
    }
  };
  std::vector<std::thread> others;
  try {
    others.reserve(threads);
    for (unsigned i = 1; i < threads; ++i) others.emplace_back(loop, i);
  } catch (...) {
    // then with as many as there are
  }
  loop(0);
  for (std::thread& other : others) other.join();
}
// How many threads are worth their start for so many bytes.
inline unsigned threads_for(std::int64_t bytes) {
  constexpr std::int64_t alone = 4 << 20;
  const unsigned threads = bytes < alone ? 1 : std::thread::hardware_concurrency();
  return std::clamp(threads, 1u, kThreadsMost);
}
inline unsigned threads_for_state(Engine& engine) {
  std::int64_t bytes = 0;
  for (unsigned i = 0; i < kShards; ++i) bytes += engine.shard(i)->used_bytes;
  return threads_for(bytes);
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
  void fetch(std::uint32_t number) const {
    const std::size_t slot = (number & kPlaceMask) / kApart;
    if (slot < refs_.size()) __builtin_prefetch(&refs_[slot]);
  }
  // 0: no SKU has it.
  Ref find(std::uint32_t number) const {
    const std::size_t slot = (number & kPlaceMask) / kApart;
    return slot < refs_.size() ? refs_[slot] : 0;
  }
};

// A live line, to stand among those of its SKU once all SKUs and records are there.
struct Link {
  std::int64_t expire_time;
  Ref line;
  Ref sku;
  bool operator<(const Link& other) const { return expire_time < other.expire_time; }
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

  // Sends for what a record to come will look up, its first SKU, and steps over it.
  void send_for_record(Cursor* ahead) const {
    RecordEntry record;
    if (!ahead->read(&record)) return;
    const char* line = ahead->take(record.line_count * sizeof(LineEntry));
    const char* rest = ahead->take(record_address_size(record.flags) + record.customer_size);
    if (line == nullptr || rest == nullptr) ahead->at = ahead->end;
    if (line == nullptr || record.line_count == 0) return;
    std::uint32_t sku;
    std::memcpy(&sku, line, sizeof sku);
    numbers[sku >> kPlaceBits].fetch(sku);
  }
  // The same for a line that will be linked: itself and its SKU.
  void send_for_link(const std::vector<Link>& all, std::size_t i) const {
    if (i >= all.size()) return;
    const auto block = [&](Ref ref) {
      return engine->shard(ref >> kPlaceBits)->base + std::size_t{ref & kPlaceMask} * kGranule;
    };
    __builtin_prefetch(block(all[i].line), 1);
    __builtin_prefetch(block(all[i].sku), 1);
    __builtin_prefetch(block(all[i].sku) + 64, 1);
  }
  bool add_link(unsigned record_shard, const Link& link) noexcept {
    return push(links[record_shard][link.sku >> kPlaceBits], link);
  }
  // All of one shard's SKUs, the first to end first, as they came; false when memory is short.
  bool gather_links(unsigned shard, std::vector<Link>* into) noexcept {
    try {
      for (auto& some : links) {
        into->insert(into->end(), some[shard].begin(), some[shard].end());
        some[shard] = {};
      }
      std::sort(into->begin(), into->end());
      return true;
    } catch (...) {
      return false;
    }
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
