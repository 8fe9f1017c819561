// Replays the journal and judges it by itself: units, holds, ids, caps and times. Owns the order in
// which a change is judged and then applied, whatever was found, so that one fault is one finding.
// Knows nothing of the history.
#pragma once
#include "caps.h"
#include "commands.h"

namespace atp::audit {

class Ledger {
 public:
  Ledger(const Memory& memory, Stock* stock, Holds* holds, Caps* caps,
         Findings* findings)
      : memory_(memory), stock_(stock), holds_(holds), caps_(caps),
        findings_(findings) {}

  // Fetches from memory what an event will want, each step what the last one has found.
  static constexpr int kFetches = 5;
  void fetch(int step, const Event& event) const {
    for (const Units& line : event.lines) fetch_sku(step, line.number);
    if (event.kind == Change::kReserved) caps_->fetch(step, event);
    if (!is_there(event.hold)) return;
    const Hold& hold = holds_->holds[event.hold];
    const HoldLine* line = &holds_->lines[hold.first_line];
    if (step == 0) {
      __builtin_prefetch(&hold);
      __builtin_prefetch(&hold.key + 4);
    } else if (step == 1) {
      __builtin_prefetch(line);
      __builtin_prefetch(holds_->customer_of(hold).data());
    } else {
      fetch_sku(step - 2, line->sku);
    }
  }

  void apply(const Event& event) {
    if (event.has_receipt) judge_receipt(event);
    touched_.clear();
    switch (event.kind) {
      case Change::kReserved: reserve(event); break;
      case Change::kCommitted:
      case Change::kReleased: end_units(event); break;
      case Change::kExpired: expire(event); break;
      case Change::kExtended: extend(event); break;
      case Change::kStockChanged: change_stock(event); break;
      case Change::kCapSet: caps_->set(event); break;
      case Change::kCapRemoved: caps_->remove(event); break;
      default: break;
    }
    for (const std::uint32_t sku : touched_) settle(sku, event);
    if (event.has_receipt) holds_->add_receipt(event.receipt, event.sequence, event.time);
  }

 private:
  // Granted already, and not by one of the changes that are to be applied.
  bool is_there(std::uint32_t hold) const { return hold < holds_->holds.size(); }
  static std::string change(const Event& event) {
    return "change " + std::to_string(event.sequence);
  }
  void fetch_sku(int step, std::uint32_t number) const {
    const Sku& sku = stock_->skus[number];
    if (step == 0) {
      const char* row = reinterpret_cast<const char*>(&sku);
      for (std::size_t at = 0; at < sizeof(Sku); at += 64) __builtin_prefetch(row + at);
    } else if (step == 1) {
      sku.versions.fetch();
      sku.dues.fetch();
    } else if (const Due* due = sku.dues.near()) {
      __builtin_prefetch(&holds_->holds[due->hold].key + 4);
    }
  }
  std::string sku_of(std::uint32_t number) const { return stock_->skus[number].name; }
  std::vector<std::int64_t> past_of(std::uint32_t hold, std::int64_t last) const {
    std::vector<std::int64_t> changes;
    for (std::uint32_t at = holds_->holds[hold].last_link; at != kNoLink;
         at = holds_->links[at].before) {
      changes.push_back(holds_->links[at].sequence);
    }
    std::reverse(changes.begin(), changes.end());
    if (changes.empty() || changes.back() != last) changes.push_back(last);
    return changes;
  }

  // Law 4: a request id stands for one thing, for as long as it is remembered.
  void judge_receipt(const Event& event) {
    findings_->checked(Law::kOneHold);
    const Receipt* before = holds_->receipt(event.receipt_before);
    if (before != nullptr && !forgotten(before->key, before->time, before->rank, event.time)) {
      findings_->add(Fault::kDoneTwice,
                     change(event) + " was done for a request id that change " +
                         std::to_string(before->sequence) + " had been done for",
                     {before->sequence, event.sequence});
    }
    judge_id_of_hold(event, event.other_hold, Fault::kDoneTwice);
  }
  void judge_id_of_hold(const Event& event, std::uint32_t number, Fault fault) {
    if (number == Holds::kNone) return;
    const Hold& before = holds_->holds[number];
    if (before.state != State::kHeld &&
        forgotten(before.key, before.end_time, before.rank, event.time)) {
      return;
    }
    findings_->add(fault,
                   change(event) + " has the request id of the hold that change " +
                       std::to_string(before.grant) + " granted",
                   {before.grant, event.sequence});
  }
  bool forgotten(const Key& key, std::int64_t ended, std::uint32_t rank, std::int64_t now) const {
    return holds_->may_be_forgotten(key, ended, rank, now, memory_);
  }

  void reserve(const Event& event) {
    findings_->checked(Law::kOneHold);
    judge_id_of_hold(event, event.hold, Fault::kTwoHolds);
    const Receipt* receipt = holds_->receipt(event.receipt_before);
    if (receipt != nullptr && !forgotten(receipt->key, receipt->time, receipt->rank, event.time)) {
      findings_->add(Fault::kTwoHolds,
                     change(event) + " is a hold for a request id that change " +
                         std::to_string(receipt->sequence) + " had been done for",
                     {receipt->sequence, event.sequence});
    }
    if (event.has_replaced) replace(event);
    Hold hold{};
    hold.key = event.key;
    hold.grant = event.sequence;
    hold.grant_time = event.time;
    hold.expire_time = event.expire_time;
    hold.older = event.hold;
    hold.first_line = holds_->lines.size();
    hold.last_link = kNoLink;
    hold.customer_size = static_cast<std::uint8_t>(event.customer.size());
    hold.address_size = static_cast<std::uint8_t>(event.address.size());
    hold.customer_at = place_of(event, event.customer);
    hold.address_at = place_of(event, event.address);
    hold.state = State::kHeld;
    hold.is_partial = event.is_partial;
    if (const char* wrong = why_bad(event)) {
      findings_->add(Fault::kBadGrant, change(event) + " is no grant: " + wrong, {event.sequence});
    }
    for (const Units& line : event.lines) {
      holds_->lines.push_back({line.number, static_cast<std::int32_t>(line.quantity), 0, 0});
    }
    hold.line_count = static_cast<std::uint32_t>(event.lines.size());
    const std::uint32_t number = holds_->add(hold);
    holds_->link(number, event.sequence);
    for (std::uint32_t i = 0; i < hold.line_count; ++i) {
      const HoldLine& line = holds_->lines[hold.first_line + i];
      judge_dues(line.sku, event);
      Sku& sku = stock_->skus[line.sku];
      sku.held += line.granted;
      sku.dues.add({event.expire_time, number});
      touch(line.sku);
    }
    caps_->grant(event, holds_->holds[number]);
  }
  static std::uint32_t place_of(const Event& event, Text part) {
    return part.empty() ? 0 : static_cast<std::uint32_t>(part.data() - event.bytes.data());
  }
  const char* why_bad(const Event& event) const {
    if (!(key_of(event.request_id) == event.key)) return "its key is not that of its request id";
    if (event.expire_time <= event.time) return "it ends before it begins";
    if (event.lines.empty()) return "it has no line";
    if (event.customer.size() > 64) return "its customer's name is too long";
    for (const Units& line : event.lines) {
      if (line.quantity < 1 || line.quantity > 1'000'000'000) return "a line has no such units";
      if (!stock_->skus[line.number].is_known) return "a SKU is unknown";
    }
    return nullptr;
  }

  void replace(const Event& event) {
    const std::uint32_t number = event.other_hold;
    if (number == Holds::kNone || holds_->holds[number].state != State::kHeld) {
      findings_->add(Fault::kUnknownHold, change(event) + " replaces a hold that is not there",
                     {event.sequence});
      return;
    }
    Hold& hold = holds_->holds[number];
    if (event.customer.empty() || holds_->customer_of(hold) != event.customer) {
      findings_->add(Fault::kBadGrant, change(event) + " replaces another customer's hold",
                     {hold.grant, event.sequence});
    }
    judge_time(event, number);
    for (std::uint32_t i = 0; i < hold.line_count; ++i) {
      HoldLine& line = holds_->lines[hold.first_line + i];
      give_back(event, number, i, line.rest());
      line.released += static_cast<std::int32_t>(line.rest());
    }
    holds_->link(number, event.sequence);
    holds_->end(number, State::kReleased, event.time);
  }

  void give_back(const Event& event, std::uint32_t number, std::uint32_t index,
                 std::int64_t units) {
    if (units == 0) return;
    const Hold& hold = holds_->holds[number];
    const std::uint32_t sku = holds_->lines[hold.first_line + index].sku;
    stock_->skus[sku].held -= units;
    caps_->give_back(hold, sku, units, event.sequence, event.time);
    touch(sku);
  }

  // The hold that a change is about, or kNone and a finding.
  std::uint32_t held(const Event& event) {
    findings_->checked(Law::kHoldEndsOnce);
    const std::uint32_t number = event.hold;
    if (number == Holds::kNone) {
      findings_->add(Fault::kUnknownHold, change(event) + " is about a hold that was never granted",
                     {event.sequence});
      return Holds::kNone;
    }
    if (holds_->holds[number].state != State::kHeld) {
      findings_->add(Fault::kUnitsEndTwice, change(event) + " is about a hold that had ended",
                     past_of(number, event.sequence));
      return Holds::kNone;
    }
    return number;
  }

  // Law 9: nothing happens to a hold any more from its expire time on.
  void judge_time(const Event& event, std::uint32_t number) {
    findings_->checked(Law::kExpiry);
    const Hold& hold = holds_->holds[number];
    if (event.time < hold.expire_time) return;
    findings_->add(Fault::kLateChange,
                   change(event) + " was done to a hold " +
                       std::to_string(event.time - hold.expire_time) +
                       " ns after it had expired, or at that very time",
                   past_of(number, event.sequence));
  }

  void end_units(const Event& event) {
    const std::uint32_t number = held(event);
    if (number == Holds::kNone) return;
    judge_time(event, number);
    const bool is_sale = event.kind == Change::kCommitted;
    Hold& hold = holds_->holds[number];
    std::int64_t left = 0;
    std::size_t found = 0;
    for (std::uint32_t i = 0; i < hold.line_count; ++i) {
      HoldLine& line = holds_->lines[hold.first_line + i];
      std::int64_t units = event.lines.empty() ? line.rest() : 0;
      for (const Units& named : event.lines) {
        if (line.sku != named.number) continue;
        units = named.quantity;
        ++found;
      }
      if (units < 0 || units > line.rest()) {
        findings_->add(Fault::kUnitsEndTwice,
                       change(event) + " ends " + std::to_string(units) + " units of " +
                           sku_of(line.sku) + " where " + std::to_string(line.rest()) +
                           " are held",
                       past_of(number, event.sequence));
        units = line.rest();
      }
      end_line(event, number, i, units, is_sale);
      left += line.rest();
    }
    if (found != event.lines.size()) {
      findings_->add(Fault::kUnitsEndTwice, change(event) + " names a SKU that the hold has not",
                     past_of(number, event.sequence));
    }
    holds_->link(number, event.sequence);
    if (left == 0) {
      holds_->end(number, is_sale ? State::kCommitted : State::kReleased, event.time);
    }
  }
  void end_line(const Event& event, std::uint32_t number, std::uint32_t index, std::int64_t units,
                bool is_sale) {
    if (units == 0) return;
    HoldLine& line = holds_->lines[holds_->holds[number].first_line + index];
    if (!is_sale) {
      give_back(event, number, index, units);
      line.released += static_cast<std::int32_t>(units);
      return;
    }
    Sku& sku = stock_->skus[line.sku];
    sku.held -= units;
    sku.on_hand -= units;
    sku.sold += units;
    line.committed += static_cast<std::int32_t>(units);
    touch(line.sku);
  }

  void expire(const Event& event) {
    const std::uint32_t number = held(event);
    if (number == Holds::kNone) return;
    findings_->checked(Law::kExpiry);
    Hold& hold = holds_->holds[number];
    if (event.time < hold.expire_time) {
      findings_->add(Fault::kEarlyExpiry,
                     change(event) + " ends a hold " +
                         std::to_string(hold.expire_time - event.time) +
                         " ns before it was to expire",
                     past_of(number, event.sequence));
    }
    for (std::uint32_t i = 0; i < hold.line_count; ++i) {
      give_back(event, number, i, holds_->lines[hold.first_line + i].rest());
    }
    holds_->link(number, event.sequence);
    holds_->end(number, State::kExpired, hold.expire_time);
  }

  void extend(const Event& event) {
    const std::uint32_t number = held(event);
    if (number == Holds::kNone) return;
    judge_time(event, number);
    Hold& hold = holds_->holds[number];
    hold.expire_time = event.expire_time;
    holds_->link(number, event.sequence);
    for (std::uint32_t i = 0; i < hold.line_count; ++i) {
      const HoldLine& line = holds_->lines[hold.first_line + i];
      if (line.rest() == 0) continue;
      stock_->skus[line.sku].dues.add({event.expire_time, number});
      touch(line.sku);
    }
  }

  void change_stock(const Event& event) {
    const std::uint32_t number = event.sku_number;
    Sku& sku = stock_->skus[number];
    findings_->checked(Law::kConservation);
    judge_dues(number, event);
    if (event.on_hand != event.received + event.adjusted - sku.sold) {
      findings_->add(Fault::kNotConserved,
                     change(event) + " leaves " + std::to_string(event.on_hand) + " units of " +
                         sku_of(number) + " on hand with " + std::to_string(event.received) +
                         " received, " + std::to_string(event.adjusted) + " adjusted and " +
                         std::to_string(sku.sold) + " sold",
                     with_last(number, event.sequence));
    }
    sku.is_known = true;
    sku.on_hand = event.on_hand;
    sku.received = event.received;
    sku.adjusted = event.adjusted;
    touch(number);
  }
  std::vector<std::int64_t> with_last(std::uint32_t number, std::int64_t sequence) const {
    std::vector<std::int64_t> changes;
    const Sku& sku = stock_->skus[number];
    const std::size_t size = sku.versions.size();
    for (std::size_t i = size - std::min<std::size_t>(size, 6); i < size; ++i) {
      changes.push_back(stock_->version(sku, i).sequence);
    }
    changes.push_back(sequence);
    return changes;
  }

  void touch(std::uint32_t sku) {
    if (std::find(touched_.begin(), touched_.end(), sku) == touched_.end()) {
      touched_.push_back(sku);
    }
  }
  const Due* first_due(std::uint32_t number) {
    return stock_->skus[number].dues.first([&](const Due& due) {
      const Hold& hold = holds_->holds[due.hold];
      if (hold.state != State::kHeld || hold.expire_time != due.time) return false;
      for (std::uint32_t i = 0; i < hold.line_count; ++i) {
        const HoldLine& line = holds_->lines[hold.first_line + i];
        if (line.sku == number) return line.rest() > 0;
      }
      return false;
    });
  }
  // Law 9: whoever looks at a SKU at some time finds no hold of it that had expired by then.
  void judge_dues(std::uint32_t number, const Event& event) {
    findings_->checked(Law::kExpiry);
    const Due* due = first_due(number);
    if (due == nullptr || due->time > event.time) return;
    findings_->add(Fault::kLateExpiry,
                   change(event) + " finds units of " + sku_of(number) +
                       " held by a hold that had expired " +
                       std::to_string(event.time - due->time) + " ns before",
                   past_of(due->hold, event.sequence));
  }
  // Laws 1 and 2, and what the SKU is from here on.
  void settle(std::uint32_t number, const Event& event) {
    Sku& sku = stock_->skus[number];
    findings_->checked(Law::kNoOversell);
    if (sku.was_sound && (sku.held > sku.on_hand || sku.held < 0)) {
      findings_->add(Fault::kOversold,
                     change(event) + " leaves " + std::to_string(sku.held) + " units of " +
                         sku_of(number) + " held with " + std::to_string(sku.on_hand) + " on hand",
                     with_last(number, event.sequence));
    }
    sku.was_sound = sku.held <= sku.on_hand;
    const Due* due = first_due(number);
    stock_->add_version(&sku, event.sequence, due == nullptr ? kNoExpiry : due->time);
  }

  Memory memory_;
  Stock* stock_;
  Holds* holds_;
  Caps* caps_;
  Findings* findings_;
  std::vector<std::uint32_t> touched_;
};

}  // namespace atp::audit
