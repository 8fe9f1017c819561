// What C++ must say for the engine: checks, a lock, atomics, hashing. Decides nothing.
// ATP_CHECK stops the process at a programmer's error and is always on; ATP_VERIFY is for costly
// checks and is on in debug builds only.
#pragma once
#include <sched.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define ATP_CHECK(condition)                                                                     \
  do {                                                                                           \
    if (__builtin_expect(!(condition), 0)) {                                                     \
      std::fprintf(stderr, "atp: a check of the engine failed at %s:%d: %s\n", __FILE__,         \
                   __LINE__, #condition);                                                        \
      std::abort();                                                                              \
    }                                                                                            \
  } while (0)

#ifdef ATP_DEBUG
#define ATP_VERIFY(condition) ATP_CHECK(condition)
#else
#define ATP_VERIFY(condition) ((void)0)
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define ATP_POISON(address, size) ASAN_POISON_MEMORY_REGION(address, size)
#define ATP_UNPOISON(address, size) ASAN_UNPOISON_MEMORY_REGION(address, size)
#else
#define ATP_POISON(address, size) ((void)(address), (void)(size))
#define ATP_UNPOISON(address, size) ((void)(address), (void)(size))
#endif

namespace atp {

inline void check(bool condition, const char* what) {
  if (__builtin_expect(!condition, 0)) {
    std::fprintf(stderr, "atp: a check of the engine failed: %s\n", what);
    std::abort();
  }
}

inline void prefetch_to_read(const void* at) { __builtin_prefetch(at); }
inline void prefetch_to_write(const void* at) { __builtin_prefetch(at, 1); }
inline void poison(void* address, std::size_t size) { ATP_POISON(address, size); }
inline void unpoison(void* address, std::size_t size) { ATP_UNPOISON(address, size); }

// A lock for critical sections of a microsecond: spins for a moment, then lets others run. Four
// bytes, so that it shares a cache line with what it guards.
struct Lock {
  std::uint32_t taken = 0;

  bool try_take() {
    return !__atomic_load_n(&taken, __ATOMIC_RELAXED) &&
           !__atomic_exchange_n(&taken, 1u, __ATOMIC_ACQUIRE);
  }
  void take() {
    for (unsigned spins = 0; __builtin_expect(!try_take(), 0); ++spins) {
      if (spins % 64 == 63) {
        sched_yield();
      } else {
        __builtin_ia32_pause();
      }
    }
  }
  void give() { __atomic_store_n(&taken, 0u, __ATOMIC_RELEASE); }
};

inline std::int64_t load(const std::int64_t* at) { return __atomic_load_n(at, __ATOMIC_SEQ_CST); }
inline void store(std::int64_t* at, std::int64_t value) {
  __atomic_store_n(at, value, __ATOMIC_SEQ_CST);
}
inline void store_relaxed(std::int64_t* at, std::int64_t value) {
  __atomic_store_n(at, value, __ATOMIC_RELAXED);
}
// Returns the new value.
inline std::int64_t add(std::int64_t* at, std::int64_t delta) {
  return __atomic_add_fetch(at, delta, __ATOMIC_SEQ_CST);
}
// What one thread at a time changes, and others look at who don't mind to be late.
inline std::uint32_t look(const std::uint32_t* at) { return __atomic_load_n(at, __ATOMIC_RELAXED); }
inline void show(std::uint32_t* at, std::uint32_t value) {
  __atomic_store_n(at, value, __ATOMIC_RELAXED);
}
inline void lower_to(std::int64_t* at, std::int64_t value) {
  std::int64_t seen = load(at);
  while (value < seen && !__atomic_compare_exchange_n(at, &seen, value, false, __ATOMIC_SEQ_CST,
                                                      __ATOMIC_SEQ_CST)) {
  }
}
inline void raise_to(std::int64_t* at, std::int64_t value) {
  std::int64_t seen = load(at);
  while (value > seen && !__atomic_compare_exchange_n(at, &seen, value, false, __ATOMIC_SEQ_CST,
                                                      __ATOMIC_SEQ_CST)) {
  }
}

template <class Word>
Word word_at(const char* bytes) {
  Word word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}
// For names, most of which are short: the last word may overlap the one before.
inline bool same_bytes(const void* left, const void* right, std::size_t size) {
  const char* a = static_cast<const char*>(left);
  const char* b = static_cast<const char*>(right);
  using Eight = std::uint64_t;
  using Four = std::uint32_t;
  if (size >= 8) {
    for (; size > 8; size -= 8, a += 8, b += 8) {
      if (word_at<Eight>(a) != word_at<Eight>(b)) return false;
    }
    return word_at<Eight>(a + size - 8) == word_at<Eight>(b + size - 8);
  }
  if (size >= 4) {
    return word_at<Four>(a) == word_at<Four>(b) &&
           word_at<Four>(a + size - 4) == word_at<Four>(b + size - 4);
  }
  for (; size; --size, ++a, ++b) {
    if (*a != *b) return false;
  }
  return true;
}

inline std::uint64_t hash64(const void* data, std::size_t size) { return XXH3_64bits(data, size); }

// A request id's 16 bytes: XXH3-128 in canonical (big-endian) order, as two words for fast
// compares.
struct Key {
  std::uint64_t high;
  std::uint64_t low;
};
inline Key hash128(const void* data, std::size_t size) {
  const XXH128_hash_t hash = XXH3_128bits(data, size);
  return Key{hash.high64, hash.low64};
}
inline bool same_key(const Key* a, const Key* b) { return a->high == b->high && a->low == b->low; }

// A stretch of address space that costs nothing until it is touched. Where the system wants to know
// beforehand how much that will be (strict overcommit), it is opened step by step: `is_open` says.
// Its pages are small, also where the system would give large ones at the first touch of anything.
inline char* reserve_pages(std::size_t size, bool* is_open) {
  const int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, kind, -1, 0);
  *is_open = at != MAP_FAILED;
  if (!*is_open) at = mmap(nullptr, size, PROT_NONE, kind, -1, 0);
  if (at != MAP_FAILED) madvise(at, size, MADV_NOHUGEPAGE);
  return at == MAP_FAILED ? nullptr : static_cast<char*>(at);
}
// Whole pages that grow in place where they can and go back to the system when they are not needed:
// for large tables, whose old copies would else stay behind in the allocator.
inline std::size_t whole_pages(std::size_t size) { return (size + 4095) / 4096 * 4096; }
inline void* take_pages(std::size_t size) {
  const int kind = MAP_PRIVATE | MAP_ANONYMOUS;
  void* at = mmap(nullptr, whole_pages(size), PROT_READ | PROT_WRITE, kind, -1, 0);
  return at == MAP_FAILED ? nullptr : at;
}
inline void* regrow_pages(void* old, std::size_t old_size, std::size_t size) {
  if (old == nullptr) return take_pages(size);
  void* at = mremap(old, whole_pages(old_size), whole_pages(size), MREMAP_MAYMOVE);
  return at == MAP_FAILED ? nullptr : at;
}
inline void empty_pages(void* at, std::size_t size) { madvise(at, size, MADV_DONTNEED); }
inline void drop_pages(void* at, std::size_t size) {
  if (at != nullptr) munmap(at, whole_pages(size));
}
inline bool open_pages(char* at, std::size_t size) {
  return mprotect(at, size, PROT_READ | PROT_WRITE) == 0;
}
inline void return_pages(char* at, std::size_t size) { munmap(at, size); }

}  // namespace atp
