// Whose turn it is to run a loop: its own thread's, but for as long as that one is at the disk;
// then a stand-in's, so that a disk that stands still holds up nobody who doesn't wait for it. Owns
// the lock that goes from one to the other; runs nothing itself.
#pragma once
#include <uv.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace atp {

constexpr std::chrono::milliseconds kPatience{4};  // with the disk, before somebody stands in
constexpr int kLooksBeforeADoze = 100;

class Turn {
 public:
  // The loop's own thread, around everything.
  void begin() { loop_.lock(); }
  void end() { loop_.unlock(); }

  // The same thread, around what may take long; from here on the loop may be another's.
  void leave() {
    away_.store(away_.load(std::memory_order_relaxed) + 1);  // odd: away
    loop_.unlock();
    if (is_dozing_.load()) wake();
  }
  // `told` makes the loop go round once more: whoever stands in is waiting for events.
  void come_back(uv_async_t* told) {
    away_.store(away_.load(std::memory_order_relaxed) + 1);
    if (has_stand_in_.load()) uv_async_send(told);
    loop_.lock();
  }

  // The stand-in waits until the loop's thread has been away for too long. False: it is over.
  bool await_absence() {
    std::unique_lock<std::mutex> held(doze_);
    std::uint64_t seen = away_.load();
    for (int quiet = 0; !is_over_; ++quiet) {
      if (quiet < kLooksBeforeADoze) {
        changed_.wait_for(held, kPatience);
      } else {
        is_dozing_.store(true);
        if (away_.load() == seen && !is_over_) changed_.wait_for(held, 250 * kPatience);
        is_dozing_.store(false);
      }
      const std::uint64_t now = away_.load();
      if (now == seen && now % 2) return true;
      if (now != seen) quiet = 0;
      seen = now;
    }
    return false;
  }
  // The stand-in, around what it does instead.
  void stand_in() {
    loop_.lock();
    has_stand_in_.store(true);
  }
  void stand_back() {
    has_stand_in_.store(false);
    loop_.unlock();
  }
  bool is_away() const { return away_.load() % 2; }
  bool has_stand_in() const { return has_stand_in_.load(std::memory_order_relaxed); }

  // No stand-in is needed any more.
  void finish() {
    std::lock_guard<std::mutex> held(doze_);
    is_over_ = true;
    changed_.notify_all();
  }

 private:
  void wake() {
    std::lock_guard<std::mutex> held(doze_);
    changed_.notify_all();
  }

  std::mutex loop_;
  std::atomic<std::uint64_t> away_{0};
  std::atomic<bool> has_stand_in_{false};
  std::atomic<bool> is_dozing_{false};
  std::mutex doze_;
  std::condition_variable changed_;
  bool is_over_ = false;
};

}  // namespace atp
