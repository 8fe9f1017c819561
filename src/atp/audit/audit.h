// The audit as a whole: the history is read, the journal replayed beside it, then every answer put
// in its place. Owns the order of these passes and the figures of what was done.
#pragma once
#include "ledger.h"
#include "ordering.h"
#include "start.h"

namespace atp::audit {

struct Figures {
  std::int64_t commands = 0, calls = 0, answered = 0, unsent = 0, changes = 0, base_changes = 0;
  std::int64_t expiries = 0, unanswered = 0, unanswered_done = 0, skus = 0, holds = 0, counts = 0;
  std::int64_t unjudged = 0, stock_refusals = 0, overtaken_after_return = 0;
  std::int64_t unexplained = 0, after_changes = 0, start = 0, before_start = 0;
  std::int64_t memory_bytes = 0, first = 0, last = 0, left_bytes = 0;
};

class Audit {
 public:
  Audit(std::int64_t remember, std::int64_t ended_max)
      : stock_(&names_), holds_(&journal_, &stock_, &names_), caps_(&stock_, &holds_, &findings_),
        ledger_({remember, ended_max}, &stock_, &holds_, &caps_, &findings_),
        matching_(&history_, &journal_, &stock_, &holds_, &findings_),
        truth_(&stock_, &holds_, &caps_),
        ordering_(&history_, &journal_, &matching_, &stock_, &truth_, &findings_) {}

  void read_history(const std::string& path) { guarded([&] { history_.read(path); }); }
  void read_segment(const std::string& path, const std::string& store, std::int64_t sequence,
                    bool is_last) {
    guarded([&] { journal_.read(path, store, sequence, is_last); });
  }
  // Takes the memory at once that what has been read of the journal will want, and room for a last
  // segment of so many bytes. May be done while the history is read.
  void make_room(std::size_t last_bytes) {
    constexpr std::size_t kChangeBytes = 50;  // the shortest
    const std::size_t more = last_bytes / kChangeBytes;
    const auto grants = static_cast<std::size_t>(journal_.grants);
    const std::size_t changes = journal_.records.size();
    holds_.expect(grants + more, changes + more);
    holds_.fill(grants, changes);
    stock_.fill(changes);
    names_.holds.expect(grants + more);
  }
  // The state to start from, for a journal whose first segments are gone. Throws when it is
  // damaged, and then nothing has changed.
  void read_snapshot(const std::string& path, const std::string& store, std::int64_t sequence) {
    snapshot_ = std::make_unique<Snapshot>(path, store, sequence);
  }
  void replay() { guarded([&] { replay_all(); }); }
  void judge() { guarded([&] { judge_all(); }); }

  const History& history() const { return history_; }
  const Journal& journal() const { return journal_; }
  const Findings& findings() const { return findings_; }
  Figures figures() const;

 private:
  static constexpr std::size_t kAhead = 60;  // changes; what they want stays in the nearest caches

  template <class Work>
  static void guarded(Work work) {
    try {
      work();
    } catch (const protozero::exception& error) {
      throw Unusable(std::string("a message of the history or the journal can't be read: ") +
                     error.what());
    }
  }

  void replay_all() {
    if (snapshot_ != nullptr) journal_.begin_after(snapshot_->sequence);
    if (journal_.records.empty()) throw Unusable("the journal has no change");
    if (history_.commands.empty()) throw Unusable("the history has no call");
    matching_.prepare(&caps_);
    if (snapshot_ != nullptr) {
      Start(snapshot_.get(), &names_, &stock_, &holds_, &caps_, &findings_).make();
      snapshot_->let_go();
    }
    holds_.expect(static_cast<std::size_t>(journal_.grants), journal_.records.size());
    names_.holds.expect(names_.holds.size() + static_cast<std::size_t>(journal_.grants));
    Reading reading(&history_, &journal_, &matching_.explained_by, &names_);
    const std::size_t count = journal_.records.size();
    std::array<std::size_t, Ledger::kFetches> fetched{};
    for (std::size_t at = 0, known = 0; at < count; ++at) {
      if (at + kAhead >= known && known < count) {
        known = reading.more(at, [&](Text sku) { stock_.add(sku); });
      }
      // A step at a time for changes further and further ahead, so that memory is never asked for
      // more at once than it can give.
      for (int step = 0; step < Ledger::kFetches; ++step) {
        std::size_t& next = fetched[static_cast<std::size_t>(step)];
        const auto steps = static_cast<std::size_t>(Ledger::kFetches - step);
        const std::size_t end = std::min(known, at + steps * kAhead / Ledger::kFetches);
        for (; next < end; ++next) ledger_.fetch(step, reading[next].event);
      }
      Prepared& change = reading[at];
      matching_.before(change);
      ledger_.apply(change.event);
      matching_.after(change);
    }
    caps_.finish();
  }

  void judge_all() {
    ordering_.judge();
    Event event;
    for (const std::int64_t sequence : matching_.unasked) {
      read_event(sequence, journal_.event_bytes(sequence), &event);
      if (is_after_history(event)) {
        ++after_changes_;
        continue;
      }
      if (may_be_of_lost_part(sequence)) {
        ++unexplained_;
        continue;
      }
      const std::uint32_t refused = matching_.find_refused(event);
      const std::string change = "change " + std::to_string(sequence);
      if (refused != kNobody) {
        findings_.add(Fault::kRefusedYetDone,
                      change + " was done, and who asked for it was told that it was not",
                      {sequence}, {refused});
      } else {
        findings_.add(Fault::kNeverAsked, change + " was asked for by no command of the history",
                      {sequence});
      }
    }
  }

  // The history had ended by then, and nothing later is of it: whoever asked was not recorded.
  bool is_after_history(const Event& event) const {
    if (event.sequence < matching_.last_explained) return false;
    for (const HistoryFile& file : history_.files) {
      if (!file.is_finished || event.time <= file.end_wall) return false;
    }
    return true;
  }

  // A recorder that was killed lost what it had buffered: it may have asked for what came later.
  bool may_be_of_lost_part(std::int64_t sequence) {
    constexpr std::int64_t kSlack = 1'000'000'000;  // nanoseconds; entries wait for their turn
    if (lost_from_ < 0) {
      lost_from_ = kNever;
      for (const HistoryFile& file : history_.files) {
        if (file.is_finished) continue;
        const std::int64_t known = ordering_.answered_by(file.clock, file.last_time - kSlack);
        lost_from_ = std::min(lost_from_, known);
      }
    }
    return sequence > lost_from_;
  }

  Findings findings_;
  History history_;
  Journal journal_;
  std::unique_ptr<Snapshot> snapshot_;
  Names names_;
  Stock stock_;
  Holds holds_;
  Caps caps_;
  Ledger ledger_;
  Matching matching_;
  Truth truth_;
  Ordering ordering_;
  std::int64_t unexplained_ = 0, after_changes_ = 0;
  std::int64_t lost_from_ = -1;  // changes after it may be of a lost part; -1: not known yet
};

inline Figures Audit::figures() const {
  Figures told;
  told.commands = static_cast<std::int64_t>(history_.commands.size());
  for (const HistoryFile& file : history_.files) {
    told.calls += file.calls;
    told.answered += file.answered;
    told.unsent += file.unsent;
  }
  for (const Command& command : history_.commands) {
    told.unanswered += command.fate == Fate::kUnknown;
  }
  told.changes = static_cast<std::int64_t>(journal_.records.size());
  told.first = journal_.first;
  told.last = journal_.last();
  told.left_bytes = journal_.left_bytes;
  told.base_changes = matching_.base_changes;
  told.expiries = matching_.expiries;
  told.unanswered_done = matching_.unanswered_done;
  told.skus = static_cast<std::int64_t>(stock_.skus.size());
  told.holds = static_cast<std::int64_t>(holds_.holds.size());
  told.counts = caps_.count_of_counts();
  told.unjudged = ordering_.unjudged;
  told.stock_refusals = ordering_.stock_refusals;
  told.overtaken_after_return = ordering_.overtaken_after_return;
  told.start = holds_.start;
  told.before_start = ordering_.before_start;
  told.unexplained = unexplained_;
  told.after_changes = after_changes_;
  told.memory_bytes = history_.bytes() + journal_.bytes() + stock_.bytes() + holds_.bytes() +
                      caps_.bytes() + matching_.bytes() + ordering_.bytes();
  return told;
}

}  // namespace atp::audit
