// Was an answer that changed nothing true at some position of the journal? Owns what each refusal,
// repeat and read says of the state, and finds the first position from which on it could have been
// said. Knows nothing of time but the positions that it leaves open.
#pragma once
#include "refused_basket.h"

namespace atp::audit {

class Truth {
 public:
  Truth(Stock* stock, Holds* holds, Caps* caps)
      : stock_(stock), holds_(holds), caps_(caps), told_of_(stock, holds),
        basket_(stock, holds, caps) {}

  struct Found {
    std::int64_t at = 0;        // 0: nowhere
    std::int64_t told = 0;      // newest change that it tells of: it was true at none before that
    const char* why = nullptr;  // not at the last position that was looked at
    bool is_judged = true;      // false: it says nothing of the state that can be judged
  };

  // The first position of these, both included, at which the answer was true.
  Found find(const Command& command, std::int64_t from, std::int64_t to) {
    read_asked(command.method, command.asked(), &asked_);
    if (command.status == 0) {
      read_told(command.method, command.told(), &told_);
    } else {
      told_.clear();
    }
    Found found;
    found.is_judged = prepare(command, to);
    if (!found.is_judged) return found;
    if (command.fate == Fate::kRefused && told_.sequence != 0) {
      found.why = "it tells of a change, and is a refusal";
      return found;
    }
    if (command.fate == Fate::kRepeat) found.told = told_.sequence;
    // Whoever tells the last change of something speaks of a position that is not before it.
    found.told = std::max(found.told, told_.hold.sequence);
    for (const ToldUnits& told : told_.skus) found.told = std::max(found.told, told.sequence);
    from = std::max(from, found.told);
    if (from > to) {
      found.why = "it tells of a change that was asked for after it";
      return found;
    }
    std::int64_t at = from;
    while (true) {
      found.why = wrong(command, at);
      if (found.why == nullptr) {
        found.at = at;
        return found;
      }
      at = next(at);
      if (at > to) return found;
    }
  }

  const Asked& asked() const { return asked_; }
  const Told& told() const { return told_; }
  // SKUs that the last answer was about, for whoever shows why it was not true.
  const std::vector<std::uint32_t>& skus() const { return skus_; }

 private:
  static constexpr std::int64_t kNoMore = 0x7fffffffffffffffll;

  // What the answer is about; false when it says nothing that can be judged.
  bool prepare(const Command& command, std::int64_t to) {
    skus_.clear();
    hold_ = Holds::kNone;
    is_basket_ = false;
    const Method method = command.method;
    is_reused_ = command.fate == Fate::kRefused && !asked_.request_id.empty() &&
                 told_.outcome == (method == Method::kReserve ? 3 : 2);
    if (method == Method::kReserve) {
      if (command.fate == Fate::kRepeat) {
        hold_ = holds_->find_at(key_of(asked_.request_id), to);
        return true;
      }
      const bool is_judged = told_.outcome != 4 && told_.outcome != 11;
      is_basket_ = is_judged;
      if (is_judged) basket_.prepare(&asked_, &told_, to, &skus_);
      return is_judged;
    }
    if (is_change_of_hold(method) || method == Method::kGetReservation) {
      Key key;
      if (key_from_hex(asked_.reservation_id, &key)) hold_ = holds_->find_at(key, to);
      return command.fate == Fate::kRepeat || told_.outcome != 10;
    }
    if (method == Method::kGetAvailability) {
      for (const Units& line : asked_.lines) skus_.push_back(stock_->find(line.sku));
    } else if (method == Method::kSetStock || method == Method::kAdjustStock) {
      skus_.push_back(stock_->find(asked_.sku));
      return command.fate == Fate::kRepeat || told_.outcome < 6;
    }
    return true;
  }

  std::int64_t next(std::int64_t at) {
    std::int64_t next = kNoMore;
    for (const std::uint32_t sku : skus_) next = std::min(next, stock_->next_change(sku, at));
    if (hold_ != Holds::kNone) {
      std::int64_t after;
      holds_->last_change(hold_, at, &after);
      next = std::min(next, after);
    }
    if (!told_.cap.empty()) next = std::min(next, caps_->next_change(first_text(told_.cap), at));
    if (is_reused_) next = std::min(next, basket_.next_known_id(asked_.request_id, at));
    return is_basket_ ? std::min(next, basket_.next(at)) : next;
  }
  static Text first_text(Text message) {
    Reader reader(message.data(), message.size());
    return reader.next(1) ? text_of(reader) : Text();
  }

  const char* wrong(const Command& command, std::int64_t at) {
    switch (command.method) {
      case Method::kReserve:
        return command.fate == Fate::kRepeat ? repeated_grant(at) : basket_.wrong(at);
      case Method::kCommit:
      case Method::kRelease:
      case Method::kExtend:
        return command.fate == Fate::kRepeat ? repeated_change(command.method, at)
                                             : refused_change(at);
      case Method::kGetReservation: return reservation(command, at);
      case Method::kGetAvailability: return availability(at);
      case Method::kSetStock:
      case Method::kAdjustStock: return stock(command, at);
      case Method::kSetCap: {
        const CapThen* cap = caps_->at(first_text(told_.cap), at);
        const bool is_so = cap != nullptr && cap->is_there && cap->sequence == told_.sequence;
        return is_so ? nullptr : "the cap was set by another change";
      }
      default: return nullptr;
    }
  }

  // The hold at that position, if it was there; `then_` has it.
  bool look(std::int64_t at) {
    std::int64_t next;
    if (hold_ == Holds::kNone || holds_->last_change(hold_, at, &next) == 0) return false;
    holds_->then(hold_, at, &then_);
    return true;
  }
  const char* told_hold() {
    if (!told_.hold.is_told) return nullptr;
    return told_of_.hold(told_.hold, hold_, then_);
  }

  const char* repeated_grant(std::int64_t at) {
    if (!look(at)) return "there was no hold of this request id";
    const Hold& hold = holds_->holds[hold_];
    if (hold.grant != told_.sequence) return "the hold was granted by another change";
    if ((told_.outcome == 2) != hold.is_partial) return "it was not granted in the same part";
    return told_hold();
  }

  const char* repeated_change(Method method, std::int64_t at) {
    const bool is_there = look(at);
    const Receipt* receipt =
        asked_.request_id.empty() ? nullptr : holds_->find_receipt(key_of(asked_.request_id));
    if (receipt == nullptr || receipt->sequence != told_.sequence) {
      if (!is_there) return "there was no such hold";
      if (then_.sequence != told_.sequence) return "the hold's last change is another";
      const State wanted = method == Method::kCommit    ? State::kCommitted
                           : method == Method::kRelease ? State::kReleased
                                                        : State::kHeld;
      if (then_.state != wanted) return "this had not been done to the hold";
      if (asked_.expire_time != 0 && method == Method::kExtend &&
          asked_.expire_time != then_.expire_time) {
        return "the hold ends at another time";
      }
    } else if (receipt->sequence > at) {
      return "this had not been done yet";
    }
    return is_there ? told_hold() : nullptr;
  }

  const char* refused_change(std::int64_t at) {
    const bool is_there = look(at);
    const bool is_held = is_there && then_.state == State::kHeld;
    switch (told_.outcome) {
      case 2: return basket_.known_id(asked_.request_id, at);
      case 3: return is_held ? "the hold was there" : nullptr;
      case 4:
      case 5:
      case 6: {
        const auto state = static_cast<State>(told_.outcome - 2);
        if (!is_there || then_.state != state) return "the hold had not ended so";
        break;
      }
      case 7:
      case 8: {
        if (!is_held) return "the hold was not there";
        const char* why = bad_line();
        if (why != nullptr) return why;
        break;
      }
      default:
        if (!is_held) return "the hold was not there";
    }
    return told_hold();
  }

  const char* bad_line() const {
    const auto index = static_cast<std::size_t>(told_.line_index);
    if (index >= asked_.lines.size()) return "the request has no such line";
    const Units& named = asked_.lines[index];
    const std::uint32_t sku = stock_->find(named.sku);
    for (const HoldLine& line : then_.lines) {
      if (line.sku != sku) continue;
      if (told_.outcome == 7) return "the hold had that line";
      return named.quantity > line.rest() ? nullptr : "the hold held so many units";
    }
    return told_.outcome == 7 ? nullptr : "the hold had no such line";
  }

  const char* reservation(const Command& command, std::int64_t at) {
    const bool is_there = look(at);
    if (command.fate == Fate::kFailed) {
      return is_there && then_.state == State::kHeld ? "the hold was there" : nullptr;
    }
    if (!is_there) return "there was no such hold";
    return told_.hold.is_told ? told_hold() : "it tells of no hold";
  }

  const char* availability(std::int64_t at) {
    if (told_.skus.size() != asked_.lines.size()) return "it tells of other SKUs";
    for (std::size_t i = 0; i < skus_.size(); ++i) {
      const ToldUnits& told = told_.skus[i];
      if (told.sku != asked_.lines[i].sku) return "it tells of other SKUs";
      const Version* version = stock_->at(skus_[i], at);
      if ((version != nullptr) != told.known) return "the SKU was known, or not";
      if (version == nullptr) {
        const bool is_empty = told.on_hand == 0 && told.held == 0 && told.available == 0 &&
                              told.sequence == 0 && told.first_expire == 0;
        if (!is_empty) return "the SKU was unknown";
        continue;
      }
      if (told.sequence != version->sequence) return "the SKU's last change was another";
      const std::int64_t available = std::max<std::int64_t>(0, version->on_hand - version->held);
      if (told.on_hand != version->on_hand || told.held != version->held ||
          told.available != available) {
        return "other units were available";
      }
      if (told.first_expire != version->first_expire) return "its first hold ends at another time";
    }
    return nullptr;
  }

  const char* stock(const Command& command, std::int64_t at) {
    const Version* version = stock_->at(skus_[0], at);
    const std::int64_t on_hand = version == nullptr ? 0 : version->on_hand;
    const std::int64_t held = version == nullptr ? 0 : version->held;
    const bool is_setting = command.method == Method::kSetStock;
    if (told_.has_stock) {
      if (version == nullptr) return "the SKU was unknown";
      if (told_.on_hand != on_hand || told_.held != held ||
          told_.sku_sequence != version->sequence) {
        return "the SKU had other counters";
      }
    }
    if (command.fate == Fate::kRepeat) {
      if (is_setting) {
        if (version == nullptr || version->sequence != told_.sequence) {
          return "the SKU's last change was another";
        }
        return on_hand == asked_.on_hand ? nullptr : "other units were on hand";
      }
      const Receipt* receipt = holds_->find_receipt(key_of(asked_.request_id));
      const bool is_so = receipt != nullptr && receipt->sequence == told_.sequence;
      return is_so ? nullptr : "this had not been done";
    }
    switch (told_.outcome) {
      case 2: return basket_.known_id(asked_.request_id, at);
      case 3: return version == nullptr ? nullptr : "the SKU was known";
      case 4: return on_hand != asked_.expected ? nullptr : "so many units were on hand";
      case 5: {
        const std::int64_t wanted = is_setting ? asked_.on_hand : on_hand + asked_.delta;
        return wanted < held ? nullptr : "fewer units were held";
      }
      default: return nullptr;
    }
  }

  Stock* stock_;
  Holds* holds_;
  Caps* caps_;
  ToldOfLedger told_of_;
  RefusedBasket basket_;
  Asked asked_;
  Told told_;
  std::vector<std::uint32_t> skus_;
  std::uint32_t hold_ = Holds::kNone;
  bool is_basket_ = false;
  bool is_reused_ = false;  // it says that its request id stands for something else
  HoldThen then_;
};

}  // namespace atp::audit
