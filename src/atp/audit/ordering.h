// Real time against the journal's order. Owns which positions each answer may have been true at:
// not before anything that had been answered when it was asked, not after anything that was asked
// when it had been answered. Decides linearizability in one pass over the commands of each clock,
// in the order in which they were sent: each answer takes the first position that it can, which
// leaves the most to the others.
#pragma once
#include <queue>

#include "matching.h"
#include "truth.h"

namespace atp::audit {

class Ordering {
 public:
  Ordering(const History* history, const Journal* journal, const Matching* matching, Stock* stock,
           Truth* truth, Findings* findings)
      : history_(history), journal_(journal), matching_(matching), stock_(stock), truth_(truth),
        findings_(findings) {}

  std::int64_t unjudged = 0, stock_refusals = 0, overtaken_after_return = 0;
  std::int64_t before_start = 0;  // answers that may be of before the first change that is judged

  void judge() {
    for (std::uint32_t clock = 0; clock < history_->clocks.size(); ++clock) {
      gather(clock);
      std::priority_queue<Ended, std::vector<Ended>, std::greater<>>().swap(under_way_);
      at_ack_ = at_change_ = 0;
      floor_ = {0, kNobody};
      seen_ = 0;
      batch_ = {0, 0};
      for (const Turn& turn : order_) {
        for (std::uint32_t i = turn.first; i < turn.first + turn.count; ++i) {
          judge_one(history_->commands[i], i);
        }
      }
    }
  }

  // The newest change that had been answered for sure by then, by that clock; after judge().
  std::int64_t answered_by(std::uint32_t clock, std::int64_t time) const {
    std::int64_t newest = 0;
    for (const Command& command : history_->commands) {
      if (command.fate == Fate::kDone && clock_of(command) == clock && command.ended < time) {
        newest = std::max(newest, command.sequence);
      }
    }
    return newest;
  }

  std::int64_t bytes() const { return bytes_of(order_) + bytes_of(acks_) + bytes_of(changes_); }

 private:
  struct Newest {
    std::int64_t sequence;
    std::uint32_t command;
  };
  // The commands of one call: they were sent together, and answered together.
  struct Turn {
    std::int64_t sent;
    std::uint32_t first, count;
    bool operator<(const Turn& other) const {
      return std::pair(sent, first) < std::pair(other.sent, other.first);
    }
  };
  struct Ack {  // of a call, its newest change
    std::int64_t ended, sequence;
    std::uint32_t command;
  };
  struct Sent {
    std::int64_t sent, sequence;  // `sequence`: of this and all that were sent later, the least
  };
  struct Ended {
    std::int64_t ended, at;
    bool operator>(const Ended& other) const { return ended > other.ended; }
  };
  struct Batch {
    std::uint64_t call;
    std::int64_t at;
  };

  std::uint32_t clock_of(const Command& command) const {
    return history_->files[command.file].clock;
  }
  bool is_change(const Command& command, std::uint32_t number) const {
    if (command.fate != Fate::kDone && command.fate != Fate::kUnknown) return false;
    if (command.sequence >= 1 && command.sequence < journal_->first) {
      return command.method != Method::kSetCap;  // which may tell that it was so already
    }
    if (!journal_->has(command.sequence)) return false;
    return matching_->explained_by[static_cast<std::size_t>(command.sequence - journal_->first)] ==
           number;
  }

  static bool is_of_call(const Command& command, const Command& first) {
    return command.call == first.call && command.file == first.file &&
           command.sent == first.sent && command.in_batch != 0;
  }
  void gather(std::uint32_t clock) {
    order_.clear();
    acks_.clear();
    changes_.clear();
    const auto count = static_cast<std::uint32_t>(history_->commands.size());
    for (std::uint32_t first = 0, end = 0; first < count; first = end) {
      const Command& call = history_->commands[first];
      for (end = first + 1; end < count; ++end) {
        if (!is_of_call(history_->commands[end], call)) break;
      }
      if (clock_of(call) != clock) continue;
      order_.push_back({call.sent, first, end - first});
      gather_changes(first, end);
    }
    std::sort(order_.begin(), order_.end());
    std::sort(acks_.begin(), acks_.end(),
              [](const Ack& a, const Ack& b) { return a.ended < b.ended; });
    std::sort(changes_.begin(), changes_.end(),
              [](const Sent& a, const Sent& b) { return a.sent < b.sent; });
    for (std::size_t i = changes_.size(); i-- > 1;) {
      changes_[i - 1].sequence = std::min(changes_[i - 1].sequence, changes_[i].sequence);
    }
  }

  // What the changes of a call come to: before its end nobody can have known the newest of them,
  // and its oldest is where it begins.
  void gather_changes(std::uint32_t first, std::uint32_t end) {
    Ack newest{kNever, 0, kNobody};
    std::int64_t oldest = kNever;
    for (std::uint32_t i = first; i < end; ++i) {
      const Command& command = history_->commands[i];
      if (!is_change(command, i)) continue;
      oldest = std::min(oldest, command.sequence);
      if (command.ended != kNever && command.sequence > newest.sequence) {
        newest = {command.ended, command.sequence, i};
      }
    }
    if (newest.command != kNobody) acks_.push_back(newest);
    if (oldest != kNever) changes_.push_back({history_->commands[first].sent, oldest});
  }

  void judge_one(const Command& command, std::uint32_t number) {
    while (at_ack_ < acks_.size() && acks_[at_ack_].ended < command.sent) {
      const Ack& ack = acks_[at_ack_++];
      if (ack.sequence > floor_.sequence) floor_ = {ack.sequence, ack.command};
    }
    while (!under_way_.empty() && under_way_.top().ended < command.sent) {
      seen_ = std::max(seen_, under_way_.top().at);
      under_way_.pop();
    }
    const std::uint64_t call = (static_cast<std::uint64_t>(command.file) << 32 | command.call) + 1;
    if (command.in_batch == 0 || batch_.call != call) batch_ = {call, 0};
    if (is_change(command, number)) {
      judge_change(command, number);
      before_start += command.sequence < journal_->first;
      batch_.at = std::max(batch_.at, command.sequence);
    } else if (command.ended != kNever && says_something(command)) {
      judge_answer(command, number);
    }
  }
  static bool says_something(const Command& command) {
    switch (command.fate) {
      case Fate::kRead:
      case Fate::kRepeat:
      case Fate::kRefused: return true;
      case Fate::kDone: return command.method == Method::kSetCap;  // that it was so already
      case Fate::kFailed: return command.method == Method::kGetReservation && command.status == 5;
      default: return false;
    }
  }

  void judge_change(const Command& command, std::uint32_t number) {
    findings_->checked(Law::kRealTime);
    const std::int64_t least = std::max(floor_.sequence, batch_.at);
    if (command.sequence > least) return;
    const std::int64_t other = batch_.at > floor_.sequence ? batch_.at : floor_.sequence;
    std::vector<std::uint32_t> commands{number};
    if (other == floor_.sequence) commands.insert(commands.begin(), floor_.command);
    findings_->add(Fault::kOrderBroken,
                   "change " + std::to_string(other) +
                       " was done, and known to be, before change " +
                       std::to_string(command.sequence) +
                       " was asked for, yet the journal has it later",
                   {command.sequence, other}, std::move(commands));
  }

  // The last position before anything that was asked for after that time.
  std::int64_t last_before(const Command& command) {
    while (at_change_ < changes_.size() && changes_[at_change_].sent <= command.sent) ++at_change_;
    std::size_t low = at_change_, step = 1;  // all before `low` were sent by then
    while (low < changes_.size() && changes_[low].sent <= command.ended) {
      const std::size_t far = std::min(low + step, changes_.size());
      if (far < changes_.size() && changes_[far].sent <= command.ended) {
        low = far;
        step *= 2;
      } else {
        ++low;
        step = 1;
      }
    }
    return low == changes_.size() ? journal_->last() : changes_[low].sequence - 1;
  }

  void judge_answer(const Command& command, std::uint32_t number) {
    const std::int64_t start = journal_->first - 1;
    const std::int64_t earliest = std::max({floor_.sequence, seen_, batch_.at});
    const std::int64_t from = std::max(earliest, start);
    const std::int64_t latest = last_before(command);
    if (latest < start) {
      ++before_start;
      return;
    }
    const std::int64_t to = std::max(from, latest);
    const Truth::Found found = truth_->find(command, from, to);
    if (!found.is_judged) {
      ++unjudged;
      return;
    }
    // It may be of a position before the first that is known: then where it is first found true
    // says nothing of those that were asked later, and that it is found true nowhere is no fault.
    const bool may_be_older = std::max(earliest, found.told) < start;
    if (found.why != nullptr && may_be_older) {
      ++before_start;
      return;
    }
    findings_->checked(Law::kTruth);
    const bool is_short = command.method == Method::kReserve && command.fate == Fate::kRefused &&
                          truth_->told().outcome == 10;
    const std::uint32_t later = is_short ? later_asker(command) : kNobody;
    if (is_short) {
      findings_->checked(Law::kFairness);
      ++stock_refusals;
      overtaken_after_return += later != kNobody;
    }
    if (found.why == nullptr) {
      const std::int64_t at = may_be_older ? earliest : found.at;
      batch_.at = std::max(batch_.at, at);
      under_way_.push({command.ended, at});
      return;
    }
    tell(command, number, from, to, found.why);
    if (later != kNobody) tell_overtaken(number, later);
  }

  // Somebody who was granted what this one was refused for want of units, and asked after that.
  std::uint32_t later_asker(const Command& command) const {
    for (const std::uint32_t sku : truth_->skus()) {
      if (sku != Stock::kNone && stock_->skus[sku].last_grant_sent > command.ended) {
        return stock_->skus[sku].last_grant_command;
      }
    }
    return kNobody;
  }

  void tell(const Command& command, std::uint32_t number, std::int64_t from, std::int64_t to,
            const char* why) {
    const Fault fault = command.fate == Fate::kRefused ? Fault::kUntrueRefusal
                        : command.fate == Fate::kRepeat ? Fault::kWrongRepeat
                                                        : Fault::kUntrueRead;
    if (!findings_->is_wanted(fault)) return;
    std::string text = "an answer was true at no position that real time allows, change " +
                       std::to_string(from) + " to " + std::to_string(to) + ": " + why;
    std::vector<std::int64_t> changes;
    constexpr std::size_t kShown = 8;
    for (const std::uint32_t sku : truth_->skus()) {
      if (const Version* version = stock_->at(sku, from)) changes.push_back(version->sequence);
      for (std::int64_t at = stock_->next_change(sku, from);
           at <= to && changes.size() < kShown; at = stock_->next_change(sku, at)) {
        changes.push_back(at);
      }
    }
    if (command.sequence > 0 && journal_->has(command.sequence)) {
      changes.push_back(command.sequence);
    }
    std::sort(changes.begin(), changes.end());
    changes.erase(std::unique(changes.begin(), changes.end()), changes.end());
    std::vector<std::uint32_t> commands{number};
    if (floor_.command != kNobody) commands.insert(commands.begin(), floor_.command);
    findings_->keep({fault, std::move(text), std::move(changes), std::move(commands)});
  }

  void tell_overtaken(std::uint32_t number, std::uint32_t later) {
    const std::int64_t sequence = history_->commands[later].sequence;
    findings_->add(Fault::kOvertaken,
                   "change " + std::to_string(sequence) +
                       " gave units to one who asked after another had been told that there were"
                       " not enough, untruly",
                   {sequence}, {number, later});
  }

  const History* history_;
  const Journal* journal_;
  const Matching* matching_;
  Stock* stock_;
  Truth* truth_;
  Findings* findings_;
  Table<Turn> order_;
  Table<Ack> acks_;
  Table<Sent> changes_;
  std::priority_queue<Ended, std::vector<Ended>, std::greater<>> under_way_;
  std::size_t at_ack_ = 0, at_change_ = 0;
  Newest floor_{0, kNobody};
  std::int64_t seen_ = 0;
  Batch batch_{0, 0};
};

}  // namespace atp::audit
