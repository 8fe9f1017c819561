// The state that a snapshot has, as the audit's own: where a journal is judged from whose first
// segments are gone. Owns what of a snapshot becomes what of the ledger. Judges nothing but that
// the units it begins with are no more than there are.
#pragma once
#include <tsl/robin_map.h>

#include "caps.h"
#include "snapshot.h"

namespace atp::audit {

inline void Caps::start(const SnapshotCap& from, CapRule rule) {
  std::sort(rule.skus.begin(), rule.skus.end());
  of_start_.emplace(from.uid, caps_.size());
  Cap cap;
  cap.uid = ++uids_;
  cap.version = ++versions_;
  cap.sequence = from.sequence;
  cap.generation = from.generation;
  cap.rule = rule;
  caps_.push_back(std::move(cap));
  const Key id = key_of(rule.id);
  pasts_of_caps_[id].push_back({from.sequence, true, uids_, std::move(rule)});
}

inline void Caps::start_count(const SnapshotCounter& from, std::uint32_t sku,
                              const std::vector<Step>& steps, std::int64_t sequence,
                              std::int64_t time) {
  const Cap& cap = caps_[of_start_.at(from.cap)];
  Whom whom{from.subject, static_cast<int>(8 * from.subject.size())};
  if (cap.rule.subject == Subject::kSubnet) {
    whom.bits = from.subject.size() == 4 ? cap.rule.ipv4_bits : cap.rule.ipv6_bits;
  }
  Count& count =
      count_of(cap, whom, key_of(whom.bytes), cap.rule.per_sku ? sku : kAllSkus);
  count.in_force = from.units;
  for (const Step& step : steps) count.steps.add(step.number, step.units);
  if (count.past == 0) return;
  CountPast& past = pasts_[count.past - 1];
  past.total = from.units;
  past.totals.push_back({sequence, time, from.units});
  past.steps = steps;
  if (steps.empty()) past.steps.push_back({0, from.units});
}

class Start {
 public:
  Start(const Snapshot* from, Names* names, Stock* stock, Holds* holds, Caps* caps,
        Findings* findings)
      : from_(from), names_(names), stock_(stock), holds_(holds), caps_(caps),
        findings_(findings) {}

  void make() {
    for (const SnapshotSku& sku : from_->skus) add_sku(sku);
    for (const SnapshotCap& cap : from_->caps) add_cap(cap);
    holds_->start = from_->sequence;
    for (const std::uint32_t index : by_end()) {
      const SnapshotRecord& record = from_->records[index];
      if (record.is_receipt()) {
        names_->receipts.add({record.key});
        holds_->add_receipt(record.key, record.grant, record.done);
      } else {
        add_hold(record);
      }
    }
    for (std::size_t i = 0; i < from_->skus.size(); ++i) settle(from_->skus[i]);
    for (const SnapshotCounter& counter : from_->counters) add_counter(counter);
  }

 private:
  std::uint32_t number_of(Text name) {
    return names_->number_of_sku(name, [this](Text added) { stock_->add(added); });
  }

  void add_sku(const SnapshotSku& from) {
    const std::uint32_t number = number_of(from.name);
    numbers_.emplace(from.number, number);
    Sku& sku = stock_->skus[number];
    sku.is_known = true;
    sku.on_hand = from.on_hand;
    sku.sold = from.sold;
    sku.received = from.received;
    sku.adjusted = from.adjusted;
  }
  void add_cap(const SnapshotCap& from) {
    CapRule rule = read_cap(from.definition);
    for (const Text name : rule.sku_names) rule.skus.push_back(number_of(name));
    caps_->start(from, std::move(rule));
  }

  // Records in the order in which they ended: that of being forgotten.
  std::vector<std::uint32_t> by_end() const {
    std::vector<std::uint32_t> order(from_->records.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::uint32_t>(i);
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
      const SnapshotRecord& one = from_->records[a];
      const SnapshotRecord& other = from_->records[b];
      return std::tuple(one.last, !one.is_receipt(), a) <
             std::tuple(other.last, !other.is_receipt(), b);
    });
    return order;
  }

  void add_hold(const SnapshotRecord& from) {
    Hold hold{};
    hold.key = from.key;
    hold.grant = from.grant;
    hold.grant_time = from.done;
    hold.expire_time = from.end;
    hold.first_line = holds_->lines.size();
    hold.last_link = kNoLink;
    hold.older = names_->holds.add({from.key});
    hold.customer_at = keep(from.customer);
    hold.address_at = keep(from.address);
    hold.customer_size = static_cast<std::uint8_t>(from.customer.size());
    hold.address_size = static_cast<std::uint8_t>(from.address.size());
    hold.state = State::kHeld;
    hold.is_partial = from.is_partial;
    hold.line_count = static_cast<std::uint32_t>(Snapshot::count_of(from.lines));
    const std::uint32_t number = holds_->add(hold);
    for (std::uint32_t i = 0; i < hold.line_count; ++i) {
      const SnapshotLine told = Snapshot::line_at(from.lines, i);
      const HoldLine line{numbers_.at(told.sku), told.granted, told.committed, told.released};
      holds_->lines.push_back(line);
      if (from.state != 1 || line.rest() == 0) continue;
      Sku& sku = stock_->skus[line.sku];
      sku.held += line.rest();
      sku.dues.add({from.end, number});
      std::int64_t& first = first_expire_[line.sku];
      if (first == kNoExpiry || from.end < first) first = from.end;
    }
    holds_->link(number, from.last);
    if (from.state != 1) holds_->end(number, static_cast<State>(from.state), from.end);
    holds_->remember_start(number, from.last, from.generation);
  }
  std::uint32_t keep(Text name) {
    const std::size_t at = holds_->start_names.size();
    if (at > 0xffffffffu - name.size()) throw Unusable("a snapshot has too many names");
    holds_->start_names += name;
    return static_cast<std::uint32_t>(at);
  }

  void settle(const SnapshotSku& from) {
    const std::uint32_t number = numbers_.at(from.number);
    Sku& sku = stock_->skus[number];
    findings_->checked(Law::kNoOversell);
    sku.was_sound = sku.held <= sku.on_hand;
    if (!sku.was_sound) {
      findings_->add(Fault::kOversold,
                     "the snapshot of change " + std::to_string(from_->sequence) + " has " +
                         std::to_string(sku.held) + " units of " + sku.name + " held with " +
                         std::to_string(sku.on_hand) + " on hand",
                     {from.sequence});
    }
    stock_->add_version(&sku, from.sequence, first_expire_[number]);
  }

  void add_counter(const SnapshotCounter& from) {
    std::vector<Step> steps;
    for (std::size_t at = 0; at < from.steps.size(); at += 16) {
      steps.push_back({number_at<std::int64_t>(from.steps.data() + at),
                       number_at<std::int64_t>(from.steps.data() + at + 8)});
    }
    const auto sku = numbers_.find(from.sku);
    const std::uint32_t number = sku == numbers_.end() ? kNoNumber : sku->second;
    caps_->start_count(from, number, steps, from_->sequence, from_->time);
  }

  const Snapshot* from_;
  Names* names_;
  Stock* stock_;
  Holds* holds_;
  Caps* caps_;
  Findings* findings_;
  tsl::robin_map<std::uint32_t, std::uint32_t> numbers_;        // of SKUs: the snapshot's, ours
  tsl::robin_map<std::uint32_t, std::int64_t> first_expire_;    // of SKUs that are held
};

}  // namespace atp::audit
