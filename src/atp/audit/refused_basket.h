// A basket that was refused: was it right at some position? Owns the rules of docs/semantics.md for
// unknown SKUs, caps, short stock and a hold that would have been replaced, and the counts that
// caps are said to have had. Grants are not judged here: the ledger does that.
#pragma once
#include "content.h"

namespace atp::audit {

class RefusedBasket {
 public:
  RefusedBasket(Stock* stock, Holds* holds, Caps* caps)
      : stock_(stock), holds_(holds), caps_(caps) {}

  // `skus` gets the SKUs whose changes matter.
  void prepare(const Asked* asked, const Told* told, std::int64_t to,
               std::vector<std::uint32_t>* skus) {
    asked_ = asked;
    told_ = told;
    replaced_ = Holds::kNone;
    Key key;
    if (key_from_hex(asked->replaces, &key)) replaced_ = holds_->find_at(key, to);
    if (told->outcome < 8) return;
    add_up(asked->lines, &sums_, &from_);
    for (const Units& line : sums_) skus->push_back(stock_->find(line.sku));
    skus_ = *skus;
    caller_ = address_from(asked->address);
  }

  // The next position at which the answer may become true: that of a change of what it is about.
  std::int64_t next(std::int64_t at) {
    std::int64_t next = kNoMore;
    if (replaced_ != Holds::kNone) holds_->last_change(replaced_, at, &next);
    for (const ToldCap& told : told_->caps) {
      next = std::min(next, caps_->next_change(told.cap_id, at));
      const CountPast* past = past_of(told, at);
      if (past == nullptr) continue;
      const auto found = after(past->totals, at);
      if (found != past->totals.end()) next = std::min(next, found->sequence);
    }
    return next;
  }

  const char* wrong(std::int64_t at) {
    freed_.clear();
    const Hold* replaced = replaced_ == Holds::kNone ? nullptr : &holds_->holds[replaced_];
    State state = State::kNone;
    if (replaced != nullptr && replaced->grant <= at) {
      holds_->then(replaced_, at, &then_);
      state = then_.state;
    }
    switch (told_->outcome) {
      case 3: return known_id(asked_->request_id, at);
      case 5: return state == State::kHeld ? "the hold to be replaced was there" : nullptr;
      case 6: {
        if (state == State::kNone) return "the hold to be replaced was not there";
        const bool is_own =
            !asked_->customer.empty() && asked_->customer == holds_->customer_of(*replaced);
        return is_own ? "the hold to be replaced was the customer's own" : nullptr;
      }
      case 7:
        if (state == State::kNone) return "the hold to be replaced was not there";
        return state == State::kHeld ? "the hold to be replaced had not ended" : nullptr;
      default: break;
    }
    if (state == State::kHeld) freed_ = then_.lines;
    for (const ToldCap& told : told_->caps) {
      const char* why = wrong_cap(told, at);
      if (why != nullptr) return why;
    }
    return told_->skus.empty() ? wrong_whole(at) : wrong_lines(at);
  }

  // The id stands for something by then.
  const char* known_id(Text id, std::int64_t at) const {
    const Key key = key_of(id);
    const std::uint32_t hold = holds_->find_at(key, at);
    if (hold != Holds::kNone && holds_->holds[hold].grant <= at) return nullptr;
    const Receipt* receipt = holds_->find_receipt(key);
    if (receipt != nullptr && receipt->sequence <= at) return nullptr;
    return "nothing had been done with this request id";
  }
  // When the id came to stand for something, if that was later.
  std::int64_t next_known_id(Text id, std::int64_t at) const {
    const Key key = key_of(id);
    const std::uint32_t hold = holds_->find_at(key, at);
    const Receipt* receipt = holds_->find_receipt(key);
    std::int64_t next = kNoMore;
    if (hold != Holds::kNone && holds_->holds[hold].grant > at) next = holds_->holds[hold].grant;
    if (receipt != nullptr && receipt->sequence > at) next = std::min(next, receipt->sequence);
    return next;
  }

 private:
  static constexpr std::int64_t kNoMore = 0x7fffffffffffffffll;
  static constexpr std::uint32_t kAllSkus = 0xffffffffu;
  static constexpr std::size_t kCapsTold = 16;

  std::int64_t freed(std::uint32_t sku) const {
    for (const HoldLine& line : freed_) {
      if (line.sku == sku) return line.rest();
    }
    return 0;
  }
  std::int64_t available(std::size_t index, std::int64_t at, const Version** version) {
    *version = stock_->at(skus_[index], at);
    if (*version == nullptr) return 0;
    return std::max<std::int64_t>(0, (*version)->on_hand - (*version)->held) + freed(skus_[index]);
  }

  // Without a word on its lines: the outcome itself must be right.
  const char* wrong_whole(std::int64_t at) {
    if (told_->outcome == 9) return nullptr;
    const Version* version;
    for (std::size_t i = 0; i < sums_.size(); ++i) {
      const std::int64_t left = available(i, at, &version);
      if (told_->outcome == 8 && version == nullptr) return nullptr;
      if (told_->outcome == 10 && version != nullptr && sums_[i].quantity > left) return nullptr;
    }
    return told_->outcome == 8 ? "every SKU was known" : "there were units enough";
  }

  const char* wrong_lines(std::int64_t at) {
    if (told_->skus.size() != sums_.size()) return "it tells of other lines";
    std::int32_t outcome = 0;
    for (std::size_t i = 0; i < sums_.size(); ++i) {
      const ToldUnits& told = told_->skus[i];
      const Version* version;
      const std::int64_t left = available(i, at, &version);
      if (told.line != from_[i] || told.granted != 0) return "it tells of other lines";
      const std::int64_t held = version == nullptr ? 0 : version->held - freed(skus_[i]);
      if (told.available != left || told.held != held) return "other units were available";
      const std::int64_t first = version == nullptr ? 0 : version->first_expire;
      if (replaced_ == Holds::kNone && told.first_expire != first) {
        return "its first hold ends at another time";
      }
      const char* why = wrong_outcome(i, told.outcome, version != nullptr, left);
      if (why != nullptr) return why;
      const std::int32_t of_line = told.outcome >= 2 && told.outcome <= 4 ? told.outcome + 6 : 99;
      outcome = outcome == 0 ? of_line : std::min(outcome, of_line);
    }
    return outcome == told_->outcome ? nullptr : "no line was refused so";
  }

  const char* wrong_outcome(std::size_t index, std::int32_t told, bool is_known,
                            std::int64_t left) const {
    if ((told == 2) != !is_known) return "the SKU was known, or not";
    if (!is_known) return nullptr;
    if (asked_->partial) return told == 4 && left != 0 ? "there were units" : nullptr;
    const bool is_short = sums_[index].quantity > left;
    if (told == 4) return is_short ? nullptr : "there were units enough";
    if (told == 5) return is_short ? "there were not units enough" : nullptr;
    const bool is_capped = told_->caps.size() == kCapsTold || is_under_cap(index);
    return told == 3 && is_capped ? nullptr : "no cap stood in the way of the line";
  }
  bool is_under_cap(std::size_t index) const {
    for (const ToldCap& told : told_->caps) {
      if (told.sku.empty() || told.sku == sums_[index].sku) return true;
    }
    return false;
  }

  // The count that a refusal tells of, at that position; null: nobody was counted.
  const CountPast* past_of(const ToldCap& told, std::int64_t at) {
    const CapThen* cap = caps_->at(told.cap_id, at);
    Address room;
    Whom counted;
    if (cap == nullptr || !cap->is_there ||
        !whom(cap->rule, asked_->customer, caller_, &room, &counted)) {
      return nullptr;
    }
    return caps_->past(*cap, counted, cap->rule.per_sku ? stock_->find(told.sku) : kAllSkus);
  }
  static std::vector<CountThen>::const_iterator after(const std::vector<CountThen>& totals,
                                                      std::int64_t at) {
    return std::upper_bound(totals.begin(), totals.end(), at,
                            [](std::int64_t sequence, const CountThen& then) {
                              return sequence < then.sequence;
                            });
  }

  const char* wrong_cap(const ToldCap& told, std::int64_t at) {
    const CapThen* cap = caps_->at(told.cap_id, at);
    if (cap == nullptr || !cap->is_there) return "there was no such cap";
    if (cap->rule.mode != CapMode::kEnforce) return "the cap was not enforced";
    Address room;
    Whom counted;
    if (!whom(cap->rule, asked_->customer, caller_, &room, &counted)) {
      return "the cap did not concern the caller";
    }
    if (told.limit != limit_of(cap->rule, counted)) return "the cap's limit was another";
    std::int64_t asked = 0, back = 0;
    for (std::size_t i = 0; i < sums_.size(); ++i) {
      const bool is_counted = cap->rule.per_sku ? sums_[i].sku == told.sku
                                                : cap->rule.concerns(skus_[i]);
      if (!is_counted || stock_->at(skus_[i], at) == nullptr) continue;
      asked += sums_[i].quantity;
    }
    for (const HoldLine& line : freed_) {
      const bool is_counted = cap->rule.per_sku ? stock_->skus[line.sku].name == told.sku
                                                : cap->rule.concerns(line.sku);
      if (is_counted) back += line.rest();
    }
    if (told.asked != asked) return "other units were asked for under the cap";
    if (told.in_force + asked <= told.limit && !asked_->partial) return "the cap left units enough";
    if (cap->rule.subject == Subject::kReservation) {
      return told.in_force == 0 ? nullptr : "other units were in force";
    }
    const CountPast* past = past_of(told, at);
    if (was_in_force(*cap, past, told.in_force, at)) return nullptr;
    if (back != 0 && was_in_force(*cap, past, told.in_force + back, at)) return nullptr;
    return "other units were in force";
  }

  // Were so many units in force at some time between that position and the count's next change?
  static bool was_in_force(const CapThen& cap, const CountPast* past, std::int64_t units,
                           std::int64_t at) {
    if (past == nullptr) return units == 0;
    const auto next = after(past->totals, at);
    if (next == past->totals.begin()) return units == 0;
    const CountThen& then = *std::prev(next);
    if (cap.rule.window == 0) return units == then.total;
    const std::int64_t last = next == past->totals.end() ? kNoMore : next->time;
    const auto& steps = past->steps;
    auto step = std::partition_point(steps.begin(), steps.end(), [&](const Step& each) {
      return !cap.rule.still_counts(each.number, then.time);
    });
    while (true) {
      const std::int64_t passed = step == steps.begin() ? 0 : std::prev(step)->units;
      if (units == then.total - passed) return true;
      if (step == steps.end() || cap.rule.still_counts(step->number, last)) return false;
      ++step;
    }
  }

  Stock* stock_;
  Holds* holds_;
  Caps* caps_;
  const Asked* asked_ = nullptr;
  const Told* told_ = nullptr;
  std::uint32_t replaced_ = Holds::kNone;
  Address caller_;
  std::vector<Units> sums_;
  std::vector<std::int32_t> from_;
  std::vector<std::uint32_t> skus_;
  std::vector<HoldLine> freed_;
  HoldThen then_;
};

}  // namespace atp::audit
