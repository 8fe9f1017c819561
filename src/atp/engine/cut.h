// What a snapshot of a running engine needs of a shard: what a block was like at the cut, kept
// aside by whoever changes it first, and memory that must not change hands meanwhile. Owns both
// for the time of a cut; when a block must be kept is said in cut.pxd.
#pragma once
#include <algorithm>

#include "entry.h"

namespace atp {

// How many bytes a cut may keep aside, of all shards together.
struct AsideBudget {
  std::int64_t taken = 0;
  std::int64_t most = 0;

  bool take(std::size_t bytes) {
    return atp::add(&taken, static_cast<std::int64_t>(bytes)) <= load(&most);
  }
};

// Entries one after another, in pages of their own. No entry is split.
struct Pile {
  struct Page {
    Page* next;
    std::size_t used;
    std::size_t room;
    std::uint32_t count;  // of entries
    char* bytes() { return reinterpret_cast<char*>(this + 1); }
  };
  static constexpr std::size_t kPageBytes = 65536;
  Page* first = nullptr;
  Page* last = nullptr;

  // Room for one more entry, or nullptr.
  char* add(std::size_t size, AsideBudget* budget) {
    if (last == nullptr || last->room - last->used < size) {
      const std::size_t bytes = std::max(kPageBytes, sizeof(Page) + size);
      Page* page = budget->take(bytes) ? static_cast<Page*>(std::malloc(bytes)) : nullptr;
      if (page == nullptr) return nullptr;
      *page = Page{nullptr, 0, bytes - sizeof(Page), 0};
      (last == nullptr ? first : last->next) = page;
      last = page;
    }
    char* at = last->bytes() + last->used;
    last->used += size;
    last->count += 1;
    return at;
  }
  void clear() {
    while (first != nullptr) {
      Page* const one = first;
      first = one->next;
      std::free(one);
    }
    last = nullptr;
  }
};

// A block that somebody gave back while its shard was copied.
struct Freed {
  Ref ref;
  std::uint32_t bytes;
};

// One shard's part of a cut. Guarded by the shard's lock while the shard names it.
struct Aside {
  // Of one kind: what others kept, and the place below which all has been copied.
  struct Kind {
    Pile pile;
    std::uint32_t copied = 0;
  };
  Kind skus;
  Kind records;
  Kind counters;
  Pile freed;
  const std::vector<std::uint32_t>* cap_uids = nullptr;  // of the caps at the cut, ascending
  AsideBudget* budget = nullptr;

  ~Aside() { clear(); }
  void clear() {
    for (Pile* one : {&skus.pile, &records.pile, &counters.pile, &freed}) one->clear();
  }
  Kind& of(const Sku*) { return skus; }
  Kind& of(const Record*) { return records; }
  Kind& of(const Counter*) { return counters; }
};

// Is the block part of the state? All are, but counters that count nothing, or for no cap.
inline bool is_kept(const Aside*, const Sku*) { return true; }
inline bool is_kept(const Aside*, const Record*) { return true; }
inline bool is_kept(const Aside* aside, const Counter* counter) {
  return counter->units != 0 &&
         std::binary_search(aside->cap_uids->begin(), aside->cap_uids->end(), counter->cap_uid);
}

// Keeps what a block of the cut is like, before it is changed. Short of memory the snapshot fails,
// never the command: the shard's cut ends at once, and whoever writes the snapshot sees it.
template <class Block>
__attribute__((noinline, cold)) void keep_aside(Shard* shard, const Block* block) noexcept {
  Aside* aside = shard->aside;
  Aside::Kind& kind = aside->of(block);
  if (place_of(shard, block) < kind.copied || !is_kept(aside, block)) return;
  char* into = kind.pile.add(entry_bytes(shard, block), aside->budget);
  if (into == nullptr) {
    shard->cut_sequence = kNoCut;
  } else {
    write_entry(shard, block, into);
  }
}

// Notes a block that is given back while its shard is copied; false when it was not noted, and can
// be given back now.
__attribute__((noinline, cold)) inline bool keep_place(Shard* shard, Ref ref,
                                                       std::size_t bytes) noexcept {
  Aside* aside = shard->aside;
  char* into =
      aside->budget->take(bytes) ? aside->freed.add(sizeof(Freed), aside->budget) : nullptr;
  if (into == nullptr) {
    shard->cut_sequence = kNoCut;
    return false;
  }
  const Freed freed{ref, static_cast<std::uint32_t>(bytes)};
  std::memcpy(into, &freed, sizeof freed);
  return true;
}

}  // namespace atp
