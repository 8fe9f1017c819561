// Reservations, and what each change did to them. Owns who holds what after every change, now and
// at any earlier position, and the memory of request ids. Judges nothing: the ledger does.
#pragma once
#include "events.h"
#include "stock.h"

namespace atp::audit {

enum class State : std::uint8_t { kNone, kHeld, kCommitted, kReleased, kExpired };

struct HoldLine {
  std::uint32_t sku;
  std::int32_t granted, committed, released;
  std::int64_t rest() const {
    return static_cast<std::int64_t>(granted) - committed - released;
  }
};

// One thing that happened to a hold.
struct Link {
  std::int64_t sequence;
  std::uint32_t hold;
  std::uint32_t before;  // of the same hold; kNoLink: its grant
};
constexpr std::uint32_t kNoLink = 0xffffffffu;

struct Hold {
  Key key;
  std::int64_t grant, grant_time, expire_time, end_time;
  std::uint64_t first_line;
  std::uint32_t line_count, last_link;
  std::uint32_t older;        // hold of the same key, whose id was used again; or Holds::kNone
  std::uint32_t rank;         // among what had ended in its share, once it has
  std::uint32_t customer_at, address_at;  // within the event of its grant
  std::uint8_t customer_size, address_size;
  State state;
  bool is_partial;
};

// A hold as it was after some change.
struct HoldThen {
  State state = State::kNone;
  std::int64_t sequence = 0;  // of its last change by then
  std::int64_t expire_time = 0, end_time = 0;
  std::vector<HoldLine> lines;
};

// The memory of a command other than a reserve that had a request id.
struct Receipt {
  Key key;
  std::int64_t sequence, time;
  std::uint32_t rank;
};

// A hold as the snapshot has it that the audit starts from.
struct HoldAtStart {
  std::int64_t sequence;         // of its last change by then
  std::int64_t expire_time, end_time;
  std::uint32_t generation;      // of the caps, at its grant
  State state;
};

// What a server lets itself forget.
struct Memory {
  std::int64_t remember = 0;   // nanoseconds; how long ended things are remembered
  std::int64_t ended_max = 0;  // and how many of them
};

class Holds {
 public:
  Table<Hold> holds;
  Table<HoldLine> lines;
  Table<Link> links;
  Table<Receipt> receipts;
  std::int64_t start = 0;          // the last change before what is judged
  Table<HoldAtStart> at_start;     // of the first holds
  Table<HoldLine> lines_at_start;  // likewise
  std::string start_names;         // their customers and addresses
  static constexpr std::uint32_t kNone = kNoNumber;

  Holds(const Journal* journal, const Stock* stock, const Names* names)
      : journal_(journal), stock_(stock), names_(names) {}
  Holds(const Holds&) = delete;
  Holds& operator=(const Holds&) = delete;

  // Room for so many grants more, among so many changes.
  void expect(std::size_t grants, std::size_t changes) {
    holds.reserve(holds.size() + grants);
    lines.reserve(lines.size() + grants);
    links.reserve(links.size() + changes);
  }

  void fill(std::size_t grants, std::size_t changes) {
    fill_room(holds, grants);
    fill_room(lines, grants);
    fill_room(links, changes);
  }

  // The youngest hold of the key, or kNone; when all is read.
  std::uint32_t find(const Key& key) const { return names_->holds.find(key); }
  // The one that was there at that position, or the oldest.
  std::uint32_t find_at(const Key& key, std::int64_t sequence) const {
    std::uint32_t number = find(key);
    while (number != kNone && holds[number].grant > sequence && holds[number].older != kNone) {
      number = holds[number].older;
    }
    return number;
  }
  const Receipt* find_receipt(const Key& key) const {
    return receipt(names_->receipts.find(key));
  }
  const Receipt* receipt(std::uint32_t number) const {
    return number == kNone ? nullptr : &receipts[number];
  }

  // The number of the next hold is that which its key has got.
  std::uint32_t add(const Hold& hold) {
    holds.push_back(hold);
    return static_cast<std::uint32_t>(holds.size() - 1);
  }
  void add_receipt(const Key& key, std::int64_t sequence, std::int64_t time) {
    receipts.push_back({key, sequence, time, end_in_share(key)});
  }
  void link(std::uint32_t number, std::int64_t sequence) {
    Hold& hold = holds[number];
    links.push_back({sequence, number, hold.last_link});
    hold.last_link = static_cast<std::uint32_t>(links.size() - 1);
  }
  void end(std::uint32_t number, State state, std::int64_t time) {
    Hold& hold = holds[number];
    hold.state = state;
    hold.end_time = time;
    hold.rank = end_in_share(hold.key);
  }

  // Remembers the last hold and its lines as they are.
  void remember_start(std::uint32_t number, std::int64_t sequence, std::uint32_t generation) {
    const Hold& hold = holds[number];
    at_start.push_back({sequence, hold.expire_time, hold.end_time, generation, hold.state});
    const auto first = lines.begin() + static_cast<std::ptrdiff_t>(hold.first_line);
    lines_at_start.insert(lines_at_start.end(), first, lines.end());
  }

  HoldLine* lines_of(const Hold& hold) { return lines.data() + hold.first_line; }
  Text customer_of(const Hold& hold) const {
    return Text(names_in(hold) + hold.customer_at, hold.customer_size);
  }
  Text address_of(const Hold& hold) const {
    return Text(names_in(hold) + hold.address_at, hold.address_size);
  }
  // What the hold was at the start; null: it was granted later.
  const HoldAtStart* started(const Hold& hold) const {
    if (hold.grant > start) return nullptr;
    return &at_start[static_cast<std::size_t>(&hold - holds.data())];
  }

  // May an engine have forgotten by then what ended so? By its age, or by how many ended after it.
  bool may_be_forgotten(const Key& key, std::int64_t ended, std::uint32_t rank, std::int64_t now,
                        const Memory& memory) const {
    return now >= ended + memory.remember ||
           shares_[key.low >> 58] - rank >= static_cast<std::uint64_t>(memory.ended_max / 64);
  }

  // The hold after the change `sequence`, which is not before its grant.
  void then(std::uint32_t number, std::int64_t sequence, HoldThen* told);
  // When it was last changed, at that position; 0: it was not there yet. `next`: its next change.
  std::int64_t last_change(std::uint32_t number, std::int64_t sequence, std::int64_t* next) const {
    *next = 0x7fffffffffffffffll;
    for (std::uint32_t at = holds[number].last_link; at != kNoLink; at = links[at].before) {
      if (links[at].sequence <= sequence) return links[at].sequence;
      *next = links[at].sequence;
    }
    return 0;
  }

  std::int64_t bytes() const {
    return bytes_of(holds) + bytes_of(lines) + bytes_of(links) + bytes_of(receipts) +
           bytes_of(at_start) + bytes_of(lines_at_start) + names_->holds.bytes() +
           names_->receipts.bytes();
  }

 private:
  const char* names_in(const Hold& hold) const {
    return hold.grant <= start ? start_names.data() : journal_->event_bytes(hold.grant).data();
  }
  std::uint32_t end_in_share(const Key& key) { return ++shares_[key.low >> 58]; }
  void begin(const Hold& hold, HoldThen* told);
  void apply(const Event& event, const Hold& hold, HoldThen* told) const;

  const Journal* journal_;
  const Stock* stock_;
  const Names* names_;
  std::uint32_t shares_[64] = {};
  Event event_;
  std::vector<std::int64_t> steps_;
};

inline void Holds::apply(const Event& event, const Hold& hold, HoldThen* told) const {
  told->sequence = event.sequence;
  State ended = State::kNone;
  if (event.kind == Change::kReserved && !(event.key == hold.key)) {
    ended = State::kReleased;  // replaced by another
  } else if (event.kind == Change::kExpired) {
    ended = State::kExpired;
  } else if (event.kind == Change::kExtended) {
    told->expire_time = event.expire_time;
  } else if (event.kind == Change::kCommitted || event.kind == Change::kReleased) {
    std::int64_t left = 0;
    const bool is_sale = event.kind == Change::kCommitted;
    for (std::size_t i = 0; i < told->lines.size(); ++i) {
      HoldLine& line = told->lines[i];
      std::int64_t units = event.lines.empty() ? line.rest() : 0;
      for (const Units& named : event.lines) {
        if (stock_->skus[line.sku].name == named.sku) units = named.quantity;
      }
      (is_sale ? line.committed : line.released) += static_cast<std::int32_t>(units);
      left += line.rest();
    }
    if (left == 0) ended = is_sale ? State::kCommitted : State::kReleased;
  }
  if (ended == State::kNone) return;
  told->state = ended;
  told->end_time = ended == State::kExpired ? told->expire_time : event.time;
  if (event.kind == Change::kReserved) {
    for (HoldLine& line : told->lines) line.released += static_cast<std::int32_t>(line.rest());
  }
}

// The hold after its grant, or at the start.
inline void Holds::begin(const Hold& hold, HoldThen* told) {
  if (const HoldAtStart* was = started(hold)) {
    told->state = was->state;
    told->sequence = was->sequence;
    told->expire_time = was->expire_time;
    told->end_time = was->end_time;
    const HoldLine* first = &lines_at_start[hold.first_line];
    told->lines.assign(first, first + hold.line_count);
    return;
  }
  read_event(hold.grant, journal_->event_bytes(hold.grant), &event_);
  told->state = State::kHeld;
  told->sequence = hold.grant;
  told->expire_time = event_.expire_time;
  for (std::uint32_t i = 0; i < hold.line_count; ++i) {
    HoldLine line = lines[hold.first_line + i];
    line.committed = 0;
    line.released = 0;
    told->lines.push_back(line);
  }
}

inline void Holds::then(std::uint32_t number, std::int64_t sequence, HoldThen* told) {
  const Hold& hold = holds[number];
  steps_.clear();
  for (std::uint32_t at = hold.last_link; at != kNoLink; at = links[at].before) {
    if (links[at].sequence <= sequence) steps_.push_back(links[at].sequence);
  }
  *told = HoldThen();
  if (steps_.empty()) return;
  begin(hold, told);
  for (std::size_t i = steps_.size() - 1; i-- > 0;) {
    read_event(steps_[i], journal_->event_bytes(steps_[i]), &event_);
    apply(event_, hold, told);
  }
}

}  // namespace atp::audit
