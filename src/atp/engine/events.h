// A change as an atp.v1.Event message (proto/atp/v1/event.proto), written with protozero into the
// tail. Owns the field numbers; a test reads every message back with the generated Python
// classes.
#pragma once
#include <protozero/buffer_fixed.hpp>
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

// More than any event with these facts can need.
inline std::size_t event_bytes_most(const EventFacts& facts) {
  std::size_t most = 512 + facts.customer_size + facts.request_id_size + facts.sku_size +
                     facts.message_size;
  for (std::size_t i = 0; i < facts.line_count; ++i) most += 32 + facts.lines[i].sku_size;
  return most;
}

namespace detail {

using Buffer = protozero::fixed_size_buffer_adaptor;
using Writer = protozero::basic_pbf_writer<Buffer>;

inline void write_key(Writer& writer, std::uint32_t tag, const Key* key) {
  if (key == nullptr) return;
  std::uint8_t bytes[16];
  for (int i = 0; i < 8; ++i) {
    bytes[i] = static_cast<std::uint8_t>(key->high >> (56 - 8 * i));
    bytes[8 + i] = static_cast<std::uint8_t>(key->low >> (56 - 8 * i));
  }
  writer.add_bytes(tag, reinterpret_cast<const char*>(bytes), 16);
}

inline void write_lines(Writer& writer, std::uint32_t tag, const EventFacts& facts) {
  for (std::size_t i = 0; i < facts.line_count; ++i) {
    Writer line{writer, tag};
    line.add_string(1, facts.lines[i].sku, facts.lines[i].sku_size);
    line.add_int64(2, facts.lines[i].quantity);
  }
}

inline void write_receipt(Writer& writer, std::uint32_t tag, const EventFacts& facts) {
  if (facts.receipt_key == nullptr) return;
  Writer receipt{writer, tag};
  write_key(receipt, 1, facts.receipt_key);
  receipt.add_fixed64(2, facts.receipt_fingerprint);
}

inline void write_reserved(Writer& change, const EventFacts& facts) {
  write_key(change, 1, facts.key);
  change.add_fixed64(2, facts.fingerprint);
  change.add_int64(3, facts.expire_time);
  write_lines(change, 4, facts);
  if (facts.customer_size) change.add_string(5, facts.customer, facts.customer_size);
  if (facts.address_size) {
    change.add_bytes(6, reinterpret_cast<const char*>(facts.address), facts.address_size);
  }
  if (facts.partial) change.add_bool(7, true);
  write_key(change, 8, facts.replaced);
  change.add_string(9, facts.request_id, facts.request_id_size);
}

inline void write_stock_changed(Writer& change, const EventFacts& facts) {
  change.add_string(1, facts.sku, facts.sku_size);
  change.add_int64(2, facts.on_hand);
  change.add_int64(3, facts.received);
  change.add_int64(4, facts.adjusted);
  if (facts.reason) change.add_enum(5, facts.reason);
  write_receipt(change, 6, facts);
}

}  // namespace detail

// Writes the event and returns its size. `room` is at least event_bytes_most().
inline std::size_t write_event(EventField kind, const EventFacts& facts, char* into,
                               std::size_t room) {
  detail::Buffer buffer{into, room};
  {
    detail::Writer event{buffer};
    event.add_int64(1, facts.time);
    detail::Writer change{event, kind};
    switch (kind) {
      case kReserved:
        detail::write_reserved(change, facts);
        break;
      case kCommitted:
      case kReleased:
        detail::write_key(change, 1, facts.key);
        detail::write_lines(change, 2, facts);
        detail::write_receipt(change, 3, facts);
        break;
      case kExpired:
        detail::write_key(change, 1, facts.key);
        break;
      case kExtended:
        detail::write_key(change, 1, facts.key);
        change.add_int64(2, facts.expire_time);
        detail::write_receipt(change, 3, facts);
        break;
      case kStockChanged:
        detail::write_stock_changed(change, facts);
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
  return buffer.size();
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
