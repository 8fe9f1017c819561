# What the engine uses of C++: locks, atomics, hashing. See native.h.
from libc.stdint cimport int64_t, uint32_t, uint64_t


cdef extern from "atp/engine/native.h" namespace "atp" nogil:
    struct Key:
        uint64_t high
        uint64_t low

    cppclass Lock:
        bint try_take() noexcept
        void take() noexcept
        void give() noexcept

    void check(bint condition, const char* what) noexcept
    void poison(void* address, size_t size) noexcept
    void unpoison(void* address, size_t size) noexcept
    int64_t load(const int64_t* at) noexcept
    void store(int64_t* at, int64_t value) noexcept
    int64_t add(int64_t* at, int64_t delta) noexcept
    void show(uint32_t* at, uint32_t value) noexcept
    void lower_to(int64_t* at, int64_t value) noexcept
    void raise_to(int64_t* at, int64_t value) noexcept
    uint64_t hash64(const void* data, size_t size) noexcept
    Key hash128(const void* data, size_t size) noexcept
    bint same_key(const Key* a, const Key* b) noexcept
    void* regrow_pages(void* old, size_t old_size, size_t size) noexcept
    bint open_pages(char* at, size_t size) noexcept
    void prefetch_to_read(const void* at) noexcept
    void prefetch_to_write(const void* at) noexcept


cdef extern from * nogil:
    int count_trailing_zeros "__builtin_ctzll" (uint64_t bits) noexcept
    int count_leading_zeros "__builtin_clzll" (uint64_t bits) noexcept
