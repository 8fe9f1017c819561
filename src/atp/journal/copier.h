// Writes a snapshot: from a shard's blocks, under its lock and a few at a time, into chunks, and
// these into the file with no lock held. Owns the buffer and the clock that is kept on the locks;
// what to copy, and when a shard is done, is said in copying.pxd.
#pragma once
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#include "snapshot.h"

namespace atp {

inline std::int64_t monotonic_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000 + now.tv_nsec;
}
inline void rest_ns(long ns) {
  const timespec rest{0, ns};
  nanosleep(&rest, nullptr);
}

// One chunk at a time is filled and then written.
class ChunkFile {
  static constexpr std::int64_t kFlushEvery = 8 << 20;  // bytes handed to the disk at a time
  int fd_ = -1;
  char* buffer_ = nullptr;
  std::size_t used_ = 0;
  ChunkHead head_{};
  std::uint32_t chunks_ = 0;
  std::int64_t flushed_ = 0;

  bool write_out(const char* bytes, std::size_t size) {
    while (size) {
      const ssize_t written = ::pwrite(fd_, bytes, size, at);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) {
        error = written < 0 ? errno : EIO;
        return false;
      }
      bytes += written;
      size -= static_cast<std::size_t>(written);
      at += written;
    }
    return true;
  }

 public:
  std::int64_t at = 0;
  int error = 0;  // an errno
  SnapshotTotals totals{};

  ChunkFile() = default;
  ChunkFile(const ChunkFile&) = delete;
  ChunkFile& operator=(const ChunkFile&) = delete;
  ~ChunkFile() { std::free(buffer_); }
  // False when memory is short.
  bool open(int fd) {
    fd_ = fd;
    buffer_ = static_cast<char*>(std::malloc(sizeof(ChunkHead) + kChunkBytesMost));
    return buffer_ != nullptr;
  }
  bool write_head(SnapshotHead head) {
    std::memcpy(head.magic, kSnapshotMagic, sizeof head.magic);
    head.version = kSnapshotVersion;
    head.checksum = head_checksum(reinterpret_cast<const char*>(&head));
    return write_out(reinterpret_cast<const char*>(&head), sizeof head);
  }
  void begin(std::uint32_t kind, std::uint32_t shard) {
    head_ = ChunkHead{0, kind, 0, 0, shard, 0, 0};
    used_ = 0;
  }
  // Room for an entry, or nullptr: the chunk must be written first.
  char* room(std::size_t size) {
    return kChunkBytesMost - used_ < size ? nullptr : buffer_ + sizeof(ChunkHead) + used_;
  }
  void took(std::size_t size, std::uint32_t count = 1) {
    used_ += size;
    head_.count += count;
  }
  // Writes the chunk, if there is anything in it, and begins the next of its kind.
  bool write() {
    if (used_ == 0) return true;
    const char* payload = buffer_ + sizeof(ChunkHead);
    if (head_.kind >= kChunkSkus && head_.kind <= kChunkCounters) {
      const char* entry = payload;
      while (entry < payload + used_) entry = add_entry(totals, head_.kind, entry);
    }
    head_.size = static_cast<std::uint32_t>(used_);
    head_.number = chunks_++;
    std::memcpy(buffer_, &head_, sizeof head_);
    head_.checksum = chunk_checksum(buffer_, used_);
    std::memcpy(buffer_, &head_, sizeof head_.checksum);
    const bool ok = write_out(buffer_, sizeof(ChunkHead) + used_);
    begin(head_.kind, head_.shard);
    if (ok && at - flushed_ >= kFlushEvery) {
      // So that the sync at the end, and syncs of the journal meanwhile, don't find it all undone.
      sync_file_range(fd_, flushed_, at - flushed_, SYNC_FILE_RANGE_WRITE);
      flushed_ = at;
    }
    return ok;
  }
  bool write_end() {
    begin(kChunkEnd, 0);
    std::memcpy(room(sizeof totals), &totals, sizeof totals);
    took(sizeof totals, 0);
    return write();
  }
};

// A snapshot being taken.
struct Copying {
  Engine* engine = nullptr;
  std::int64_t sequence = 0;
  std::int64_t cut_time = 0;
  std::int64_t held_most = 0;  // ns: the longest that a lock was held
  std::int64_t held_since = 0;
  bool short_of_memory = false;
  ChunkFile file;
  AsideBudget budget;
  Aside asides[kShards];
  SnapshotHead head{};
  std::vector<std::string> caps;  // their entries
  std::vector<std::uint32_t> cap_uids;
  std::vector<std::uint32_t> places;

  void locked() { held_since = monotonic_ns(); }
  void unlocked() { held_most = std::max(held_most, monotonic_ns() - held_since); }
  bool room_for_places(std::size_t count) noexcept {
    try {
      places.clear();
      places.reserve(count);
      return true;
    } catch (...) {
      return false;
    }
  }
  void sort_places() { std::sort(places.begin(), places.end()); }
};

// The caps as they are until somebody changes one, who is kept from it until the cut is made.
// Throws when memory is short.
inline void list_caps(Copying& copying) {
  for (const Rule& rule : copying.engine->caps.rules) {
    const CapEntry entry{rule.uid,
                         rule.since_generation,
                         rule.set_sequence,
                         rule.update_time,
                         load(&rule.statistics->refused),
                         load(&rule.statistics->shadow_refused),
                         static_cast<std::uint32_t>(rule.definition.size())};
    copying.caps.emplace_back(reinterpret_cast<const char*>(&entry), sizeof entry);
    copying.caps.back() += rule.definition;
    copying.cap_uids.push_back(rule.uid);
  }
  std::sort(copying.cap_uids.begin(), copying.cap_uids.end());
  copying.head.caps_generation = copying.engine->plan.generation;
  copying.head.next_cap_uid = copying.engine->next_cap_uid;
}
inline bool write_caps(Copying& copying) {
  ChunkFile& file = copying.file;
  file.begin(kChunkCaps, 0);
  for (const std::string& cap : copying.caps) {
    if (file.room(cap.size()) == nullptr && !file.write()) return false;
    std::memcpy(file.room(cap.size()), cap.data(), cap.size());
    file.took(cap.size());
    file.totals.caps += 1;
  }
  return file.write();
}

inline void name_aside(Copying& copying, Shard* shard) {
  Aside& aside = copying.asides[shard->number];
  aside.cap_uids = &copying.cap_uids;
  aside.budget = &copying.budget;
  shard->aside = &aside;
  shard->cut_sequence = copying.sequence;
}

template <class Block>
const Block* block_at(const Shard* shard, std::uint32_t place) {
  return reinterpret_cast<const Block*>(shard->base + std::size_t{place} * kGranule);
}

inline void fetch_blocks(const Copying& copying, const Shard* shard, std::size_t from,
                         std::size_t to) {
  for (std::size_t i = from; i < std::min(to, copying.places.size()); ++i) {
    const char* block = block_at<char>(shard, copying.places[i]);
    __builtin_prefetch(block);
    __builtin_prefetch(block + 64);
  }
}

// Copies blocks of the list that are as they were at the cut, until the chunk is full. Returns
// where to go on from. The shard is locked.
template <class Block>
std::size_t copy_blocks(Copying& copying, const Shard* shard, std::size_t from, std::size_t to) {
  to = std::min(to, copying.places.size());
  for (; from < to; ++from) {
    const Block* block = block_at<Block>(shard, copying.places[from]);
    if (block->last_sequence > copying.sequence || !is_kept(shard->aside, block)) continue;
    const std::size_t size = entry_bytes(shard, block);
    char* into = copying.file.room(size);
    if (into == nullptr) break;
    write_entry(shard, block, into);
    copying.file.took(size);
  }
  if (from != 0) {
    const std::uint32_t last = copying.places[from - 1];
    shard->aside->of(block_at<Block>(shard, last)).copied = last + 1;
  }
  return from;
}

// Writes the entries that others kept aside. The shard has been copied.
inline bool write_pile(ChunkFile& file, const Pile& pile) {
  for (Pile::Page* page = pile.first; page != nullptr; page = page->next) {
    char* into = file.room(page->used);
    if (into == nullptr) {
      if (!file.write()) return false;
      into = file.room(page->used);
    }
    std::memcpy(into, page->bytes(), page->used);
    file.took(page->used, page->count);
  }
  return file.write();
}

}  // namespace atp
