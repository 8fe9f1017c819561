// A snapshot as docs/journal-format.md has it, read from that page alone: all that it says, checked
// to its last number, as lists of views. Owns the file's bytes. Builds no state: the start does.
#pragma once
#include <tsl/robin_set.h>

#include <memory>

#include "messages.h"

namespace atp::audit {

// Bytes that are taken from the front; throws when there are not enough.
class Taking {
 public:
  struct TooShort {};
  explicit Taking(Text bytes) : bytes_(bytes) {}
  Text bytes(std::size_t size) {
    if (size > bytes_.size()) throw TooShort();
    const Text taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  template <class T>
  T number() {
    return number_at<T>(bytes(sizeof(T)).data());
  }
  bool empty() const { return bytes_.empty(); }

 private:
  Text bytes_;
};

struct SnapshotCap {
  std::uint32_t uid, generation;
  std::int64_t sequence;
  Text definition;
};
struct SnapshotSku {
  std::uint32_t number;
  std::int64_t on_hand, sold, received, adjusted, sequence;
  Text name;
};
struct SnapshotRecord {
  Key key;
  std::int64_t done, end, grant, last;  // times, then sequences
  std::uint32_t generation;
  int state;  // 1 to 4 of a hold; 5 to 8: a receipt
  bool is_partial;
  Text lines, address, customer;
  bool is_receipt() const { return state > 4; }
};
struct SnapshotLine {
  std::uint32_t sku;
  std::int32_t granted, committed, released;
};
struct SnapshotCounter {
  std::uint32_t cap, sku;
  std::int64_t units;
  Text subject, steps;
};

class Snapshot {
 public:
  std::int64_t sequence = 0, time = 0;
  std::vector<SnapshotCap> caps;
  std::vector<SnapshotSku> skus;
  Table<SnapshotRecord> records;
  std::vector<SnapshotCounter> counters;

  // Throws Unusable when anything is not as the page says; `store` has 16 bytes.
  Snapshot(const std::string& path, Text store, std::int64_t wanted) : file_(path) {
    try {
      read(store, wanted);
    } catch (const Taking::TooShort&) {
      damaged("something in it is cut off");
    }
  }
  // Forgets the lists; what has been seen of the file's bytes stays.
  void let_go() {
    skus = {};
    records = {};
    counters = {};
    caps_ = {};
    skus_ = {};
  }
  static SnapshotLine line_at(Text lines, std::size_t index) {
    return number_at<SnapshotLine>(lines.data() + index * sizeof(SnapshotLine));
  }
  static std::size_t count_of(Text lines) { return lines.size() / sizeof(SnapshotLine); }

 private:
  static constexpr std::size_t kHead = 128, kChunkHead = 32, kTotals = 12;
  static constexpr std::uint32_t kChunkBytesMax = 1'048'576;

  [[noreturn]] void damaged(const std::string& what) const {
    throw Unusable(file_.path() + ": the snapshot is damaged: " + what);
  }
  void check(bool is_so, const char* what) const {
    if (!is_so) damaged(what);
  }

  void read(Text store, std::int64_t wanted) {
    Taking file(file_.bytes());
    const Text head = file.bytes(kHead);
    check(head.substr(0, 8) == "ATPSNAPS", "this is no snapshot");
    check(number_at<std::uint64_t>(head.data() + 120) == XXH3_64bits(head.data(), 120), "its head");
    if (number_at<std::uint32_t>(head.data() + 8) != 1) {
      throw Unusable(file_.path() + ": written by a newer atp");
    }
    check(head.substr(16, 16) == store, "it belongs to another store");
    sequence = number_at<std::int64_t>(head.data() + 32);
    check(sequence == wanted, "it is of another change than its name says");
    std::uint32_t number = 0;
    while (read_chunk(&file, number++)) continue;
    check(file.empty(), "there are bytes after its end");
    check_totals();
  }

  // False at the last.
  bool read_chunk(Taking* file, std::uint32_t wanted) {
    const Text head = file->bytes(kChunkHead);
    const auto kind = number_at<std::uint32_t>(head.data() + 8);
    const auto size = number_at<std::uint32_t>(head.data() + 12);
    check(size <= kChunkBytesMax, "a chunk is too long");
    const Text body = file->bytes(size);
    check(number_at<std::uint64_t>(head.data()) == XXH3_64bits(head.data() + 8, 24 + size),
          "the checksum of a chunk");
    check(number_at<std::uint32_t>(head.data() + 16) == wanted, "a chunk is missing");
    check(kind >= 1 && kind <= 5, "a chunk of a kind that there is not");
    Taking entries(body);
    for (auto left = number_at<std::uint32_t>(head.data() + 24); left > 0; --left) {
      if (kind == 1) read_cap(&entries);
      if (kind == 2) read_sku(&entries);
      if (kind == 3) read_record(&entries);
      if (kind == 4) read_counter(&entries);
    }
    for (std::size_t i = 0; kind == 5 && i < kTotals; ++i) {
      totals_[i] = entries.number<std::int64_t>();
    }
    check(entries.empty(), "a chunk has more than its entries");
    return kind != 5;
  }

  void read_cap(Taking* from) {
    SnapshotCap cap{};
    cap.uid = from->number<std::uint32_t>();
    cap.generation = from->number<std::uint32_t>();
    cap.sequence = from->number<std::int64_t>();
    from->bytes(24);  // when it was set, and whom it refused
    cap.definition = from->bytes(from->number<std::uint32_t>());
    check(caps_.insert(cap.uid).second, "two caps have one uid");
    caps.push_back(cap);
  }
  void read_sku(Taking* from) {
    SnapshotSku sku{};
    sku.number = from->number<std::uint32_t>();
    sku.on_hand = from->number<std::int64_t>();
    sku.sold = from->number<std::int64_t>();
    sku.received = from->number<std::int64_t>();
    sku.adjusted = from->number<std::int64_t>();
    sku.sequence = from->number<std::int64_t>();
    sku.name = from->bytes(from->number<std::uint8_t>());
    check(sku.on_hand == sku.received + sku.adjusted - sku.sold, "a SKU's units don't add up");
    check(sku.sequence >= 1 && sku.sequence <= sequence, "a SKU was changed at no time");
    check(skus_.insert(sku.number).second, "two SKUs have one number");
    skus.push_back(sku);
  }
  void read_record(Taking* from) {
    SnapshotRecord record{};
    record.key = key_from(from->bytes(16));
    from->bytes(8);  // the fingerprint
    record.done = from->number<std::int64_t>();
    record.end = from->number<std::int64_t>();
    record.grant = from->number<std::int64_t>();
    record.last = from->number<std::int64_t>();
    record.generation = from->number<std::uint32_t>();
    const auto lines = from->number<std::uint16_t>();
    const auto bits = from->number<std::uint8_t>();
    const auto customer = from->number<std::uint8_t>();
    record.state = bits & 15;
    record.is_partial = (bits >> 4 & 1) != 0;
    constexpr std::size_t kAddresses[8] = {0, 4, 16, 99, 99, 99, 99, 99};
    const std::size_t address = kAddresses[bits >> 5];
    check(record.state >= 1 && record.state <= 8 && address != 99 && customer <= 64,
          "a record of a kind that there is not");
    check(record.grant >= 1 && record.grant <= record.last && record.last <= sequence,
          "a record was changed at no time");
    check(record.is_receipt() == (lines == 0), "a record with lines that it can't have");
    record.lines = from->bytes(lines * sizeof(SnapshotLine));
    record.address = from->bytes(address);
    record.customer = from->bytes(customer);
    records.push_back(record);
  }
  void read_counter(Taking* from) {
    SnapshotCounter counter{};
    counter.cap = from->number<std::uint32_t>();
    counter.sku = from->number<std::uint32_t>();
    counter.units = from->number<std::int64_t>();
    const auto steps = from->number<std::uint16_t>();
    counter.subject = from->bytes(from->number<std::uint8_t>());
    counter.steps = from->bytes(steps * std::size_t{16});
    counters.push_back(counter);
  }

  void check_totals() {
    std::int64_t sums[kTotals] = {};
    sums[1] = static_cast<std::int64_t>(caps.size());
    sums[2] = static_cast<std::int64_t>(skus.size());
    sums[3] = static_cast<std::int64_t>(records.size());
    sums[7] = static_cast<std::int64_t>(counters.size());
    for (const SnapshotRecord& record : records) {
      sums[4] += record.state == 1;
      sums[5] += record.is_receipt();
      sums[6] += static_cast<std::int64_t>(count_of(record.lines));
      for (std::size_t i = 0; i < count_of(record.lines); ++i) {
        const std::int64_t rest = checked_rest(line_at(record.lines, i));
        if (record.state == 1) sums[10] += rest;
      }
    }
    for (const SnapshotSku& sku : skus) {
      sums[8] += sku.on_hand;
      sums[9] += sku.sold;
    }
    for (const SnapshotCounter& counter : counters) {
      check(caps_.contains(counter.cap), "a counter of no cap");
      check_steps(counter);
      sums[11] += counter.units;
    }
    time = sums[0] = totals_[0];
    check(std::equal(sums, sums + kTotals, totals_), "it does not add up");
  }
  std::int64_t checked_rest(const SnapshotLine& line) const {
    check(skus_.contains(line.sku), "a line of no SKU");
    const std::int64_t rest = std::int64_t{line.granted} - line.committed - line.released;
    check(line.granted >= 1 && line.committed >= 0 && line.released >= 0 && rest >= 0,
          "a line's units don't add up");
    return rest;
  }
  void check_steps(const SnapshotCounter& counter) const {
    std::int64_t units = 0;
    for (std::size_t at = 8; at < counter.steps.size(); at += 16) {
      units += number_at<std::int64_t>(counter.steps.data() + at);
    }
    check(counter.steps.empty() || units == counter.units, "a counter's steps don't add up");
  }

  const Mapping file_;
  tsl::robin_set<std::uint32_t> caps_, skus_;  // uids, numbers
  std::int64_t totals_[kTotals] = {};
};

}  // namespace atp::audit
