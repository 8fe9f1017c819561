// Is this change what that command asked for? And is what was told of it what the journal has? Owns
// comparing one request, or one answer, with one event. Keeps nothing.
#pragma once
#include "caps.h"
#include "commands.h"

namespace atp::audit {

// Lines of one SKU added up, in order of first mention. `from` gets each one's first index.
inline void add_up(const std::vector<Units>& lines, std::vector<Units>* sums,
                   std::vector<std::int32_t>* from) {
  constexpr std::size_t kFew = 16;
  sums->clear();
  from->clear();
  tsl::robin_map<std::string_view, std::size_t> places;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::size_t at = sums->size();
    if (lines.size() <= kFew) {
      for (at = 0; at < sums->size() && (*sums)[at].sku != lines[i].sku; ++at) continue;
    } else {
      at = places.emplace(lines[i].sku, sums->size()).first->second;
    }
    if (at == sums->size()) {
      sums->push_back({lines[i].sku});
      from->push_back(static_cast<std::int32_t>(i));
    }
    (*sums)[at].quantity += lines[i].quantity;
  }
}

class Content {
 public:
  Content(Stock* stock, Holds* holds) : stock_(stock), holds_(holds) {}

  // Why the event is not what was asked for; null: it is. The ledger is as before the event.
  const char* asked_for(Method method, const Asked& asked, const Event& event) {
    switch (method) {
      case Method::kReserve: return reserve(asked, event);
      case Method::kCommit: return change(asked, event, Change::kCommitted);
      case Method::kRelease: return change(asked, event, Change::kReleased);
      case Method::kExtend: return change(asked, event, Change::kExtended);
      case Method::kSetStock: return set_stock(asked, event);
      case Method::kAdjustStock: return adjust_stock(asked, event);
      case Method::kSetCap: return set_cap(asked.cap, event);
      case Method::kRemoveCap:
        if (event.kind != Change::kCapRemoved) return "it is of another kind";
        return event.cap == asked.cap ? nullptr : "it removes another cap";
      default: return "no such call changes anything";
    }
  }

  // Why what was told of the event is not so; null: it is. The ledger is as after the event.
  const char* told(Method method, const Asked& asked, const Told& told, const Event& event) {
    if (method == Method::kReserve) return told_grant(asked, told, event);
    if (is_change_of_hold(method)) {
      const std::uint32_t number = holds_->find(event.key);
      return number == Holds::kNone ? nullptr : told_hold(told.hold, number, event.sequence);
    }
    if (method == Method::kSetStock || method == Method::kAdjustStock) {
      const Sku& sku = stock_->skus[stock_->number_of(event.sku)];
      if (!told.has_stock) return "it tells no stock";
      const bool is_same = told.on_hand == sku.on_hand && told.held == sku.held &&
                           told.received == sku.received && told.adjusted == sku.adjusted &&
                           told.sku_sequence == event.sequence;
      return is_same ? nullptr : "it tells other counters of the SKU";
    }
    if (method == Method::kSetCap) return set_cap(told.cap, event);
    return nullptr;
  }

  // The same for a hold as it is told, against what it was then.
  const char* same_hold(const ToldHold& told, const Hold& hold, const HoldThen& then) const {
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
    if (told.customer != holds_->customer_of(hold)) return "the hold is another customer's";
    if (address_from(told.address).view() != holds_->address_of(hold)) {
      return "the hold was asked from another address";
    }
    return same_lines(told, then);
  }

 private:
  const char* same_lines(const ToldHold& told, const HoldThen& then) const {
    if (told.lines.size() != then.lines.size()) return "the hold has other lines";
    for (std::size_t i = 0; i < then.lines.size(); ++i) {
      const HoldLine& line = then.lines[i];
      const ToldUnits& one = told.lines[i];
      const std::int64_t rest = line.rest();
      if (one.sku != stock_->skus[line.sku].name || one.granted != line.granted) {
        return "the hold has other lines";
      }
      const bool is_same = one.committed == line.committed && one.released == line.released &&
                           one.held == (then.state == State::kHeld ? rest : 0) &&
                           one.expired == (then.state == State::kExpired ? rest : 0);
      if (!is_same) return "other units of a line are held, sold or given back";
    }
    return nullptr;
  }

  const char* told_hold(const ToldHold& told, std::uint32_t number, std::int64_t sequence) {
    if (!told.is_told) return "it tells of no hold";
    const Hold& hold = holds_->holds[number];
    then_.state = hold.state;
    then_.sequence = sequence;
    then_.expire_time = hold.expire_time;
    then_.end_time = hold.end_time;
    const HoldLine* lines = holds_->lines_of(hold);
    then_.lines.assign(lines, lines + hold.line_count);
    return same_hold(told, hold, then_);
  }

  const char* told_grant(const Asked& asked, const Told& told, const Event& event) {
    if ((told.outcome == 2) != event.is_partial) return "it was not granted in the same part";
    if (event.is_partial && !told.skus.empty()) {
      add_up(asked.lines, &sums_, &from_);
      std::size_t at = 0;
      for (const ToldUnits& line : told.skus) {
        if (line.granted == 0) continue;
        if (at == event.lines.size() || line.line < 0 ||
            line.line >= static_cast<std::int32_t>(asked.lines.size()) ||
            asked.lines[static_cast<std::size_t>(line.line)].sku != event.lines[at].sku ||
            line.granted != event.lines[at].quantity) {
          return "other units were granted";
        }
        ++at;
      }
      if (at != event.lines.size()) return "other units were granted";
    }
    return told_hold(told.hold, static_cast<std::uint32_t>(holds_->holds.size() - 1),
                     event.sequence);
  }

  const char* reserve(const Asked& asked, const Event& event) {
    if (event.kind != Change::kReserved) return "it is of another kind";
    if (asked.request_id != event.request_id) return "it has another request id";
    if (asked.customer != event.customer) return "it is for another customer";
    if (address_from(asked.address).view() != event.address) return "it is from another address";
    const std::int64_t life = event.expire_time - event.time;
    if (asked.expire_time != 0 && asked.expire_time != event.expire_time) {
      return "it ends at another time";
    }
    if (asked.ttl != 0 && asked.ttl != life) return "it lives for another time";
    Key replaced;
    const bool replaces = key_from_hex(asked.replaces, &replaced);
    if (replaces != event.has_replaced || (replaces && !(replaced == event.replaced))) {
      return "it replaces another hold";
    }
    if (event.is_partial && !asked.partial) return "it was granted in part, unasked";
    add_up(asked.lines, &sums_, &from_);
    std::size_t at = 0;
    bool is_short = false;
    for (const Units& line : sums_) {
      const bool is_there = at < event.lines.size() && event.lines[at].sku == line.sku;
      const std::int64_t granted = is_there ? event.lines[at].quantity : 0;
      if (granted > line.quantity) return "more was granted than asked for";
      is_short |= granted < line.quantity;
      at += is_there;
    }
    if (at != event.lines.size()) return "other SKUs were granted";
    return is_short == event.is_partial ? nullptr : "other units were granted than asked for";
  }

  static const char* change(const Asked& asked, const Event& event, Change kind) {
    if (event.kind != kind) return "it is of another kind";
    Key key;
    if (!key_from_hex(asked.reservation_id, &key) || !(key == event.key)) {
      return "it is about another hold";
    }
    if (asked.request_id.empty() == event.has_receipt ||
        (event.has_receipt && !(key_of(asked.request_id) == event.receipt))) {
      return "it has another request id";
    }
    if (kind == Change::kExtended) {
      const bool is_same =
          (asked.expire_time == 0 || asked.expire_time == event.expire_time) &&
          (asked.ttl == 0 || asked.ttl == event.expire_time - event.time);
      return is_same ? nullptr : "it ends at another time";
    }
    if (asked.lines.size() != event.lines.size()) return "it names other units";
    for (std::size_t i = 0; i < asked.lines.size(); ++i) {
      if (asked.lines[i].sku != event.lines[i].sku ||
          asked.lines[i].quantity != event.lines[i].quantity) {
        return "it names other units";
      }
    }
    return nullptr;
  }

  static const char* set_stock(const Asked& asked, const Event& event) {
    if (event.kind != Change::kStockChanged) return "it is of another kind";
    if (event.sku != asked.sku) return "it is about another SKU";
    if (event.has_receipt || event.reason != 0) return "it is no setting but an adjustment";
    return event.on_hand == asked.on_hand ? nullptr : "other units are on hand";
  }
  const char* adjust_stock(const Asked& asked, const Event& event) {
    if (event.kind != Change::kStockChanged) return "it is of another kind";
    if (event.sku != asked.sku) return "it is about another SKU";
    if (!event.has_receipt || !(key_of(asked.request_id) == event.receipt)) {
      return "it has another request id";
    }
    const Sku& sku = stock_->skus[stock_->number_of(event.sku)];
    const bool is_received = asked.reason == 1;
    const bool is_same = event.reason == asked.reason &&
                         event.on_hand == sku.on_hand + asked.delta &&
                         event.received == sku.received + (is_received ? asked.delta : 0);
    return is_same ? nullptr : "it adds other units";
  }
  const char* set_cap(Text cap, const Event& event) {
    if (event.kind != Change::kCapSet) return "it is of another kind";
    const bool is_same = read_cap(cap, stock_).same_as(read_cap(event.cap, stock_));
    return is_same ? nullptr : "the cap is another";
  }

  Stock* stock_;
  Holds* holds_;
  HoldThen then_;
  std::vector<Units> sums_;
  std::vector<std::int32_t> from_;
};

}  // namespace atp::audit
