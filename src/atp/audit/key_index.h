// Tables by keys of 16 bytes, with rows numbered in the order in which they come. Owns the rows,
// and that a look-up can be told ahead, so that memory is on its way by then; the table of numbers
// is tsl::robin_set. Keys are hashes already, and are never taken out.
#pragma once
#include <tsl/robin_set.h>

#include "bytes.h"

namespace atp::audit {

// Memory for a table, and where it is: for whoever fetches a bucket ahead of its use.
template <class T>
struct Known : Roomy<T> {
  const void** at;
  explicit Known(const void** told) : at(told) {}
  template <class Other>
  Known(const Known<Other>& other) : at(other.at) {}
  T* allocate(std::size_t count) {
    T* const room = Roomy<T>::allocate(count);
    *at = room;
    return room;
  }
  bool operator==(const Known& other) const { return at == other.at; }
};

template <class Row>
class KeyIndex {
 public:
  static constexpr std::uint32_t kNone = 0xffffffffu;
  static constexpr float kLoadMost = 0.5f;  // most keys lie where they are sent for

  KeyIndex() : numbers_(16, Hash{&rows_}, Same{&rows_}, Known<std::uint32_t>(&buckets_)) {
    numbers_.max_load_factor(kLoadMost);
  }
  KeyIndex(const KeyIndex&) = delete;
  KeyIndex& operator=(const KeyIndex&) = delete;

  // Room for so many keys.
  void expect(std::size_t count) {
    rows_.reserve(count);
    numbers_.reserve(count);
  }
  // The youngest number of the key, or kNone.
  std::uint32_t find(const Key& key) const {
    const auto found = numbers_.find(key, key.low);
    return found == numbers_.end() ? kNone : *found;
  }
  // Gives the row the next number. The number that its key had before, or kNone.
  std::uint32_t add(Row row) {
    const std::uint32_t before = find(row.key);
    if (before != kNone) numbers_.erase(before);
    rows_.push_back(std::move(row));
    numbers_.insert(static_cast<std::uint32_t>(rows_.size() - 1));
    return before;
  }
  Row& operator[](std::uint32_t number) { return rows_[number]; }
  const Row& operator[](std::uint32_t number) const { return rows_[number]; }
  const Table<Row>& rows() const { return rows_; }
  std::size_t size() const { return rows_.size(); }

  // Two steps ahead of a look-up, and one.
  void fetch(const Key& key) const { __builtin_prefetch(bucket_of(key)); }
  void fetch_row(const Key& key) const {
    const Bucket* const bucket = bucket_of(key);
    if (!bucket->empty()) __builtin_prefetch(&rows_[bucket->value()]);
  }
  std::int64_t bytes() const {
    return bytes_of(rows_) + static_cast<std::int64_t>(numbers_.bucket_count() * sizeof(Bucket));
  }

 private:
  struct Hash {
    const Table<Row>* rows;
    using is_transparent = void;
    std::size_t operator()(std::uint32_t number) const { return (*rows)[number].key.low; }
    std::size_t operator()(const Key& key) const { return key.low; }
  };
  struct Same {
    const Table<Row>* rows;
    using is_transparent = void;
    bool operator()(std::uint32_t a, std::uint32_t b) const { return a == b; }
    bool operator()(std::uint32_t number, const Key& key) const {
      return (*rows)[number].key == key;
    }
    bool operator()(const Key& key, std::uint32_t number) const { return (*this)(number, key); }
  };
  // With a piece of the hash, so that few other rows are looked at.
  using Numbers = tsl::robin_set<std::uint32_t, Hash, Same, Known<std::uint32_t>, true>;
  using Bucket = tsl::detail_robin_hash::bucket_entry<std::uint32_t, true>;

  const Bucket* bucket_of(const Key& key) const {
    return static_cast<const Bucket*>(buckets_) + (key.low & (numbers_.bucket_count() - 1));
  }

  Table<Row> rows_;
  const void* buckets_ = nullptr;
  Numbers numbers_;
};

// What the journal names. Owned by whoever reads it; once all is read, everybody may look.
struct Name {
  Key key;
};
constexpr std::uint32_t kNoNumber = KeyIndex<Name>::kNone;
struct Names {
  KeyIndex<Name> skus, holds, receipts;

  // The number of a SKU; a name that is new gets the next one, and `add` is called for it.
  template <class Add>
  std::uint32_t number_of_sku(Text name, Add add) {
    const Key key = key_of(name);
    const std::uint32_t known = skus.find(key);
    if (known != kNoNumber) return known;
    skus.add({key});
    add(name);
    return static_cast<std::uint32_t>(skus.size() - 1);
  }
};

}  // namespace atp::audit
