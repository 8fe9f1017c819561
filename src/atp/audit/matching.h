// History against journal: every change that was acknowledged is there with its content, and every
// change that is there was asked for, once. Owns which command explains which change. Judges
// neither the order of answers nor what refusals say.
#pragma once
#include "reading.h"

namespace atp::audit {

class Matching {
 public:
  Matching(History* history, const Journal* journal, Stock* stock, Holds* holds,
           Findings* findings)
      : history_(history), journal_(journal), stock_(stock), findings_(findings),
        told_of_(stock, holds) {}

  Table<std::uint32_t> explained_by;   // command of each change, or kNobody
  std::vector<std::int64_t> unasked;         // changes that nobody is known to have asked for
  std::int64_t first_explained = kNever;     // changes before it are the base
  std::int64_t last_explained = 0;
  std::int64_t base_changes = 0, expiries = 0, unanswered_done = 0;

  // Before the replay: who says to have done which change, and who may have.
  void prepare(Caps* caps) {
    explained_by.assign(journal_->records.size(), kNobody);
    const auto count = static_cast<std::uint32_t>(history_->commands.size());
    for (std::uint32_t i = 0; i < count; ++i) {
      const Command& command = history_->commands[i];
      if (command.fate == Fate::kDone) {
        claim(i, command);
      } else if (command.fate == Fate::kUnknown) {
        file(i, command, &unknown_);
      } else if (command.fate == Fate::kRefused && command.method == Method::kReserve) {
        read_told(command.method, command.told(), &told_);
        for (const ToldCap& cap : told_.caps) caps->track(cap.cap_id, cap.subject, cap.sku);
      }
    }
  }

  // Before a change is applied to the ledger: who asked for it?
  void before(Prepared& change) {
    const Event& event = change.event;
    std::uint32_t& command = explained_by[place_of(event)];
    if (event.kind == Change::kExpired) {
      ++expiries;
      if (command != kNobody) differs(command, event, "it is an expiry");
      return;
    }
    findings_->checked(Law::kAskedFor);
    if (command != kNobody) {
      last_explained = event.sequence;
      const bool is_sum = history_->commands[command].method == Method::kAdjustStock;
      if (is_sum && change.why == nullptr) {
        change.why = Content::adds(change.asked, event, stock_->skus[event.sku_number]);
      }
      return;
    }
    command = find_unknown(event);
    if (command != kNobody) {
      ++unanswered_done;
      last_explained = event.sequence;
      history_->commands[command].sequence = event.sequence;
    } else if (event.sequence < first_explained) {
      ++base_changes;
    } else {
      unasked.push_back(event.sequence);
    }
  }

  // After it was applied: is it what was told?
  void after(const Prepared& change) {
    const Event& event = change.event;
    const std::uint32_t number = explained_by[place_of(event)];
    if (number == kNobody || event.kind == Change::kExpired) return;
    const Command& command = history_->commands[number];
    if (command.fate != Fate::kDone) return;
    findings_->checked(Law::kAcknowledged);
    const char* why = change.why;
    if (why == nullptr) why = told_of_.change(command.method, change.told, event);
    if (why != nullptr) differs(number, event, why);
    if (event.kind == Change::kReserved) note_grant(number, command.sent, event);
  }

  // A command that was told no and asked for just this; kNobody: there is none.
  std::uint32_t find_refused(const Event& event) {
    if (!has_refused_) file_refused();
    const auto found = refused_.by_key.find(main_key_of(event));
    if (found == refused_.by_key.end()) return kNobody;
    for (std::uint32_t at = found->second; at != kNobody; at = refused_.entries[at].next) {
      const Command& command = history_->commands[refused_.entries[at].command];
      read_asked(command.method, command.asked(), &asked_);
      if (content_.asked_for(command.method, asked_, event) == nullptr) {
        return refused_.entries[at].command;
      }
    }
    return kNobody;
  }

  std::int64_t bytes() const {
    return bytes_of(explained_by) + unknown_.bytes() + refused_.bytes();
  }

 private:
  std::size_t place_of(const Event& event) const {
    return static_cast<std::size_t>(event.sequence - journal_->first);
  }

  // Commands by what they are about, each with the next one of the same key.
  struct Entry {
    std::uint32_t command, next;
    bool is_used;
  };
  struct Index {
    std::vector<Entry> entries;
    tsl::robin_map<Key, std::uint32_t, KeyHash> by_key;
    std::int64_t bytes() const {
      return bytes_of(entries) + static_cast<std::int64_t>(by_key.bucket_count() * 40);
    }
  };

  void differs(std::uint32_t command, const Event& event, const char* why) {
    findings_->add(Fault::kOtherChange,
                   "change " + std::to_string(event.sequence) +
                       " is not what was asked and answered: " + why,
                   {event.sequence}, {command});
  }

  // Of each SKU, who was granted units and had asked last.
  void note_grant(std::uint32_t number, std::int64_t sent, const Event& event) {
    for (const Units& line : event.lines) {
      Sku& sku = stock_->skus[line.number];
      if (sent < sku.last_grant_sent) continue;
      sku.last_grant_sent = sent;
      sku.last_grant_command = number;
    }
  }

  void claim(std::uint32_t number, const Command& command) {
    const std::int64_t sequence = command.sequence;
    if (sequence >= 1 && sequence < journal_->first) {  // before what is judged
      first_explained = std::min(first_explained, sequence);
      return;
    }
    findings_->checked(Law::kAcknowledged);
    if (sequence < 1) {
      findings_->add(Fault::kOtherChange, "an answer says that something was done, and not where",
                     {}, {number});
      return;
    }
    if (!journal_->has(sequence)) {
      findings_->add(Fault::kLostChange,
                     "change " + std::to_string(sequence) +
                         " was acknowledged and is not in the journal, which ends with change " +
                         std::to_string(journal_->last()),
                     {}, {number});
      return;
    }
    std::uint32_t& place = explained_by[static_cast<std::size_t>(sequence - journal_->first)];
    if (place == kNobody) {
      place = number;
      first_explained = std::min(first_explained, sequence);
    } else if (command.method == Method::kSetCap) {
      // Setting a cap to what it is names the change that made it so.
      if (command.sent < history_->commands[place].sent) place = number;
    } else {
      findings_->add(Fault::kOneChangeTwoAnswers,
                     "two answers say that they did change " + std::to_string(sequence), {sequence},
                     {place, number});
    }
  }

  static Key main_key(Method method, const Asked& asked) {
    Key key;
    if (method == Method::kReserve) return key_of(asked.request_id);
    if (is_change_of_hold(method)) {
      key_from_hex(asked.reservation_id, &key);
      return key;
    }
    if (method == Method::kSetCap) return key_of(first_text(asked.cap));
    return key_of(method == Method::kRemoveCap ? asked.cap : asked.sku);
  }
  static Key main_key_of(const Event& event) {
    switch (event.kind) {
      case Change::kStockChanged: return key_of(event.sku);
      case Change::kCapSet: return key_of(first_text(event.cap));
      case Change::kCapRemoved: return key_of(event.cap);
      default: return event.key;
    }
  }
  static Text first_text(Text message) {
    Reader reader(message.data(), message.size());
    return reader.next(1) ? text_of(reader) : Text();
  }

  void file(std::uint32_t number, const Command& command, Index* index) {
    const Method method = command.method;
    if (method == Method::kGetReservation || method == Method::kGetAvailability) return;
    try {
      read_asked(command.method, command.asked(), &asked_);
    } catch (const protozero::exception&) {
      return;  // what is no message was never done
    }
    const auto place = static_cast<std::uint32_t>(index->entries.size());
    const auto [found, is_new] = index->by_key.emplace(main_key(method, asked_), place);
    index->entries.push_back({number, is_new ? kNobody : found->second, false});
    if (!is_new) found.value() = place;
  }
  void file_refused() {
    has_refused_ = true;
    const auto count = static_cast<std::uint32_t>(history_->commands.size());
    for (std::uint32_t i = 0; i < count; ++i) {
      const Command& command = history_->commands[i];
      const bool is_refused = command.fate == Fate::kRefused || command.fate == Fate::kFailed;
      if (is_refused) file(i, command, &refused_);
    }
  }

  const char* why_not(Method method, const Event& event) {
    const char* why = content_.asked_for(method, asked_, event);
    if (why != nullptr || method != Method::kAdjustStock) return why;
    return Content::adds(asked_, event, stock_->skus[event.sku_number]);
  }

  // Of the unanswered commands that asked for this, the one that was sent first.
  std::uint32_t find_unknown(const Event& event) {
    const auto found = unknown_.by_key.find(main_key_of(event));
    if (found == unknown_.by_key.end()) return kNobody;
    Entry* best = nullptr;
    for (std::uint32_t at = found->second; at != kNobody; at = unknown_.entries[at].next) {
      Entry& unknown = unknown_.entries[at];
      if (unknown.is_used) continue;
      const Command& command = history_->commands[unknown.command];
      read_asked(command.method, command.asked(), &asked_);
      if (why_not(command.method, event) != nullptr) continue;
      if (best == nullptr || command.sent < history_->commands[best->command].sent) {
        best = &unknown;
      }
    }
    if (best == nullptr) return kNobody;
    best->is_used = true;
    return best->command;
  }

  History* history_;
  const Journal* journal_;
  Stock* stock_;
  Findings* findings_;
  Content content_;
  ToldOfLedger told_of_;
  Asked asked_;
  Told told_;
  Index unknown_, refused_;  // the latter is made when it is first asked for
  bool has_refused_ = false;
};

}  // namespace atp::audit
