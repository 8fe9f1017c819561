// How long the calls of one loop took, from when their first bytes were read until their answers
// were handed to the socket, by method. Owns the line of answers that HTTP/2 has and the socket
// does not yet; reads no clock. The line has its room from the start: past it a time is counted as
// it is so far.
#pragma once
#include <array>
#include <vector>

#include "../journal/time_counts.h"

namespace atp {

constexpr std::size_t kTimedMethods = 7;  // ReservationService's, in judging's order

class Latencies {
 public:
  Latencies() { line_.reserve(kLineMost); }
  Latencies(const Latencies&) = delete;
  Latencies& operator=(const Latencies&) = delete;

  // An answer goes with the next write of a connection, which keeps `last`, at first 0, for this
  // loop's round.
  void note(std::uint32_t* last, std::size_t method, std::int64_t began, std::int64_t now) {
    if (line_.size() == kLineMost) return counts_[method].add(now - began);
    line_.push_back({began, *last, static_cast<std::uint32_t>(method)});
    *last = static_cast<std::uint32_t>(line_.size());
  }
  // The connection's bytes have been handed to the socket.
  void hand_over(std::uint32_t* last, std::int64_t now) {
    for (std::uint32_t at = *last; at; at = line_[at - 1].before) {
      counts_[line_[at - 1].method].add(now - line_[at - 1].began);
    }
    *last = 0;
  }
  // Every connection that had anything to say has been written to, or is gone.
  void end_round() { line_.clear(); }

  const TimeCounts& of(std::size_t method) const { return counts_[method]; }

 private:
  static constexpr std::size_t kLineMost = 8192;
  struct Told {
    std::int64_t began;
    std::uint32_t before;  // of the same connection, counted from 1
    std::uint32_t method;
  };

  std::vector<Told> line_;
  std::array<TimeCounts, kTimedMethods> counts_;
};

}  // namespace atp
