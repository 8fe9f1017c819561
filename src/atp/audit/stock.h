// What every SKU had after every change that touched it. Owns the units on hand and held, by
// position in the journal, and the times at which held units come back. Judges laws 1 and 2 for
// whoever changes a SKU. Numbers of SKUs are given by whoever reads the journal.
#pragma once
#include <algorithm>

#include "key_index.h"

namespace atp::audit {

constexpr std::int64_t kNoExpiry = 0;

// A SKU from one change on, until its next version.
struct Version {
  std::int64_t sequence;
  std::int64_t on_hand;
  std::int64_t held;
  std::int64_t first_expire;  // kNoExpiry: nothing is held
};

// Room for versions. What SKUs add at about the same time lies close together, so that all that
// is written to has few pages.
class VersionRoom {
 public:
  static constexpr std::size_t kPiece = 8;  // versions that lie together
  Version* piece(std::uint32_t number) {
    return pages_[number / kPieces].data() + number % kPieces * kPiece;
  }
  const Version* piece(std::uint32_t number) const {
    return pages_[number / kPieces].data() + number % kPieces * kPiece;
  }
  std::uint32_t take() {
    const std::size_t page = taken_ / kPieces;
    if (page == pages_.size()) add_page();
    pages_[page].resize(pages_[page].size() + kPiece);  // never moves: there is room
    return taken_++;
  }
  // Takes the memory of so many versions at once.
  void fill(std::size_t versions) {
    while (pages_.size() * kPieces * kPiece < versions) {
      add_page();
      fill_room(pages_.back(), kPieces * kPiece);
    }
  }
  std::int64_t bytes() const {
    std::int64_t sum = 0;
    for (const auto& page : pages_) sum += bytes_of(page);
    return sum;
  }

 private:
  static constexpr std::uint32_t kPieces = 16'384;
  void add_page() { pages_.emplace_back().reserve(kPieces * kPiece); }

  std::vector<Table<Version>> pages_;
  std::uint32_t taken_ = 0;
};

// The versions of one SKU, in order.
class Versions {
 public:
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const Version& at(const VersionRoom& room, std::size_t index) const {
    return room.piece(pieces_[index / VersionRoom::kPiece])[index % VersionRoom::kPiece];
  }
  void add(VersionRoom* room, const Version& version) {
    if (size_ % VersionRoom::kPiece == 0) {
      pieces_.push_back(room->take());
      next_ = room->piece(pieces_.back());
    }
    *next_++ = version;
    ++size_;
  }
  void fetch() const { __builtin_prefetch(next_, 1); }
  std::int64_t bytes() const { return bytes_of(pieces_); }

 private:
  std::vector<std::uint32_t> pieces_;
  Version* next_ = nullptr;  // where the next one goes, in a piece that is not full
  std::size_t size_ = 0;
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
    if (line_.empty() || due.time >= line_.back().time) {
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
    if (taken_ == line_.size()) {
      line_.clear();
      taken_ = 0;
    } else if (taken_ > 64 && taken_ > line_.size() / 2) {
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
  void fetch() const {
    if (taken_ == line_.size()) return;
    __builtin_prefetch(&line_[taken_]);
    __builtin_prefetch(&line_.back() + 1, 1);
  }
  // One that may be the first, or null.
  const Due* near() const { return taken_ < line_.size() ? &line_[taken_] : nullptr; }
  std::int64_t bytes() const { return bytes_of(line_) + bytes_of(heap_); }

 private:
  std::vector<Due> line_, heap_;
  std::size_t taken_ = 0;
};

struct Sku {
  std::string name;
  bool is_known = false;  // has stock
  bool was_sound = true;  // after its last change
  std::int64_t on_hand = 0, held = 0, sold = 0, received = 0, adjusted = 0;
  std::int64_t last_grant_sent = 0;      // of the commands that were granted units, the latest
  std::uint32_t last_grant_command = 0;
  std::size_t cursor = 0;                // where the last look-up was
  Versions versions;
  Dues dues;
};

class Stock {
 public:
  Table<Sku> skus;
  static constexpr std::uint32_t kNone = kNoNumber;

  explicit Stock(const Names* names) : names_(names) {}

  // Takes the memory of so many versions at once.
  void fill(std::size_t versions) { room_.fill(versions); }

  // A SKU that has got the next number; it need not have stock.
  void add(Text name) {
    skus.emplace_back();
    skus.back().name = name;
  }
  // The number of a SKU, or kNone when the journal does not name it; when it has been read.
  std::uint32_t find(Text name) const { return names_->skus.find(key_of(name)); }

  // What the SKU was after the change; null: it was not known yet. Looks near where it last did.
  const Version* at(std::uint32_t number, std::int64_t sequence) {
    if (number == kNone) return nullptr;
    Sku& sku = skus[number];
    const std::size_t size = sku.versions.size();
    if (size == 0 || version(sku, 0).sequence > sequence) return nullptr;
    std::size_t low = sku.cursor, step = 1;
    if (low >= size || version(sku, low).sequence > sequence) low = 0;
    std::size_t high = low + 1;
    while (high < size && version(sku, high).sequence <= sequence) {
      low = high;
      step *= 2;
      high = std::min(low + step, size);
    }
    high = std::min(high, size);
    while (high - low > 1) {
      const std::size_t middle = low + (high - low) / 2;
      (version(sku, middle).sequence <= sequence ? low : high) = middle;
    }
    sku.cursor = low;
    return &version(sku, low);
  }
  // The next change of the SKU after this one; kNever: none.
  std::int64_t next_change(std::uint32_t number, std::int64_t sequence) {
    if (number == kNone || skus[number].versions.empty()) return kNever;
    const Sku& sku = skus[number];
    const std::size_t next = at(number, sequence) == nullptr ? 0 : sku.cursor + 1;
    return next < sku.versions.size() ? version(sku, next).sequence : kNever;
  }
  // The SKU as it is becomes its next version.
  void add_version(Sku* sku, std::int64_t sequence, std::int64_t first_expire) {
    sku->versions.add(&room_, {sequence, sku->on_hand, sku->held, first_expire});
  }
  const Version& version(const Sku& sku, std::size_t index) const {
    return sku.versions.at(room_, index);
  }

  std::int64_t bytes() const {
    std::int64_t sum = bytes_of(skus) + names_->skus.bytes() + room_.bytes();
    for (const Sku& sku : skus) sum += sku.versions.bytes() + sku.dues.bytes();
    return sum;
  }

 private:
  static constexpr std::int64_t kNever = 0x7fffffffffffffffll;
  const Names* names_;
  VersionRoom room_;
};

}  // namespace atp::audit
