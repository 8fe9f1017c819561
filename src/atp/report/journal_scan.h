// One pass over a journal's segments: units on hand, held and sold of chosen SKUs in steps of time,
// and the totals of all. Owns reading records (docs/journal-format.md) and following holds as far
// as that needs. Stops where records end, sound or torn: what is missing is the audit's to say.
#pragma once
#include <protozero/pbf_message.hpp>
#include <tsl/robin_map.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "history_scan.h"

namespace atp::report {

struct StockLevel {
  int64_t on_hand = 0, held = 0, sold = 0, received = 0, adjusted = 0, held_most = 0;
  int64_t sold_before = 0;  // until the first step
};

struct HeldLine {
  uint32_t sku;
  int64_t quantity;
};

class JournalScan {
 public:
  static constexpr size_t HEADER_BYTES = 64, HEAD_BYTES = 24;
  static constexpr uint32_t EVENT_BYTES_MOST = 1 << 20;

  // Times are the server's. The levels of `chosen` are kept for each step.
  JournalScan(int64_t begin_ns, int64_t step_ns, int steps, std::vector<std::string> chosen)
      : begin_ns(begin_ns), step_ns(step_ns), steps(steps), chosen_count(chosen.size()),
        levels(chosen.size() * 3 * steps) {
    for (const std::string& sku : chosen) find_sku(sku);
  }

  // Reads a segment; they come in their order. False: `wrong` says why it can't be one.
  bool feed(const char* data, size_t size) {
    if (size < HEADER_BYTES || std::memcmp(data, "ATPSEGMT", 8) != 0) {
      wrong = "it is no segment of a journal";
      return false;
    }
    try {
      for (size_t at = HEADER_BYTES; at + HEAD_BYTES <= size;) {
        const char* const head = data + at;
        uint64_t sum;
        int64_t number;
        uint32_t bytes;
        std::memcpy(&sum, head, 8);
        std::memcpy(&number, head + 8, 8);
        std::memcpy(&bytes, head + 16, 4);
        if (bytes == 0 || bytes > EVENT_BYTES_MOST || bytes > size - at - HEAD_BYTES) break;
        if (XXH3_64bits(head + 8, HEAD_BYTES - 8 + bytes) != sum) break;
        if (first_sequence == 0) first_sequence = number;
        sequence = number;
        apply(Message{head + HEAD_BYTES, bytes});
        at += HEAD_BYTES + bytes;
      }
    } catch (const protozero::exception& error) {
      wrong = std::string{"change "} + std::to_string(sequence) + ": " + error.what();
      return false;
    }
    return true;
  }

  // The steps after the last change are as it left them.
  void finish() {
    if (!has_begun) note_before();
    go_to(steps);
  }

  const int64_t begin_ns, step_ns;
  const int steps;
  const size_t chosen_count;
  std::vector<int64_t> levels;  // [SKU][on hand, held, sold][step]
  std::vector<StockLevel> stock;
  ByName<uint32_t> numbers;
  int64_t changes[10] = {};  // by kind: the number of the event's field
  int64_t first_sequence = 0, sequence = 0, strangers = 0;
  std::string wrong;

 private:
  using Key = std::array<char, 16>;
  struct KeyHash {
    size_t operator()(const Key& key) const {
      size_t low;
      std::memcpy(&low, key.data(), sizeof low);
      return low;
    }
  };

  uint32_t find_sku(std::string_view sku) {
    const auto found = numbers.find(sku);
    if (found != numbers.end()) return found->second;
    const auto number = static_cast<uint32_t>(stock.size());
    numbers.emplace(sku, number);
    stock.emplace_back();
    return number;
  }

  // Keeps the levels of every step that is over.
  void go_to(int64_t step) {
    for (; step_now < step && step_now < steps; ++step_now) {
      for (size_t sku = 0; sku < chosen_count; ++sku) {
        int64_t* const row = levels.data() + sku * 3 * steps + step_now;
        row[0] = stock[sku].on_hand;
        row[steps] = stock[sku].held;
        row[2 * steps] = stock[sku].sold;
      }
    }
  }

  void note_before() {
    has_begun = true;
    for (StockLevel& level : stock) level.sold_before = level.sold;
  }

  void apply(Message event) {
    while (event.next()) {
      const uint32_t kind = event.tag();
      if (kind == 1) {
        const int64_t time_ns = event.get_int64();
        if (time_ns <= begin_ns) continue;
        if (!has_begun) note_before();
        go_to((time_ns - begin_ns) / step_ns);
        continue;
      }
      if (kind < 10) ++changes[kind];
      switch (kind) {
        case 2: reserve(event.get_message()); break;
        case 3: end_hold(event.get_message(), true); break;
        case 4:
        case 5: end_hold(event.get_message(), false); break;
        case 7: set_stock(event.get_message()); break;
        default: event.skip();
      }
    }
  }

  static Key key_of(Message& from) {
    const std::string_view text = text_of(from);
    Key key{};
    if (text.size() == key.size()) std::memcpy(key.data(), text.data(), key.size());
    return key;
  }

  HeldLine line_of(Message line) {
    HeldLine made{0, 0};
    while (line.next()) {
      if (line.tag() == 1) made.sku = find_sku(text_of(line));
      else if (line.tag() == 2) made.quantity = line.get_int64();
      else line.skip();
    }
    return made;
  }

  void reserve(Message reserved) {
    Key key{}, replaced{};
    bool replaces = false;
    std::vector<HeldLine> lines;
    while (reserved.next()) {
      if (reserved.tag() == 1) key = key_of(reserved);
      else if (reserved.tag() == 4) lines.push_back(line_of(reserved.get_message()));
      else if (reserved.tag() == 8) replaced = key_of(reserved), replaces = true;
      else reserved.skip();
    }
    if (replaces) give_back_all(replaced, false);
    for (const HeldLine& line : lines) {
      StockLevel& level = stock[line.sku];
      level.held += line.quantity;
      level.held_most = std::max(level.held_most, level.held);
    }
    holds[key] = std::move(lines);
  }

  void end_hold(Message ended, bool is_sale) {
    Key key{};
    std::vector<HeldLine> lines;
    while (ended.next()) {
      if (ended.tag() == 1) key = key_of(ended);
      else if (ended.tag() == 2) lines.push_back(line_of(ended.get_message()));
      else ended.skip();
    }
    if (lines.empty()) return give_back_all(key, is_sale);
    const auto found = holds.find(key);
    if (found == holds.end()) return void(++strangers);
    for (const HeldLine& line : lines)
      for (HeldLine& held : found.value())
        if (held.sku == line.sku) held.quantity -= line.quantity, end_units(line, is_sale);
  }

  void give_back_all(const Key& key, bool is_sale) {
    const auto found = holds.find(key);
    if (found == holds.end()) return void(++strangers);
    for (const HeldLine& line : found->second) end_units(line, is_sale);
    holds.erase(found);
  }

  void end_units(const HeldLine& line, bool is_sale) {
    StockLevel& level = stock[line.sku];
    level.held -= line.quantity;
    if (!is_sale) return;
    level.sold += line.quantity;
    level.on_hand -= line.quantity;
  }

  void set_stock(Message changed) {
    StockLevel told;
    uint32_t sku = 0;
    while (changed.next()) {
      switch (changed.tag()) {
        case 1: sku = find_sku(text_of(changed)); break;
        case 2: told.on_hand = changed.get_int64(); break;
        case 3: told.received = changed.get_int64(); break;
        case 4: told.adjusted = changed.get_int64(); break;
        default: changed.skip();
      }
    }
    StockLevel& level = stock[sku];
    level.on_hand = told.on_hand;
    level.received = told.received;
    level.adjusted = told.adjusted;
    // What a snapshot knew and the journal no longer tells: on hand = received + adjusted - sold.
    level.sold = told.received + told.adjusted - told.on_hand;
  }

  int64_t step_now = 0;
  bool has_begun = false;
  tsl::robin_map<Key, std::vector<HeldLine>, KeyHash> holds;
};

}  // namespace atp::report
