// How long the oldest change that is not durable has been waiting, as far as anybody asked for it.
// Owns that time alone; guarded by its user, but for take(), which is of whoever commits.
#pragma once
#include <algorithm>
#include <cstdint>

namespace atp {

class Lag {
 public:
  // Something waits to be durable now; times are of one steady clock, ns.
  void note(std::int64_t now) {
    if (!since_) since_ = now;
  }
  // All that waited before now is about to be written.
  void take(std::int64_t now) { took_ = now; }
  // What was taken is durable; `more`: something else waits, which came later.
  void settle(bool more) { since_ = more ? std::max(since_, took_) : 0; }

  std::int64_t at(std::int64_t now) const { return since_ ? now - since_ : 0; }

 private:
  std::int64_t since_ = 0;
  std::int64_t took_ = 0;
};

}  // namespace atp
