// What all connections of a load share: who comes next, what follows from an answer, and the
// counts. Owns the one stream of request numbers and baskets, so that no id is used twice; sends
// nothing itself.
#pragma once
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "answers.h"
#include "errands.h"
#include "history.h"
#include "requests.h"
#include "tls.h"

namespace atp::load {

inline std::int64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

// How all is asked.
struct Pattern {
  std::int64_t batch = 0;  // fresh commands in each; 0: unary calls
  std::size_t in_flight = 1;
  std::int64_t deadline_ns = 0;  // 0: none
  std::int64_t tries_max = 0;    // how often what got no answer is sent again; 0: a lost connection
                                 // ends the load
};

struct Traffic {
  Traffic(Names names, std::vector<Basket> baskets, const std::vector<BasketLine>& lines,
          const Pattern& pattern, std::string authority)
      : pattern(pattern),
        requests(std::move(names), std::move(baskets), lines),
        authority(std::move(authority)) {}

  // What the next shopper does first.
  Errand fresh(std::int64_t due) {
    Errand errand;
    errand.basket = next_basket_;
    if (++next_basket_ == requests.baskets()) next_basket_ = 0;
    errand.due = errand.since = due;
    errand.number = next_number_++;
    errand.kind = requests.basket(errand.basket).looks && pattern.batch == 0 ? Kind::kLook
                                                                             : Kind::kReserve;
    return errand;
  }

  // Counts the end of a call. `due`: from when on its time counts.
  void finish(int status, std::string_view message, std::int64_t due, std::int64_t now) {
    ++tally.answered;
    tally.last_answer_ns = now;
    const bool is_known = status >= 0 && status < static_cast<int>(kNoStatus);
    ++tally.statuses[is_known ? static_cast<std::size_t>(status) : kNoStatus];
    if (status == 0) {
      const std::int64_t taken = now - due;
      tally.latencies.add(taken);
      ++(pattern.deadline_ns == 0 || taken <= pattern.deadline_ns ? tally.good : tally.late);
    } else if (tally.first_error.empty()) {
      tally.first_error = message.empty() ? "no reason was told" : message;
    }
  }

  // What the shopper does after an answer that was judged.
  void follow(const Errand& errand, const Verdict& verdict, std::int64_t now) {
    const Basket& basket = requests.basket(errand.basket);
    switch (errand.kind) {
      case Kind::kLook:
        if (basket.reserves) add(Kind::kReserve, errand, {}, now, 0);
        return;
      case Kind::kReserve:
        if (!errand.was_granted) follow_reserve(basket, errand, verdict, now);
        return;
      case Kind::kExtend:
        add(Kind::kCommit, errand, errand.hold, now, basket.think_ns);
        return;
      case Kind::kCommit:
      case Kind::kRelease:
        return;
    }
  }

  // The connection ended before an answer came: what was asked may have been done, or not.
  void lose(Errand errand, std::int64_t now) {
    ++tally.lost;
    try_again(std::move(errand), now, 0);
  }
  // The server turned it away, for now.
  void turn_away(Errand errand, std::int64_t now) {
    try_again(std::move(errand), now, kTurnedAwayNs << std::min<int>(errand.tries, 6));
  }

  const Pattern pattern;
  const Requests requests;
  const std::string authority;
  Tally tally;
  Errands errands;
  std::unique_ptr<HistoryWriter> history;  // nullptr: nothing is recorded
  std::unique_ptr<const TlsContext> tls;   // nullptr: bytes go as they are

 private:
  static constexpr std::int64_t kTurnedAwayNs = 20'000'000;

  void follow_reserve(const Basket& basket, const Errand& errand, const Verdict& verdict,
                      std::int64_t now) {
    const bool is_granted = !verdict.reservation_id.empty();
    if (basket.repeats && !errand.is_repeat) {
      Errand again = errand;
      again.is_repeat = true;
      again.tries = 0;
      again.due = again.since = is_granted ? now : now + basket.think_ns;
      again.was_granted = is_granted;
      errands.add(std::move(again), now);
    }
    if (!is_granted) return;
    switch (basket.end) {
      case End::kAbandon:
        return;
      case End::kCommit:
        return add(Kind::kCommit, errand, verdict.reservation_id, now, basket.think_ns);
      case End::kRelease:
        return add(Kind::kRelease, errand, verdict.reservation_id, now, basket.think_ns);
      case End::kExtendAndCommit:
        return add(Kind::kExtend, errand, verdict.reservation_id, now, basket.think_ns);
    }
  }

  void add(Kind kind, const Errand& before, std::string_view hold, std::int64_t now,
           std::int64_t after) {
    Errand errand;
    errand.kind = kind;
    errand.basket = before.basket;
    errand.number = kind == Kind::kExtend ? next_number_++ : before.number;
    errand.due = errand.since = now + after;
    errand.hold = hold;
    errands.add(std::move(errand), now);
  }

  void try_again(Errand errand, std::int64_t now, std::int64_t after) {
    if (errand.tries >= pattern.tries_max) {
      ++tally.given_up;
      return;
    }
    ++errand.tries;
    ++tally.tried_again;
    errand.due = now + after;
    errands.add(std::move(errand), now);
  }

  std::uint32_t next_basket_ = 0;
  std::uint64_t next_number_ = 0;
};

}  // namespace atp::load
