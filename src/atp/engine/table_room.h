// Memory for the hash tables of an engine: one stretch of address space, so that many tables share
// a large page, and a look-up seldom waits until the processor has found where a page is. Owns
// which pages of it are free (a buddy system: D. Knuth, The Art of Computer Programming 1, 2.5);
// knows nothing of what is in them. What was given back may be read until the engine goes.
#pragma once
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <bit>

#include "native.h"

namespace atp {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kLargePage = std::size_t{1} << 21;

class TableRoom {
 public:
  // From here on pages are large, where the system has such: a small engine needs no more.
  static constexpr std::size_t kLargeFrom = std::size_t{1} << 22;

  TableRoom() = default;
  TableRoom(const TableRoom&) = delete;
  TableRoom& operator=(const TableRoom&) = delete;
  ~TableRoom() {
    if (region_ != nullptr) return_pages(region_, kBytes + kLargePage);
    if (orders_ != nullptr) return_pages(orders_, kPages);
  }

  // Where memory has to be asked for (see reserve_pages) there is no room; tables have pages of
  // their own then, as they have when it is full.
  void open() {
    bool is_open = false, are_open = false;
    region_ = reserve_pages(kBytes + kLargePage, &is_open);
    orders_ = reserve_pages(kPages, &are_open);
    if (region_ == nullptr || orders_ == nullptr || !is_open || !are_open) return;
    const auto at = reinterpret_cast<std::uintptr_t>(region_);
    base_ = region_ + (kLargePage - at % kLargePage) % kLargePage;
    first_.fill(kNone);
    madvise(base_ + kLargeFrom, kBytes - kLargeFrom, MADV_HUGEPAGE);
  }
  bool is_open() const { return base_ != nullptr; }

  // So many bytes, a power of two of pages; null: there are none left, or never were.
  void* take(std::size_t bytes) {
    const unsigned order = order_of(bytes);
    if (order >= kOrders || !is_open()) return nullptr;
    lock_.take();
    const std::uint32_t page = find(order);
    lock_.give();
    return page == kNone ? nullptr : base_ + std::size_t{page} * kPage;
  }
  void give(void* at, std::size_t bytes) {
    const auto offset = static_cast<std::size_t>(static_cast<char*>(at) - base_);
    lock_.take();
    join(static_cast<std::uint32_t>(offset / kPage), order_of(bytes));
    lock_.give();
  }

  bool has(const void* at) const {
    const auto place = reinterpret_cast<std::uintptr_t>(at);
    return is_open() && place >= begin() && place < end();
  }

  // Where it begins and ends, and up to where it was ever used; needs no lock.
  std::uintptr_t begin() const { return reinterpret_cast<std::uintptr_t>(base_); }
  std::uintptr_t end() const { return begin() + kBytes; }
  std::uintptr_t used() const {
    return begin() + std::size_t{fresh_.load(std::memory_order_relaxed)} * kPage;
  }

 private:
  static constexpr unsigned kOrders = 21;  // 4 GiB: the tables of some 200 million holds
  static constexpr std::uint32_t kPages = std::uint32_t{1} << (kOrders - 1);
  static constexpr std::size_t kBytes = kPages * kPage;
  static constexpr std::uint32_t kNone = UINT32_MAX;

  // A free block begins with its neighbours in the list of its order.
  struct Free {
    std::uint32_t previous, next;
  };

  static unsigned order_of(std::size_t bytes) {
    return static_cast<unsigned>(std::bit_width((bytes - 1) / kPage));
  }
  Free* free_at(std::uint32_t page) const {
    return reinterpret_cast<Free*>(base_ + std::size_t{page} * kPage);
  }

  void push(std::uint32_t page, unsigned order) {
    *free_at(page) = Free{kNone, first_[order]};
    if (first_[order] != kNone) free_at(first_[order])->previous = page;
    first_[order] = page;
    orders_[page] = static_cast<char>(order + 1);
  }
  void remove(std::uint32_t page, unsigned order) {
    const Free block = *free_at(page);
    (block.previous == kNone ? first_[order] : free_at(block.previous)->next) = block.next;
    if (block.next != kNone) free_at(block.next)->previous = block.previous;
    orders_[page] = 0;
  }

  std::uint32_t find(unsigned order) {
    for (unsigned larger = order; larger < kOrders; ++larger) {
      const std::uint32_t page = first_[larger];
      if (page == kNone) continue;
      remove(page, larger);
      while (larger > order) {
        --larger;
        push(page + (std::uint32_t{1} << larger), larger);
      }
      return page;
    }
    return find_fresh(order);
  }

  // Beyond all that was ever used; blocks begin where a multiple of their size does.
  std::uint32_t find_fresh(unsigned order) {
    const std::uint32_t size = std::uint32_t{1} << order;
    std::uint32_t page = fresh_.load(std::memory_order_relaxed);
    if ((page + size - 1) / size * size > kPages - size) return kNone;
    for (; page % size != 0; page += page & -page) {
      join(page, static_cast<unsigned>(__builtin_ctz(page)));
    }
    fresh_.store(page + size, std::memory_order_relaxed);
    return page;
  }

  // With its other half, if that is free, and so on.
  void join(std::uint32_t page, unsigned order) {
    for (; order + 1 < kOrders; ++order) {
      const std::uint32_t other = page ^ (std::uint32_t{1} << order);
      if (orders_[other] != static_cast<char>(order + 1)) break;
      remove(other, order);
      page &= ~(std::uint32_t{1} << order);
    }
    push(page, order);
  }

  Lock lock_;
  char* region_ = nullptr;
  char* base_ = nullptr;
  char* orders_ = nullptr;  // by page: 1 more than the order of the free block that begins there
  std::atomic<std::uint32_t> fresh_{0};
  std::array<std::uint32_t, kOrders> first_{};
};

}  // namespace atp
