// Memory for the buckets of hash tables: where they are is known to those who fetch ahead. Owns
// what outlives its use until the table goes; knows nothing of what is in it.
#pragma once
#include <new>
#include <vector>

#include "table_room.h"

namespace atp {

constexpr std::size_t kPagesFrom = kPage;  // tables of this size and more have whole pages

// Where a table's buckets are, for whoever fetches one into the cache ahead of its use and holds
// no lock: being wrong costs time, never an answer. No such read meets memory that is gone: the
// room's stays until the engine goes, and other buckets keep their addresses, pages without memory
// behind them, until the table does.
struct BucketPlaces {
  struct Retired {
    void* at;
    std::size_t size;
  };
  char* current = nullptr;
  TableRoom* room;
  std::vector<Retired> retired;

  explicit BucketPlaces(TableRoom* of) : room(of) {}
  BucketPlaces(const BucketPlaces&) = delete;
  BucketPlaces& operator=(const BucketPlaces&) = delete;
  ~BucketPlaces() {
    for (const Retired& one : retired) release(one.at, one.size);
  }
  void* take(std::size_t size) {
    retired.reserve(retired.size() + 1);  // for what these buckets take the place of
    void* at = size < kPagesFrom ? std::malloc(size) : room->take(size);
    if (at == nullptr && size >= kPagesFrom) at = take_pages(size);
    if (at == nullptr) throw std::bad_alloc();
    __atomic_store_n(&current, static_cast<char*>(at), __ATOMIC_RELEASE);
    return at;
  }
  void retire(void* at, std::size_t size) {
    if (room->has(at)) return room->give(at, size);
    if (size >= kPagesFrom) empty_pages(at, size);
    retired.push_back({at, size});
  }
  static void release(void* at, std::size_t size) {
    if (size < kPagesFrom) {
      std::free(at);
    } else {
      drop_pages(at, size);
    }
  }
};

template <class T>
struct KnownPlace {
  using value_type = T;
  BucketPlaces* places;
  explicit KnownPlace(BucketPlaces* known) : places(known) {}
  template <class U>
  KnownPlace(const KnownPlace<U>& other) : places(other.places) {}
  T* allocate(std::size_t count) { return static_cast<T*>(places->take(count * sizeof(T))); }
  void deallocate(T* at, std::size_t count) { places->retire(at, count * sizeof(T)); }
  template <class U>
  bool operator==(const KnownPlace<U>& other) const {
    return places == other.places;
  }
};

}  // namespace atp
