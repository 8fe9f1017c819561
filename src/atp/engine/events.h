// A change as an atp.v1.Event message (proto/atp/v1/event.proto), written with protozero into the
// tail. Owns the field numbers; a test reads every message back with the generated Python
// classes.
#pragma once
#include <endian.h>
#include <protozero/pbf_writer.hpp>

#include "state.h"

namespace atp {

struct EventLine {
  const char* sku;
  std::size_t sku_size;
  std::int64_t quantity;
};

// All that any event says; what does not apply is empty or 0.
struct EventFacts {
  std::int64_t time;
  const Key* key;
  std::uint64_t fingerprint;
  std::int64_t expire_time;
  const EventLine* lines;
  std::size_t line_count;
  const char* customer;
  std::size_t customer_size;
  const std::uint8_t* address;
  std::size_t address_size;
  bool partial;
  const Key* replaced;
  const char* request_id;
  std::size_t request_id_size;
  const Key* receipt_key;
  std::uint64_t receipt_fingerprint;
  const char* sku;
  std::size_t sku_size;
  std::int64_t on_hand;
  std::int64_t received;
  std::int64_t adjusted;
  std::int32_t reason;
  const char* message;  // a nested message, encoded elsewhere
  std::size_t message_size;
  bool counts_reset;
};

enum EventField : std::uint32_t {
  kReserved = 2,
  kCommitted = 3,
  kReleased = 4,
  kExpired = 5,
  kExtended = 6,
  kStockChanged = 7,
  kCapSet = 8,
  kCapRemoved = 9,
};

// Where an event is written to: bytes that are known to suffice, so that no field asks. For
// protozero, which is told below how to append to it.
struct Bytes {
  char* begin;
  char* end;

  void push_back(char one) { *end++ = one; }
};

}  // namespace atp

namespace protozero {
template <>
struct buffer_customization<atp::Bytes> {
  static std::size_t size(const atp::Bytes* bytes) noexcept {
    return static_cast<std::size_t>(bytes->end - bytes->begin);
  }
  static void append(atp::Bytes* bytes, const char* data, std::size_t count) {
    std::memcpy(bytes->end, data, count);
    bytes->end += count;
  }
  static void push_back(atp::Bytes* bytes, char one) { bytes->push_back(one); }
  static char* at_pos(atp::Bytes* bytes, std::size_t place) { return bytes->begin + place; }
  static void reserve_additional(atp::Bytes*, std::size_t) {}
  static void append_zeros(atp::Bytes* bytes, std::size_t count) {
    std::memset(bytes->end, 0, count);
    bytes->end += count;
  }
  static void resize(atp::Bytes* bytes, std::size_t size) { bytes->end = bytes->begin + size; }
  static void erase_range(atp::Bytes* bytes, std::size_t from, std::size_t to) {
    std::memmove(bytes->begin + from, bytes->begin + to, size(bytes) - to);
    bytes->end -= to - from;
  }
};
}  // namespace protozero

namespace atp {
namespace detail {

using Writer = protozero::basic_pbf_writer<Bytes>;

// A nested message of a known size begins: its fields are those that are added next. So nothing is
// moved when it ends.
inline void begin_message(Bytes& bytes, std::uint32_t tag, std::size_t size) {
  constexpr std::uint32_t length_delimited = 2;
  protozero::add_varint_to_buffer(&bytes, tag << 3 | length_delimited);
  protozero::add_varint_to_buffer(&bytes, size);
}

// Sizes of fields with a tag of one byte.
inline std::size_t varint_bytes(std::uint64_t value) {
  return (static_cast<std::size_t>(63 - __builtin_clzll(value | 1)) * 9 + 73) / 64;
}
inline std::size_t number_bytes(std::int64_t value) {
  return 1 + varint_bytes(static_cast<std::uint64_t>(value));
}
inline std::size_t text_bytes(std::size_t size) { return 1 + varint_bytes(size) + size; }
inline std::size_t key_bytes(const Key* key) { return key == nullptr ? 0 : 18; }
inline std::size_t receipt_bytes(const EventFacts& facts) {
  return facts.receipt_key == nullptr ? 0 : text_bytes(18 + 9);
}
inline std::size_t line_bytes(const EventLine& line) {
  return text_bytes(line.sku_size) + number_bytes(line.quantity);
}
inline std::size_t lines_bytes(const EventFacts& facts) {
  std::size_t sum = 0;
  for (std::size_t i = 0; i < facts.line_count; ++i) sum += text_bytes(line_bytes(facts.lines[i]));
  return sum;
}

inline void write_key(Bytes& bytes, std::uint32_t tag, const Key* key) {
  if (key == nullptr) return;
  begin_message(bytes, tag, sizeof(Key));
  for (const std::uint64_t half : {htobe64(key->high), htobe64(key->low)}) {
    std::memcpy(bytes.end, &half, sizeof half);
    bytes.end += sizeof half;
  }
}

inline void write_lines(Bytes& bytes, std::uint32_t tag, const EventFacts& facts) {
  for (std::size_t i = 0; i < facts.line_count; ++i) {
    begin_message(bytes, tag, line_bytes(facts.lines[i]));
    Writer line{bytes};
    line.add_string(1, facts.lines[i].sku, facts.lines[i].sku_size);
    line.add_int64(2, facts.lines[i].quantity);
  }
}

inline void write_receipt(Bytes& bytes, std::uint32_t tag, const EventFacts& facts) {
  if (facts.receipt_key == nullptr) return;
  begin_message(bytes, tag, 18 + 9);
  Writer receipt{bytes};
  write_key(bytes, 1, facts.receipt_key);
  receipt.add_fixed64(2, facts.receipt_fingerprint);
}

inline std::size_t reserved_bytes(const EventFacts& facts) {
  return key_bytes(facts.key) + 9 + number_bytes(facts.expire_time) + lines_bytes(facts) +
         (facts.customer_size ? text_bytes(facts.customer_size) : 0) +
         (facts.address_size ? text_bytes(facts.address_size) : 0) + (facts.partial ? 2 : 0) +
         key_bytes(facts.replaced) + text_bytes(facts.request_id_size);
}
inline void write_reserved(Bytes& bytes, const EventFacts& facts) {
  Writer change{bytes};
  write_key(bytes, 1, facts.key);
  change.add_fixed64(2, facts.fingerprint);
  change.add_int64(3, facts.expire_time);
  write_lines(bytes, 4, facts);
  if (facts.customer_size) change.add_string(5, facts.customer, facts.customer_size);
  if (facts.address_size) {
    change.add_bytes(6, reinterpret_cast<const char*>(facts.address), facts.address_size);
  }
  if (facts.partial) change.add_bool(7, true);
  write_key(bytes, 8, facts.replaced);
  change.add_string(9, facts.request_id, facts.request_id_size);
}

inline std::size_t stock_changed_bytes(const EventFacts& facts) {
  return text_bytes(facts.sku_size) + number_bytes(facts.on_hand) + number_bytes(facts.received) +
         number_bytes(facts.adjusted) + (facts.reason ? number_bytes(facts.reason) : 0) +
         receipt_bytes(facts);
}
inline void write_stock_changed(Bytes& bytes, const EventFacts& facts) {
  Writer change{bytes};
  change.add_string(1, facts.sku, facts.sku_size);
  change.add_int64(2, facts.on_hand);
  change.add_int64(3, facts.received);
  change.add_int64(4, facts.adjusted);
  if (facts.reason) change.add_enum(5, facts.reason);
  write_receipt(bytes, 6, facts);
}

inline std::size_t change_bytes(EventField kind, const EventFacts& facts) {
  switch (kind) {
    case kReserved:
      return reserved_bytes(facts);
    case kCommitted:
    case kReleased:
      return key_bytes(facts.key) + lines_bytes(facts) + receipt_bytes(facts);
    case kExpired:
      return key_bytes(facts.key);
    case kExtended:
      return key_bytes(facts.key) + number_bytes(facts.expire_time) + receipt_bytes(facts);
    case kStockChanged:
      return stock_changed_bytes(facts);
    case kCapSet:
      return text_bytes(facts.message_size) + (facts.counts_reset ? 2 : 0);
    case kCapRemoved:
      return text_bytes(facts.message_size);
  }
  return 0;
}

inline void write_change(Bytes& bytes, EventField kind, const EventFacts& facts) {
  Writer change{bytes};
  switch (kind) {
    case kReserved:
      write_reserved(bytes, facts);
      break;
    case kCommitted:
    case kReleased:
      write_key(bytes, 1, facts.key);
      write_lines(bytes, 2, facts);
      write_receipt(bytes, 3, facts);
      break;
    case kExpired:
      write_key(bytes, 1, facts.key);
      break;
    case kExtended:
      write_key(bytes, 1, facts.key);
      change.add_int64(2, facts.expire_time);
      write_receipt(bytes, 3, facts);
      break;
    case kStockChanged:
      write_stock_changed(bytes, facts);
      break;
    case kCapSet:
      change.add_message(1, facts.message, facts.message_size);
      if (facts.counts_reset) change.add_bool(2, true);
      break;
    case kCapRemoved:
      change.add_string(1, facts.message, facts.message_size);
      break;
  }
}

}  // namespace detail

// An event's size, and that of the change in it.
struct EventSize {
  std::size_t change;
  std::size_t whole;
};
inline EventSize event_size(EventField kind, const EventFacts& facts) {
  const std::size_t change = detail::change_bytes(kind, facts);
  return EventSize{change, detail::number_bytes(facts.time) + detail::text_bytes(change)};
}

// Writes the event, which has just this size.
inline void write_event(EventField kind, const EventFacts& facts, EventSize size, char* into) {
  Bytes bytes{into, into};
  detail::Writer event{bytes};
  event.add_int64(1, facts.time);
  detail::begin_message(bytes, kind, size.change);
  detail::write_change(bytes, kind, facts);
  ATP_CHECK(bytes.end == into + size.whole);
}

// A cap as it was set, for the message of its event (atp.v1.Cap).
struct CapFacts {
  std::string cap_id;
  std::int32_t subject = 0;
  std::int32_t prefix4 = 0;
  std::int32_t prefix6 = 0;
  std::vector<std::string> skus;
  bool per_sku = false;
  std::int64_t limit = kNoLimit;
  std::int64_t window = 0;
  std::int32_t mode = 0;
  std::vector<std::string> override_subjects;
  std::vector<std::int64_t> override_limits;
};

inline std::string write_cap(const CapFacts& facts) {
  std::string message;
  protozero::pbf_writer cap{message};
  cap.add_string(1, facts.cap_id);
  cap.add_enum(2, facts.subject);
  if (facts.prefix4) cap.add_int32(3, facts.prefix4);
  if (facts.prefix6) cap.add_int32(4, facts.prefix6);
  for (const std::string& sku : facts.skus) cap.add_string(5, sku);
  if (facts.per_sku) cap.add_bool(6, true);
  if (facts.limit != kNoLimit) cap.add_int64(7, facts.limit);
  if (facts.window) {
    protozero::pbf_writer window{cap, 8};
    window.add_int64(1, facts.window / 1000000000);
    window.add_int32(2, static_cast<std::int32_t>(facts.window % 1000000000));
  }
  cap.add_enum(9, facts.mode);
  for (std::size_t i = 0; i < facts.override_subjects.size(); ++i) {
    protozero::pbf_writer one{cap, 10};
    one.add_string(1, facts.override_subjects[i]);
    if (facts.override_limits[i] != kNoLimit) one.add_int64(2, facts.override_limits[i]);
  }
  return message;
}

}  // namespace atp
