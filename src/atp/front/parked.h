// Answers that wait until their change is durable, of one thread, in line. Owns the order: an
// answer that waits for less than the one before it goes with that one, as the line is asked for as
// a whole and one sync takes all of it. Asks nobody for a sync.
#pragma once
#include <algorithm>
#include <cstdint>
#include <deque>

#include "call.h"

namespace atp {

class Parked {
 public:
  void add(Call* call, std::int64_t sequence) {
    newest_ = std::max(newest_, sequence);
    line_.push_back({newest_, call});
    ++call->parked;
  }
  // The next call whose answer need not wait any more; null: none.
  Call* next(std::int64_t durable) {
    if (line_.empty() || line_.front().sequence > durable) return nullptr;
    Call* const call = line_.front().call;
    line_.pop_front();
    --call->parked;
    return call;
  }
  std::size_t size() const { return line_.size(); }
  std::int64_t newest() const { return newest_; }

 private:
  struct Entry {
    std::int64_t sequence;
    Call* call;
  };
  std::deque<Entry> line_;
  std::int64_t newest_ = 0;
};

}  // namespace atp
