// The server's time for threads that know no Python: the anchor that atp.clock.Clock last decided
// on, carried on by the same steady clock in the same way. Decides no pace.
#pragma once
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace atp {

class FrontClock {
 public:
  // One caller at a time. From here on time is wall + (steady now - steady), and for the first
  // second so many parts per million more of it.
  void publish(std::int64_t wall, std::int64_t steady, std::int64_t ppm) {
    const std::uint32_t turn = turn_.load(std::memory_order_relaxed);
    turn_.store(turn + 1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    wall_.store(wall, std::memory_order_relaxed);
    steady_.store(steady, std::memory_order_relaxed);
    ppm_.store(ppm, std::memory_order_relaxed);
    turn_.store(turn + 2, std::memory_order_release);
  }

  // Nanoseconds since the Unix epoch; from any thread.
  std::int64_t now() const {
    for (;;) {
      const std::uint32_t before = turn_.load(std::memory_order_acquire);
      const std::int64_t wall = wall_.load(std::memory_order_relaxed);
      const std::int64_t steady = steady_.load(std::memory_order_relaxed);
      const std::int64_t ppm = ppm_.load(std::memory_order_relaxed);
      std::atomic_thread_fence(std::memory_order_acquire);
      if (before % 2 == 0 && turn_.load(std::memory_order_relaxed) == before) {
        // Another thread may have published after this one read the steady clock: not before it.
        const std::int64_t elapsed = std::max<std::int64_t>(steady_now() - steady, 0);
        return wall + elapsed + floor_div(std::min(elapsed, kHorizon) * ppm, 1000000);
      }
    }
  }

  static std::int64_t steady_now() {
    timespec time;
    clock_gettime(CLOCK_BOOTTIME, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
  }

 private:
  static constexpr std::int64_t kHorizon = 1000000000;  // Clock's SLEW_HORIZON_NS

  // Rounds down as Python does.
  static std::int64_t floor_div(std::int64_t a, std::int64_t b) {
    return a / b - (a % b < 0);
  }

  std::atomic<std::uint32_t> turn_{0};
  std::atomic<std::int64_t> wall_{0};
  std::atomic<std::int64_t> steady_{0};
  std::atomic<std::int64_t> ppm_{0};
};

}  // namespace atp
