// Tables by keys of 16 bytes, with rows numbered in the order in which they come. Owns look-ups
// that can be told what will be asked for, so that memory is on its way by then: that is why they
// are no library's. Keys are hashes already, and are never taken out.
#pragma once
#include "bytes.h"

namespace atp::audit {

template <class Row>
class KeyIndex {
 public:
  static constexpr std::uint32_t kNone = 0xffffffffu;

  KeyIndex() : places_(16) {}

  // Room for so many keys.
  void expect(std::size_t count) {
    rows_.reserve(count);
    if (2 * count > places_.size()) spread(std::bit_ceil(2 * count));
  }
  // The youngest number of the key, or kNone.
  std::uint32_t find(const Key& key) const {
    const Place& place = places_[place_of(key)];
    return place.number == 0 ? kNone : place.number - 1;
  }
  // Gives the row the next number. The number that its key had before, or kNone.
  std::uint32_t add(Row row) {
    if (2 * rows_.size() >= places_.size()) spread(2 * places_.size());
    Place& place = places_[place_of(row.key)];
    const std::uint32_t before = place.number == 0 ? kNone : place.number - 1;
    place.tag = tag_of(row.key);
    rows_.push_back(std::move(row));
    place.number = static_cast<std::uint32_t>(rows_.size());
    return before;
  }
  Row& operator[](std::uint32_t number) { return rows_[number]; }
  const Row& operator[](std::uint32_t number) const { return rows_[number]; }
  const Table<Row>& rows() const { return rows_; }
  std::size_t size() const { return rows_.size(); }

  // Two steps ahead of a look-up, and one.
  void fetch(const Key& key) const { __builtin_prefetch(&places_[key.low & (places_.size() - 1)]); }
  void fetch_row(const Key& key) const {
    const Place& place = places_[key.low & (places_.size() - 1)];
    if (place.number != 0) __builtin_prefetch(&rows_[place.number - 1]);
  }
  std::int64_t bytes() const { return bytes_of(rows_) + bytes_of(places_); }

 private:
  // Of a key in the table; with a piece of it, so that few other rows are looked at.
  struct Place {
    std::uint32_t number = 0;  // and 1; 0: nobody's
    std::uint32_t tag = 0;
  };
  static std::uint32_t tag_of(const Key& key) { return static_cast<std::uint32_t>(key.high); }

  // Where the key is, or would be.
  std::size_t place_of(const Key& key) const {
    const std::size_t mask = places_.size() - 1;
    std::size_t at = key.low & mask;
    while (places_[at].number != 0 &&
           (places_[at].tag != tag_of(key) || !(rows_[places_[at].number - 1].key == key))) {
      at = (at + 1) & mask;
    }
    return at;
  }
  void spread(std::size_t size) {
    Table<Place> before(size);
    before.swap(places_);
    for (const Place& place : before) {
      if (place.number != 0) places_[place_of(rows_[place.number - 1].key)] = place;
    }
  }

  Table<Row> rows_;
  Table<Place> places_;  // twice as many as rows or more, and a power of two
};

// What the journal names. Owned by whoever reads it; once all is read, everybody may look.
struct Name {
  Key key;
};
struct Names {
  KeyIndex<Name> skus, holds, receipts;
};
constexpr std::uint32_t kNoNumber = KeyIndex<Name>::kNone;

}  // namespace atp::audit
