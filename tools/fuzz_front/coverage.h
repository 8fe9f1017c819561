// Which ways through the code an input took: the compiler calls in at every block
// (-fsanitize-coverage=trace-pc), and an input that went a new way is worth keeping. Owns the map;
// it stays empty where the compiler wasn't told to.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace atp::fuzz {

inline constexpr std::size_t kWays = std::size_t{1} << 16;
inline std::uint8_t ways_now[kWays];     // how often, of this input
inline std::uint8_t ways_seen[kWays];    // of all before: bits for once, several times, often
inline std::uint16_t ways_taken[kWays];  // those of this input, each once
inline std::size_t ways_count = 0;
inline std::uintptr_t way_before = 0;
inline bool ways_counted = false;  // else it is the fuzzer's own code that runs

inline void begin_ways() {
  ways_count = 0;
  way_before = 0;
  ways_counted = true;
}

// True when the input went a way that none had gone, or one much oftener.
inline bool end_ways() {
  ways_counted = false;
  bool is_new = false;
  for (std::size_t i = 0; i < ways_count; ++i) {
    const std::uint16_t way = ways_taken[i];
    const std::uint8_t times = ways_now[way];
    ways_now[way] = 0;
    const auto often = static_cast<std::uint8_t>(times > 31 ? 4 : times > 3 ? 2 : 1);
    if (often & ~ways_seen[way]) {
      ways_seen[way] = static_cast<std::uint8_t>(ways_seen[way] | often);
      is_new = true;
    }
  }
  return is_new;
}

inline std::size_t count_ways() {
  std::size_t count = 0;
  for (const std::uint8_t way : ways_seen) count += way != 0;
  return count;
}

}  // namespace atp::fuzz

extern "C" __attribute__((no_sanitize_coverage, visibility("hidden"), used)) inline void
__sanitizer_cov_trace_pc() {
  using namespace atp::fuzz;
  if (!ways_counted) return;
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
  const std::uintptr_t way = (here ^ here >> 16 ^ way_before) % kWays;
  if (ways_now[way] == 0) ways_taken[ways_count++] = static_cast<std::uint16_t>(way);
  if (ways_now[way] < 255) ++ways_now[way];
  way_before = here >> 1;
}
