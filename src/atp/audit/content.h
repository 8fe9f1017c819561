// Is this change what that command asked for? And was it told so? Owns comparing one request, and
// the answer to a grant or a setting, with one event. Knows no ledger, and keeps nothing.
#pragma once
#include <tsl/robin_map.h>

#include "cap_rules.h"
#include "told_hold.h"

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
  // Why the event is not what was asked for; null: it is. What an adjustment comes to is left to
  // adds().
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

  // Why what an adjustment comes to is not what was asked for; the SKU is as before it.
  static const char* adds(const Asked& asked, const Event& event, const Sku& sku) {
    const bool is_received = asked.reason == 1;
    const bool is_same = event.reason == asked.reason &&
                         event.on_hand == sku.on_hand + asked.delta &&
                         event.received == sku.received + (is_received ? asked.delta : 0);
    return is_same ? nullptr : "it adds other units";
  }

  // Why what was told of a grant or of a cap's setting is not so; null: it is, or what was told is
  // for the ledger to say.
  const char* told(Method method, const Asked& asked, const Told& told, const Event& event) {
    if (method == Method::kReserve) return told_grant(asked, told, event);
    return method == Method::kSetCap ? set_cap(told.cap, event) : nullptr;
  }

 private:
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
    return told_new_hold(told.hold, event);
  }
  const char* told_new_hold(const ToldHold& told, const Event& event) {
    if (!told.is_told) return "it tells of no hold";
    then_.state = State::kHeld;
    then_.sequence = event.sequence;
    then_.expire_time = event.expire_time;
    then_.lines.clear();
    for (const Units& line : event.lines) {
      then_.lines.push_back({line.number, static_cast<std::int32_t>(line.quantity), 0, 0});
    }
    const HoldFacts facts{event.key, event.time, event.customer, event.address};
    return same_hold(told, facts, then_, [&](std::size_t i) { return event.lines[i].sku; });
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
  static const char* adjust_stock(const Asked& asked, const Event& event) {
    if (event.kind != Change::kStockChanged) return "it is of another kind";
    if (event.sku != asked.sku) return "it is about another SKU";
    if (!event.has_receipt || !(key_of(asked.request_id) == event.receipt)) {
      return "it has another request id";
    }
    return nullptr;
  }
  static const char* set_cap(Text cap, const Event& event) {
    if (event.kind != Change::kCapSet) return "it is of another kind";
    const bool is_same = read_cap(cap).same_as(read_cap(event.cap));
    return is_same ? nullptr : "the cap is another";
  }

  HoldThen then_;
  std::vector<Units> sums_;
  std::vector<std::int32_t> from_;
};

}  // namespace atp::audit
