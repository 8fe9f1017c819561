// What a shopper does next, and when. Owns the shapes, and the queue of all that is owed: what is
// due now in order, what is due later by time. Decides nothing: what follows what is traffic.h.
#pragma once
#include <cstdint>
#include <deque>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "history.h"

namespace atp::load {

enum class Kind : std::uint8_t { kReserve, kCommit, kRelease, kExtend, kLook };
inline constexpr std::size_t kKinds = 5;

inline Method method_of(Kind kind) {
  constexpr Method kMethods[kKinds] = {Method::kReserve, Method::kCommit, Method::kRelease,
                                       Method::kExtend, Method::kGetAvailability};
  return kMethods[static_cast<std::size_t>(kind)];
}

// One command of one shopper.
struct Errand {
  Kind kind = Kind::kReserve;
  bool is_repeat = false;    // asks again what was answered before
  bool was_granted = false;  // that answer was a hold, and a repeat is to give it again
  std::uint8_t tries = 0;    // how often it was sent before and not answered, or turned away
  std::uint32_t basket = 0;
  std::uint64_t number = 0;  // names its request id; each reserve and each extend has its own
  std::int64_t due = 0;      // when it is to be sent
  std::int64_t since = 0;    // from when on its time counts: when it was due first
  std::string hold;          // what a commit, a release or an extend is about
};

class Errands {
 public:
  bool empty() const { return now_.empty() && later_.empty(); }
  std::size_t size() const { return now_.size() + later_.size(); }
  bool is_owed() const { return !now_.empty(); }
  std::size_t owed() const { return now_.size(); }
  // When the next one becomes due that is not yet; `never` where there is none.
  std::int64_t next_due(std::int64_t never) const {
    return later_.empty() ? never : later_.top().due;
  }

  void add(Errand errand, std::int64_t now) {
    if (errand.due <= now) {
      now_.push_back(std::move(errand));
    } else {
      later_.push(std::move(errand));
    }
  }

  // What has become due goes behind what was.
  void move_due(std::int64_t now) {
    while (!later_.empty() && later_.top().due <= now) {
      now_.push_back(later_.top());
      later_.pop();
    }
  }

  Errand take() {
    Errand errand = std::move(now_.front());
    now_.pop_front();
    return errand;
  }

 private:
  struct IsLater {
    bool operator()(const Errand& one, const Errand& other) const { return one.due > other.due; }
  };

  std::deque<Errand> now_;
  std::priority_queue<Errand, std::vector<Errand>, IsLater> later_;
};

}  // namespace atp::load
