// The journal: records of segment files, checked, and the events in them. Owns what
// docs/journal-format.md says of both, read from that page alone. Stops at the first place where
// the next record does not stand, and says whether that may be the journal's end.
#pragma once
#include <memory>

#include "key_index.h"
#include "messages.h"

namespace atp::audit {

enum class Change : std::uint8_t {
  kNone = 0, kReserved = 2, kCommitted = 3, kReleased = 4, kExpired = 5, kExtended = 6,
  kStockChanged = 7, kCapSet = 8, kCapRemoved = 9,
};

struct Event {
  std::int64_t sequence = 0;
  Change kind = Change::kNone;
  std::int64_t time = 0;
  Key key;                // the reservation
  std::int64_t expire_time = 0;
  std::vector<Units> lines;
  Text customer, address, request_id;
  bool is_partial = false;
  bool has_replaced = false, has_receipt = false;
  Key replaced, receipt;
  Text sku;
  std::int64_t on_hand = 0, received = 0, adjusted = 0;
  std::int32_t reason = 0;
  Text cap;               // a Cap message, or the id of a removed cap
  bool counts_reset = false;
  Text bytes;             // the whole message
  // Numbers of what it names, as of before it; kNone: there was none.
  static constexpr std::uint32_t kNone = kNoNumber;
  std::uint32_t hold = kNone;         // of its key
  std::uint32_t other_hold = kNone;   // the replaced one's, or that of the receipt's key
  std::uint32_t receipt_before = kNone;
  std::uint32_t sku_number = kNone;
  std::vector<std::uint32_t> cap_skus;
  Key customer_key, address_key;      // of a grant: whom caps count
};

inline Key read_key(Reader& reader) {
  const Text bytes = text_of(reader);
  if (bytes.size() != 16) throw Unusable("an event names something with no key");
  return key_from(bytes);
}

inline void read_receipt(Reader receipt, Event* event) {
  while (receipt.next()) {
    if (receipt.tag() == 1) {
      event->receipt = read_key(receipt);
      event->has_receipt = true;
    } else {
      receipt.skip();
    }
  }
}

inline void read_reserved(Reader reader, Event* event) {
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: event->key = read_key(reader); break;
      case 3: event->expire_time = reader.get_int64(); break;
      case 4: event->lines.push_back(units_of(reader.get_message())); break;
      case 5: event->customer = text_of(reader); break;
      case 6:
        event->address = text_of(reader);
        if (event->address.size() != 4 && event->address.size() != 16) {
          throw Unusable("an event has an address that is none");
        }
        break;
      case 7: event->is_partial = reader.get_bool(); break;
      case 8:
        event->replaced = read_key(reader);
        event->has_replaced = true;
        break;
      case 9: event->request_id = text_of(reader); break;
      default: reader.skip();
    }
  }
}

inline void read_end(Reader reader, Event* event) {
  const bool is_extension = event->kind == Change::kExtended;
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: event->key = read_key(reader); break;
      case 2:
        if (is_extension) {
          event->expire_time = reader.get_int64();
        } else {
          event->lines.push_back(units_of(reader.get_message()));
        }
        break;
      case 3: read_receipt(reader.get_message(), event); break;
      default: reader.skip();
    }
  }
}

inline void read_stock_changed(Reader reader, Event* event) {
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: event->sku = text_of(reader); break;
      case 2: event->on_hand = reader.get_int64(); break;
      case 3: event->received = reader.get_int64(); break;
      case 4: event->adjusted = reader.get_int64(); break;
      case 5: event->reason = reader.get_int32(); break;
      case 6: read_receipt(reader.get_message(), event); break;
      default: reader.skip();
    }
  }
}

inline void read_cap_change(Reader reader, Event* event) {
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: event->cap = text_of(reader); break;
      case 2: event->counts_reset = reader.get_bool(); break;
      default: reader.skip();
    }
  }
}

inline void read_event(std::int64_t sequence, Text bytes, Event* event) {
  auto lines = std::move(event->lines);
  auto cap_skus = std::move(event->cap_skus);
  *event = Event();
  lines.clear();
  cap_skus.clear();
  event->lines = std::move(lines);
  event->cap_skus = std::move(cap_skus);
  event->sequence = sequence;
  event->bytes = bytes;
  Reader reader(bytes.data(), bytes.size());
  while (reader.next()) {
    const std::uint32_t tag = reader.tag();
    if (tag == 1) {
      event->time = reader.get_int64();
      continue;
    }
    if (tag < 2 || tag > 9) {
      throw Unusable("change " + std::to_string(sequence) +
                     " is of a kind that this audit knows not: written by a newer atp");
    }
    event->kind = static_cast<Change>(tag);
    if (tag == 2) {
      read_reserved(reader.get_message(), event);
    } else if (tag <= 6) {
      read_end(reader.get_message(), event);
    } else if (tag == 7) {
      read_stock_changed(reader.get_message(), event);
    } else {
      read_cap_change(reader.get_message(), event);
    }
  }
  if (event->kind == Change::kNone) {
    throw Unusable("change " + std::to_string(sequence) + " says nothing that happened");
  }
}

class Journal {
 public:
  Table<const char*> records;  // of each change, where its record begins
  std::int64_t first = 0;            // sequence of the first of them
  std::int64_t grants = 0;           // changes that are grants, as far as that is seen at once
  std::int64_t left_bytes = 0;       // at the end, that are no record

  std::int64_t last() const { return first + static_cast<std::int64_t>(records.size()) - 1; }
  std::int64_t bytes() const { return bytes_of(records); }

  Text event_bytes(std::int64_t sequence) const {
    const char* at = records[static_cast<std::size_t>(sequence - first)];
    return {at + kHead, number_at<std::uint32_t>(at + 16)};
  }
  bool has(std::int64_t sequence) const { return sequence >= first && sequence <= last(); }

  // Lets go of everything up to that change.
  void begin_after(std::int64_t sequence) {
    if (records.empty() || first > sequence + 1 || last() <= sequence) {
      throw Unusable("the journal has nothing after change " + std::to_string(sequence) +
                     ", whose snapshot an audit would have to start from");
    }
    records.erase(records.begin(), records.begin() + (sequence + 1 - first));
    first = sequence + 1;
  }

  // Reads one segment; segments come in the order of their names. `store` has 16 bytes. A server
  // may be writing to the last.
  void read(const std::string& path, Text store, std::int64_t sequence, bool is_last) {
    if (is_last) {
      read_last(path, store, sequence);
      return;
    }
    auto mapping = std::make_unique<Mapping>(path);
    const Text bytes = mapping->bytes();
    check_head(path, bytes, store, sequence);
    const std::size_t at = take_records(bytes, kFileHead);
    if (end_of(bytes, at) != at) throw_missing(path, at);
    segments_.push_back(std::move(mapping));
  }

 private:
  static constexpr std::size_t kFileHead = 64;
  static constexpr std::size_t kHead = 24;
  static constexpr std::uint32_t kEventBytesMax = 1'048'576;

  // The usual order of fields: time_ns, then the change.
  static bool is_grant(Text event) {
    std::size_t at = 1;
    if (event.empty() || event[0] != 8) return false;
    while (at < event.size() && static_cast<unsigned char>(event[at]) >= 0x80) ++at;
    return at + 1 < event.size() && event[at + 1] == 0x12;
  }

  // Size of the sound record there, if it has this sequence (any, for 0); else 0.
  static std::size_t sound_at(Text bytes, std::size_t at, std::int64_t sequence) {
    if (bytes.size() - at < kHead) return 0;
    const char* record = bytes.data() + at;
    const std::uint32_t size = number_at<std::uint32_t>(record + 16);
    if (size < 1 || size > kEventBytesMax || size > bytes.size() - at - kHead) return 0;
    const std::int64_t found = number_at<std::int64_t>(record + 8);
    if (found < 1 || (sequence != 0 && found != sequence)) return 0;
    if (number_at<std::uint64_t>(record) != XXH3_64bits(record + 8, kHead - 8 + size)) return 0;
    return kHead + size;
  }

  void check_head(const std::string& path, Text bytes, Text store, std::int64_t sequence) {
    if (bytes.size() < kFileHead || bytes.substr(0, 8) != "ATPSEGMT") {
      throw Unusable(path + ": this is no segment of a journal");
    }
    if (number_at<std::uint64_t>(bytes.data() + 56) != XXH3_64bits(bytes.data(), 56)) {
      throw Unusable(path + ": the header is damaged; atp journal check says more");
    }
    if (number_at<std::uint32_t>(bytes.data() + 8) != 1) {
      throw Unusable(path + ": written by a newer atp");
    }
    if (bytes.substr(16, 16) != store) throw Unusable(path + ": belongs to another store");
    if (number_at<std::int64_t>(bytes.data() + 32) != sequence) {
      throw Unusable(path + ": begins with another change than its name says");
    }
    if (records.empty()) first = sequence;
    if (sequence != last() + 1) {
      throw Unusable(path + ": begins with change " + std::to_string(sequence) + " where change " +
                     std::to_string(last() + 1) + " is expected: changes are missing");
    }
  }

  // Takes the sound records from there on; where they end.
  std::size_t take_records(Text bytes, std::size_t at) {
    while (const std::size_t size = sound_at(bytes, at, last() + 1)) {
      records.push_back(bytes.data() + at);
      grants += is_grant(bytes.substr(at + kHead, size - kHead));
      at += size;
    }
    return at;
  }

  // Where the zeros begin that fill the file up.
  static std::size_t end_of(Text bytes, std::size_t at) {
    std::size_t end = bytes.size();
    while (end >= at + 8 && number_at<std::uint64_t>(bytes.data() + end - 8) == 0) end -= 8;
    while (end > at && bytes[end - 1] == 0) --end;
    return end;
  }

  // Does a later record say that the change that is expected was durable?
  bool is_proven(Text bytes, std::size_t at, std::size_t end) const {
    const std::int64_t expected = last() + 1;
    for (; at < end; ++at) {
      if (sound_at(bytes, at, 0) == 0) continue;
      const std::int64_t found = number_at<std::int64_t>(bytes.data() + at + 8);
      if (found - number_at<std::uint32_t>(bytes.data() + at + 20) >= expected) return true;
    }
    return false;
  }

  // Its end may be torn, and nothing else. A record that was being written when its place was read,
  // while later ones were there when theirs were, is there by now: it is looked for again.
  void read_last(const std::string& path, Text store, std::int64_t sequence) {
    last_ = std::make_unique<Copy>(path);
    const Text bytes = last_->bytes();
    check_head(path, bytes, store, sequence);
    std::size_t at = take_records(bytes, kFileHead);
    std::size_t end = end_of(bytes, at);
    while (is_proven(bytes, at, end)) {
      last_->read_from(at);
      const std::size_t before = at;
      at = take_records(bytes, at);
      if (at == before) throw_missing(path, at);
      end = end_of(bytes, at);
    }
    left_bytes = static_cast<std::int64_t>(end - at);
  }

  [[noreturn]] void throw_missing(const std::string& path, std::size_t at) const {
    throw Unusable(path + ", byte " + std::to_string(at) + ": change " +
                   std::to_string(last() + 1) +
                   " is missing and others follow it: the journal is damaged; atp journal check"
                   " says more");
  }

  std::unique_ptr<Copy> last_;  // the segment that is written to
  std::vector<std::unique_ptr<Mapping>> segments_;
};

}  // namespace atp::audit
