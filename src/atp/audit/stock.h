// What every SKU had after every change that touched it. Owns the units on hand and held, by
// position in the journal, and the times at which held units come back. Judges laws 1 and 2 for
// whoever changes a SKU, and remembers no name twice.
#pragma once
#include <tsl/robin_map.h>

#include <algorithm>

#include "bytes.h"

namespace atp::audit {

constexpr std::int64_t kNoExpiry = 0;

// A SKU from one change on, until its next version.
struct Version {
  std::int64_t sequence;
  std::int64_t on_hand;
  std::int64_t held;
  std::int64_t first_expire;  // kNoExpiry: nothing is held
};

// When a hold's units of a SKU come back, if it is still so by then.
struct Due {
  std::int64_t time;
  std::uint32_t hold;
  bool operator>(const Due& other) const { return time > other.time; }
};

// Dues of one SKU, earliest first. Most come in order and go to the end of a line; the others go to
// a heap. What has become untrue stays until it is first.
class Dues {
 public:
  void add(Due due) {
    if (line_.size() == taken_ || due.time >= line_.back().time) {
      line_.push_back(due);
    } else {
      heap_.push_back(due);
      std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
    }
  }
  // The first that is still true, or null.
  template <class IsTrue>
  const Due* first(IsTrue is_true) {
    while (taken_ < line_.size() && !is_true(line_[taken_])) ++taken_;
    if (taken_ > 64 && taken_ > line_.size() / 2) {
      line_.erase(line_.begin(), line_.begin() + static_cast<std::ptrdiff_t>(taken_));
      taken_ = 0;
    }
    while (!heap_.empty() && !is_true(heap_.front())) {
      std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
      heap_.pop_back();
    }
    const Due* first = taken_ < line_.size() ? &line_[taken_] : nullptr;
    if (!heap_.empty() && (first == nullptr || *first > heap_.front())) first = &heap_.front();
    return first;
  }
  std::int64_t bytes() const { return bytes_of(line_) + bytes_of(heap_); }

 private:
  std::vector<Due> line_, heap_;
  std::size_t taken_ = 0;
};

struct Sku {
  std::string name;
  bool is_known = false;  // has stock
  std::int64_t on_hand = 0, held = 0, sold = 0, received = 0, adjusted = 0;
  std::int64_t last_grant_sent = 0;      // of the commands that were granted units, the latest
  std::uint32_t last_grant_command = 0;
  std::size_t cursor = 0;                // where the last look-up was
  std::vector<Version> versions;
  Dues dues;
};

class Stock {
 public:
  Table<Sku> skus;

  // The number of a SKU, which need not have stock.
  std::uint32_t number_of(Text name) {
    const Key key = key_of(name);
    const auto found = numbers_.find(key);
    if (found != numbers_.end()) return found->second;
    const auto number = static_cast<std::uint32_t>(skus.size());
    numbers_.emplace(key, number);
    skus.emplace_back();
    skus.back().name = name;
    return number;
  }
  // The same, but kNone when nobody has named the SKU so far.
  static constexpr std::uint32_t kNone = 0xffffffffu;
  std::uint32_t find(Text name) const {
    const auto found = numbers_.find(key_of(name));
    return found == numbers_.end() ? kNone : found->second;
  }

  // What the SKU was after the change; null: it was not known yet. Looks near where it last did.
  const Version* at(std::uint32_t number, std::int64_t sequence) {
    if (number == kNone) return nullptr;
    Sku& sku = skus[number];
    const auto& versions = sku.versions;
    if (versions.empty() || versions.front().sequence > sequence) return nullptr;
    std::size_t low = sku.cursor, step = 1;
    if (low >= versions.size() || versions[low].sequence > sequence) low = 0;
    std::size_t high = low + 1;
    while (high < versions.size() && versions[high].sequence <= sequence) {
      low = high;
      step *= 2;
      high = std::min(low + step, versions.size());
    }
    high = std::min(high, versions.size());
    while (high - low > 1) {
      const std::size_t middle = low + (high - low) / 2;
      (versions[middle].sequence <= sequence ? low : high) = middle;
    }
    sku.cursor = low;
    return &versions[low];
  }
  // The next change of the SKU after this one; kNever: none.
  std::int64_t next_change(std::uint32_t number, std::int64_t sequence) {
    if (number == kNone || skus[number].versions.empty()) return kNever;
    const Version* version = at(number, sequence);
    const auto& versions = skus[number].versions;
    const std::size_t next =
        version == nullptr ? 0 : static_cast<std::size_t>(version - versions.data()) + 1;
    return next < versions.size() ? versions[next].sequence : kNever;
  }

  std::int64_t bytes() const {
    std::int64_t sum = bytes_of(skus) + static_cast<std::int64_t>(numbers_.bucket_count() * 40);
    for (const Sku& sku : skus) sum += bytes_of(sku.versions) + sku.dues.bytes();
    return sum;
  }

 private:
  static constexpr std::int64_t kNever = 0x7fffffffffffffffll;
  tsl::robin_map<Key, std::uint32_t, KeyHash, std::equal_to<Key>,
                 Roomy<std::pair<Key, std::uint32_t>>>
      numbers_;
};

}  // namespace atp::audit
