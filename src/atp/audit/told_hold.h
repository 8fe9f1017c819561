// What is told of a hold, and of a SKU's counters, against what the journal has. Owns comparing one
// answer with the state after one change. Keeps nothing.
#pragma once
#include "holds.h"

namespace atp::audit {

// What never changes of a hold.
struct HoldFacts {
  Key key;
  std::int64_t grant_time = 0;
  Text customer, address;
};

// Why the lines as they are told are not these; `name_of` gives the SKU of a line's place.
template <class NameOf>
inline const char* same_lines(const ToldHold& told, const HoldThen& then, NameOf name_of) {
  if (told.lines.size() != then.lines.size()) return "the hold has other lines";
  for (std::size_t i = 0; i < then.lines.size(); ++i) {
    const HoldLine& line = then.lines[i];
    const ToldUnits& one = told.lines[i];
    const std::int64_t rest = line.rest();
    if (one.sku != name_of(i) || one.granted != line.granted) return "the hold has other lines";
    const bool is_same = one.committed == line.committed && one.released == line.released &&
                         one.held == (then.state == State::kHeld ? rest : 0) &&
                         one.expired == (then.state == State::kExpired ? rest : 0);
    if (!is_same) return "other units of a line are held, sold or given back";
  }
  return nullptr;
}

// Why a hold as it is told is not what it was then; null: it is.
template <class NameOf>
inline const char* same_hold(const ToldHold& told, const HoldFacts& hold, const HoldThen& then,
                             NameOf name_of) {
  Key key;
  if (!key_from_hex(told.id, &key) || !(key == hold.key)) return "it tells of another hold";
  if (told.state != static_cast<std::int32_t>(then.state)) return "the hold's state is another";
  const bool is_held = then.state == State::kHeld;
  const std::int64_t end = is_held ? then.expire_time : 0;
  if (told.expire_time != end) return "the hold ends at another time";
  if (told.sequence == 0 && told.lines.empty()) return nullptr;  // told in brief
  if (told.sequence != then.sequence) return "the hold's last change is another";
  if (told.end_time != (is_held ? 0 : then.end_time)) return "the hold ended at another time";
  if (told.create_time != hold.grant_time) return "the hold was granted at another time";
  if (told.customer != hold.customer) return "the hold is another customer's";
  if (address_from(told.address).view() != hold.address) {
    return "the hold was asked from another address";
  }
  return same_lines(told, then, name_of);
}

// The same for a hold of the ledger's.
class ToldOfLedger {
 public:
  ToldOfLedger(const Stock* stock, Holds* holds) : stock_(stock), holds_(holds) {}

  const char* hold(const ToldHold& told, std::uint32_t number, const HoldThen& then) const {
    const Hold& hold = holds_->holds[number];
    const HoldFacts facts{hold.key, hold.grant_time, holds_->customer_of(hold),
                          holds_->address_of(hold)};
    return same_hold(told, facts, then, [&](std::size_t i) {
      return Text(stock_->skus[then.lines[i].sku].name);
    });
  }

  // What was told of a change of a hold or of stock, when the ledger is as after it.
  const char* change(Method method, const Told& told, const Event& event) {
    if (is_change_of_hold(method)) {
      return event.hold == Holds::kNone ? nullptr : now(told.hold, event.hold, event.sequence);
    }
    if (method != Method::kSetStock && method != Method::kAdjustStock) return nullptr;
    const Sku& sku = stock_->skus[event.sku_number];
    if (!told.has_stock) return "it tells no stock";
    const bool is_same = told.on_hand == sku.on_hand && told.held == sku.held &&
                         told.received == sku.received && told.adjusted == sku.adjusted &&
                         told.sku_sequence == event.sequence;
    return is_same ? nullptr : "it tells other counters of the SKU";
  }

 private:
  const char* now(const ToldHold& told, std::uint32_t number, std::int64_t sequence) {
    if (!told.is_told) return "it tells of no hold";
    const Hold& hold = holds_->holds[number];
    then_.state = hold.state;
    then_.sequence = sequence;
    then_.expire_time = hold.expire_time;
    then_.end_time = hold.end_time;
    const HoldLine* lines = holds_->lines_of(hold);
    then_.lines.assign(lines, lines + hold.line_count);
    return this->hold(told, number, then_);
  }

  const Stock* stock_;
  Holds* holds_;
  HoldThen then_;
};

}  // namespace atp::audit
