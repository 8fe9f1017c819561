// The clock that tells how long something takes, and nothing else.
#pragma once
#include <time.h>

#include <cstdint>

namespace atp {

constexpr std::int64_t kSecond = 1000000000;
constexpr std::int64_t kLongest = 1000000 * kSecond;  // that anybody waits

inline std::int64_t monotonic() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * kSecond + time.tv_nsec;
}

}  // namespace atp
