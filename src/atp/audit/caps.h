// Caps at work: what each subject has in force after every change. An exact model of
// docs/semantics.md, made from nothing but the journal's cap changes, grants and give-backs. Keeps
// the past of those counts alone that a refusal of the history tells of.
#pragma once
#include <tsl/robin_map.h>
#include <tsl/robin_set.h>

#include "cap_rules.h"
#include "cap_steps.h"
#include "findings.h"
#include "holds.h"
#include "snapshot.h"

namespace atp::audit {

// A count from one change on; without what windows have passed over.
struct CountThen {
  std::int64_t sequence, time;
  std::int64_t total;
};

// The past of one count: its totals by position, and what each step of its window came to.
struct CountPast {
  std::vector<CountThen> totals;
  std::vector<Step> steps;  // in order of their numbers; units summed up to there by finish()
  std::int64_t total = 0;
};

struct Count {
  Key key;
  std::int64_t in_force = 0;
  std::int64_t limit = kNoLimit;
  std::uint32_t limit_version = 0;  // of the cap that the limit is of
  std::uint32_t past = 0;           // number of its past and 1; 0: nobody asks
  Steps steps;
};
static_assert(sizeof(Count) == 64);  // a line of the cache

struct Cap {
  CapRule rule;
  std::uint32_t uid = 0;           // another one when counting starts anew
  std::uint32_t version = 0;
  std::int64_t sequence = 0;       // of the change that set it
  std::int64_t counting_since = 0;
  std::uint32_t generation = 0;    // of the caps, from which on it counts holds of the start
};

// A cap as it was from one change on.
struct CapThen {
  std::int64_t sequence = 0;
  bool is_there = false;
  std::uint32_t uid = 0;
  CapRule rule;
};

// A name for one count: by cap id for the history, by the cap's uid for the ledger.
inline Key name_of_count(Text cap, char kind, Text subject, int bits, Text sku) {
  std::string name;
  for (const Text part : {cap, Text(&kind, 1), subject, sku}) {
    name += std::to_string(part.size());
    name += ':';
    name += part;
  }
  name += std::to_string(bits);
  return key_of(name);
}

class Caps {
 public:
  Caps(Stock* stock, Holds* holds, Findings* findings)
      : stock_(stock), holds_(holds), findings_(findings) {}

  // Says that somebody was told of this count, so that its past is kept.
  void track(Text cap, Text subject, Text sku) {
    asked_about_.insert(name_of_count(cap, 't', subject, 0, sku));
    const std::size_t slash = subject.find('/');
    const Address address = address_from(subject.substr(0, slash));
    int bits = 8 * address.size;
    if (slash != subject.npos) bits = std::atoi(std::string(subject.substr(slash + 1)).c_str());
    if (address.size) asked_about_.insert(name_of_count(cap, 'a', address.view(), bits, sku));
  }

  void set(const Event& event) {
    CapRule rule = read_cap(event.cap);
    rule.skus = event.cap_skus;
    std::sort(rule.skus.begin(), rule.skus.end());
    auto found = std::find_if(caps_.begin(), caps_.end(),
                              [&](const Cap& cap) { return cap.rule.id == rule.id; });
    const bool is_new = found == caps_.end();
    if (is_new) found = caps_.insert(found, Cap());
    const bool anew = is_new || event.counts_reset || !rule.counts_as(found->rule);
    found->rule = rule;
    found->version = ++versions_;
    found->sequence = event.sequence;
    if (anew) {
      found->uid = ++uids_;
      found->counting_since = event.sequence;
    }
    const Key id = key_of(rule.id);
    pasts_of_caps_[id].push_back({event.sequence, true, found->uid, std::move(rule)});
  }
  void remove(const Event& event) {
    std::erase_if(caps_, [&](const Cap& cap) { return cap.rule.id == event.cap; });
    pasts_of_caps_[key_of(event.cap)].push_back({event.sequence, false, 0, {}});
  }

  // A cap, and one of its counts, as the audit starts with them.
  void start(const SnapshotCap& from, CapRule rule);
  void start_count(const SnapshotCounter& from, std::uint32_t sku, const std::vector<Step>& steps,
                   std::int64_t sequence, std::int64_t time);

  // Counts a grant; says so when it brings a subject above its limit.
  void grant(const Event& event, const Hold& hold);
  // Counts units of a hold's line no more.
  void give_back(const Hold& hold, std::uint32_t sku, std::int64_t units, std::int64_t sequence,
                 std::int64_t time);
  void finish();
  // Fetches from memory the counts that a grant will raise, in two steps.
  void fetch(int step, const Event& event) const {
    of_each_count(event, [&](const Key& name) {
      if (step == 0) counts_.fetch(name);
      if (step == 1) counts_.fetch_row(name);
    });
  }

  // The cap at that position; null: it was not there.
  const CapThen* at(Text id, std::int64_t sequence) const {
    const auto found = pasts_of_caps_.find(key_of(id));
    if (found == pasts_of_caps_.end()) return nullptr;
    const auto after = change_after(found->second, sequence);
    return after == found->second.begin() ? nullptr : &*std::prev(after);
  }
  std::int64_t next_change(Text id, std::int64_t sequence) const {
    const auto found = pasts_of_caps_.find(key_of(id));
    if (found == pasts_of_caps_.end()) return kNoMore;
    const auto after = change_after(found->second, sequence);
    return after == found->second.end() ? kNoMore : after->sequence;
  }
  // The past of a count; null: nobody was ever counted there.
  const CountPast* past(const CapThen& cap, const Whom& whom, std::uint32_t sku) const {
    const std::uint32_t number = counts_.find(name_of(cap.uid, key_of(whom.bytes), sku));
    if (number == kNoNumber || counts_[number].past == 0) return nullptr;
    return &pasts_[counts_[number].past - 1];
  }

  std::int64_t bytes() const {
    std::int64_t sum = counts_.bytes() + bytes_of(pasts_) +
                       static_cast<std::int64_t>(asked_about_.bucket_count() * 32);
    for (const Count& count : counts_.rows()) sum += count.steps.bytes();
    for (const CountPast& past : pasts_) sum += bytes_of(past.totals) + bytes_of(past.steps);
    return sum;
  }
  std::int64_t count_of_counts() const { return static_cast<std::int64_t>(counts_.size()); }

 private:
  static constexpr std::uint32_t kAllSkus = 0xffffffffu;
  static constexpr std::int64_t kNoMore = 0x7fffffffffffffffll;

  static std::vector<CapThen>::const_iterator change_after(const std::vector<CapThen>& past,
                                                           std::int64_t sequence) {
    return std::upper_bound(
        past.begin(), past.end(), sequence,
        [](std::int64_t at, const CapThen& then) { return at < then.sequence; });
  }
  // What names a subject is a hash already, and is only to be told from its like.
  static Key name_of(std::uint32_t uid, const Key& subject, std::uint32_t sku) {
    return {subject.high + uid * 0x9e3779b97f4a7c15u, subject.low + sku * 0xc2b2ae3d27d4eb4fu};
  }
  static Key subject_of(const CapRule& rule, const Whom& whom, const Event& event) {
    if (rule.subject == Subject::kCustomer) return event.customer_key;
    return rule.subject == Subject::kIp ? event.address_key : key_of(whom.bytes);
  }
  template <class Work>
  void of_each_count(const Event& event, Work work) const {
    const Address caller = address_of(event.address);
    Address room;
    Whom counted;
    for (const Cap& cap : caps_) {
      if (cap.rule.subject == Subject::kReservation) continue;
      if (!whom(cap.rule, event.customer, caller, &room, &counted)) continue;
      const bool is_apart = cap.rule.per_sku && !event.lines.empty();
      const std::uint32_t sku = is_apart ? event.lines[0].number : kAllSkus;
      work(name_of(cap.uid, subject_of(cap.rule, counted, event), sku));
    }
  }
  bool counts(const Cap& cap, const Hold& hold) const {
    const HoldAtStart* started = holds_->started(hold);
    if (started == nullptr) return hold.grant >= cap.counting_since;
    return cap.counting_since == 0 && started->generation >= cap.generation;
  }
  Count& count_of(const Cap& cap, const Whom& whom, const Key& subject, std::uint32_t sku);
  void add(const Cap& cap, Count* count, std::int64_t units, std::int64_t sequence,
           std::int64_t time);
  void take(const Cap& cap, Count* count, std::int64_t units, std::int64_t granted,
            std::int64_t sequence, std::int64_t time);
  void pass(const Cap& cap, Count* count, std::int64_t now);
  void grant_under(const Cap& cap, const Event& event, const Hold& hold, const Whom& whom);
  void judge(const Cap& cap, const Event& event, const Whom& whom, std::int64_t in_force,
             std::int64_t limit);

  Stock* stock_;
  Holds* holds_;
  Findings* findings_;
  std::vector<Cap> caps_;
  tsl::robin_map<Key, std::vector<CapThen>, KeyHash> pasts_of_caps_;
  KeyIndex<Count> counts_;
  std::vector<CountPast> pasts_;
  tsl::robin_set<Key, KeyHash> asked_about_;
  std::uint32_t uids_ = 0, versions_ = 0;
  tsl::robin_map<std::uint32_t, std::size_t> of_start_;  // caps by their uids in the snapshot
};

inline Count& Caps::count_of(const Cap& cap, const Whom& whom, const Key& subject,
                             std::uint32_t sku) {
  const Key counted = name_of(cap.uid, subject, sku);
  std::uint32_t number = counts_.find(counted);
  if (number == kNoNumber) {
    number = static_cast<std::uint32_t>(counts_.size());
    counts_.add({counted});
    const Text name = sku == kAllSkus ? Text() : stock_->skus[sku].name;
    const Subject subject = cap.rule.subject;
    const bool is_address = subject == Subject::kIp || subject == Subject::kSubnet;
    if (asked_about_.contains(name_of_count(cap.rule.id, is_address ? 'a' : 't', whom.bytes,
                                            is_address ? whom.bits : 0, name))) {
      pasts_.emplace_back();
      counts_[number].past = static_cast<std::uint32_t>(pasts_.size());
    }
  }
  Count& count = counts_[number];
  if (count.limit_version != cap.version) {
    count.limit = limit_of(cap.rule, whom);
    count.limit_version = cap.version;
  }
  return count;
}

// Lets the window pass over what is too old.
inline void Caps::pass(const Cap& cap, Count* count, std::int64_t now) {
  count->in_force -=
      count->steps.pass([&](std::int64_t step) { return !cap.rule.still_counts(step, now); });
}

inline void note(CountPast* past, std::int64_t step, std::int64_t units, std::int64_t sequence,
                 std::int64_t time) {
  past->total += units;
  if (!past->totals.empty() && past->totals.back().sequence == sequence) {
    past->totals.back().total = past->total;
  } else {
    past->totals.push_back({sequence, time, past->total});
  }
  auto& steps = past->steps;
  auto at = steps.end();
  while (at != steps.begin() && std::prev(at)->number > step) --at;
  if (at != steps.begin() && std::prev(at)->number == step) {
    std::prev(at)->units += units;
  } else {
    steps.insert(at, {step, units});
  }
}

inline void Caps::add(const Cap& cap, Count* count, std::int64_t units, std::int64_t sequence,
                      std::int64_t time) {
  std::int64_t step = 0;
  if (cap.rule.window != 0) {
    step = cap.rule.step_of(time);
    count->steps.add(step, units);
  }
  count->in_force += units;
  if (count->past) note(&pasts_[count->past - 1], step, units, sequence, time);
}

inline void Caps::take(const Cap& cap, Count* count, std::int64_t units, std::int64_t granted,
                       std::int64_t sequence, std::int64_t time) {
  std::int64_t step = 0;
  if (cap.rule.window != 0) {
    pass(cap, count, time);
    step = cap.rule.step_of(granted);
    if (!count->steps.take(step, units)) return;
  }
  count->in_force -= units;
  if (count->past) note(&pasts_[count->past - 1], step, -units, sequence, time);
}

inline void Caps::judge(const Cap& cap, const Event& event, const Whom& whom,
                        std::int64_t in_force, std::int64_t limit) {
  if (cap.rule.mode != CapMode::kEnforce || limit == kNoLimit) return;
  findings_->checked(Law::kCaps);
  if (in_force <= limit || !findings_->is_wanted(Fault::kCapExceeded)) return;
  std::string text = "change " + std::to_string(event.sequence) + " brings a subject of cap " +
                     std::string(cap.rule.id) + " to " + std::to_string(in_force) +
                     " units in force; its limit is " + std::to_string(limit);
  std::vector<std::int64_t> changes{cap.sequence};
  Address room;
  Whom other;
  for (const Hold& hold : holds_->holds) {
    if (hold.state != State::kHeld && hold.state != State::kCommitted) continue;
    if (!counts(cap, hold) || hold.grant >= event.sequence) continue;
    const Address caller = address_of(holds_->address_of(hold));
    const bool is_counted = audit::whom(cap.rule, holds_->customer_of(hold), caller, &room, &other);
    if (is_counted && other.bytes == whom.bytes) changes.push_back(hold.grant);
  }
  constexpr std::size_t kShown = 12;
  if (changes.size() > kShown) changes.erase(changes.begin() + 1, changes.end() - kShown);
  if (cap.rule.subject == Subject::kReservation) changes.resize(1);
  changes.push_back(event.sequence);
  findings_->keep({Fault::kCapExceeded, std::move(text), std::move(changes), {}});
}

inline void Caps::grant_under(const Cap& cap, const Event& event, const Hold& hold,
                              const Whom& whom) {
  const HoldLine* lines = holds_->lines_of(hold);
  const Key subject = subject_of(cap.rule, whom, event);
  std::int64_t sum = 0;
  for (std::uint32_t i = 0; i < hold.line_count; ++i) {
    if (!cap.rule.concerns(lines[i].sku)) continue;
    if (!cap.rule.per_sku) {
      sum += lines[i].granted;
    } else if (cap.rule.subject == Subject::kReservation) {
      judge(cap, event, whom, lines[i].granted, cap.rule.limit);
    } else {
      Count& count = count_of(cap, whom, subject, lines[i].sku);
      if (cap.rule.window != 0) pass(cap, &count, event.time);
      add(cap, &count, lines[i].granted, event.sequence, event.time);
      judge(cap, event, whom, count.in_force, count.limit);
    }
  }
  if (sum == 0) return;
  if (cap.rule.subject == Subject::kReservation) {
    judge(cap, event, whom, sum, cap.rule.limit);
    return;
  }
  Count& count = count_of(cap, whom, subject, kAllSkus);
  if (cap.rule.window != 0) pass(cap, &count, event.time);
  add(cap, &count, sum, event.sequence, event.time);
  judge(cap, event, whom, count.in_force, count.limit);
}

inline void Caps::grant(const Event& event, const Hold& hold) {
  const Address caller = address_of(event.address);
  Address room;
  Whom counted;
  for (const Cap& cap : caps_) {
    if (whom(cap.rule, event.customer, caller, &room, &counted)) {
      grant_under(cap, event, hold, counted);
    }
  }
}

inline void Caps::give_back(const Hold& hold, std::uint32_t sku, std::int64_t units,
                            std::int64_t sequence, std::int64_t time) {
  if (caps_.empty()) return;
  const Address caller = address_of(holds_->address_of(hold));
  Address room;
  Whom counted;
  for (const Cap& cap : caps_) {
    if (cap.rule.subject == Subject::kReservation || !counts(cap, hold)) continue;
    if (!cap.rule.concerns(sku)) continue;
    if (!whom(cap.rule, holds_->customer_of(hold), caller, &room, &counted)) continue;
    const Key subject = key_of(counted.bytes);
    Count& count = count_of(cap, counted, subject, cap.rule.per_sku ? sku : kAllSkus);
    take(cap, &count, units, hold.grant_time, sequence, time);
  }
}

// Sums up the steps of every past, so that what a window has passed over is one look-up.
inline void Caps::finish() {
  for (CountPast& past : pasts_) {
    for (std::size_t i = 1; i < past.steps.size(); ++i) {
      past.steps[i].units += past.steps[i - 1].units;
    }
  }
}

}  // namespace atp::audit
