// Reads an atp.v1.Event message back into the facts that events.h wrote, with protozero. The
// facts point into the message's own bytes. Owns what is a well-formed event: a field that is not
// known, has the wrong type or reaches outside is told, never skipped, because a state that leaves
// out what it does not understand is no longer the state that was. Judges no number beyond its own
// bounds.
#pragma once
#include <protozero/pbf_reader.hpp>

#include "events.h"
#include "text.h"

namespace atp {

constexpr std::uint32_t kLinesAhead = 4;  // lines that an event read ahead has room for

// One event as read. Whoever reads says where its lines go, and points into it: it is not copied.
struct EventRead {
  EventFacts facts;
  EventField kind;
  std::uint32_t line_count;  // in the message, whether there was room for them or not
  Key key;
  Key replaced;
  Key receipt_key;
  EventLine own_lines[kLinesAhead];
  // Filled in by hash_names: of a reserve, an end by lines (its first lines), or a stock change.
  std::uint64_t own_hashes[kLinesAhead];
  std::uint64_t customer_hash;
  std::uint64_t address_hash;
};

namespace detail {

struct BadEvent {
  const char* why;
};

using Reader = protozero::pbf_reader;
constexpr auto kVarint = protozero::pbf_wire_type::varint;
constexpr auto kFixed64 = protozero::pbf_wire_type::fixed64;
constexpr auto kBytes = protozero::pbf_wire_type::length_delimited;

constexpr std::uint32_t field(std::uint32_t tag, protozero::pbf_wire_type type) {
  return protozero::tag_and_type(tag, type);
}

[[noreturn]] inline void refuse_field() {
  throw BadEvent{"has a field that this version does not know"};
}

inline void read_key(Reader& reader, Key* key, const Key** given) {
  const auto view = reader.get_view();
  if (view.size() != 16) throw BadEvent{"names something with a key that has not 16 bytes"};
  std::uint64_t halves[2];
  std::memcpy(halves, view.data(), 16);
  key->high = __builtin_bswap64(halves[0]);
  key->low = __builtin_bswap64(halves[1]);
  *given = key;
}

inline void read_line(Reader line, EventRead* into, EventLine* lines, std::uint32_t room) {
  EventLine one{nullptr, 0, 0};
  while (line.next()) {
    switch (line.tag_and_type()) {
      case field(1, kBytes): {
        const auto view = line.get_view();
        one.sku = view.data();
        one.sku_size = view.size();
        break;
      }
      case field(2, kVarint):
        one.quantity = line.get_int64();
        break;
      default:
        refuse_field();
    }
  }
  if (into->line_count < room) lines[into->line_count] = one;
  ++into->line_count;
}

inline void read_receipt(Reader receipt, EventRead* into) {
  while (receipt.next()) {
    switch (receipt.tag_and_type()) {
      case field(1, kBytes):
        read_key(receipt, &into->receipt_key, &into->facts.receipt_key);
        break;
      case field(2, kFixed64):
        into->facts.receipt_fingerprint = receipt.get_fixed64();
        break;
      default:
        refuse_field();
    }
  }
  if (into->facts.receipt_key == nullptr) throw BadEvent{"has a receipt without a key"};
}

inline void read_reserved(Reader& change, EventRead* into, EventLine* lines, std::uint32_t room) {
  EventFacts& facts = into->facts;
  while (change.next()) {
    switch (change.tag_and_type()) {
      case field(1, kBytes):
        read_key(change, &into->key, &facts.key);
        break;
      case field(2, kFixed64):
        facts.fingerprint = change.get_fixed64();
        break;
      case field(3, kVarint):
        facts.expire_time = change.get_int64();
        break;
      case field(4, kBytes):
        read_line(change.get_message(), into, lines, room);
        break;
      case field(5, kBytes): {
        const auto view = change.get_view();
        facts.customer = view.data();
        facts.customer_size = view.size();
        break;
      }
      case field(6, kBytes): {
        const auto view = change.get_view();
        facts.address = reinterpret_cast<const std::uint8_t*>(view.data());
        facts.address_size = view.size();
        break;
      }
      case field(7, kVarint):
        facts.partial = change.get_uint64() != 0;
        break;
      case field(8, kBytes):
        read_key(change, &into->replaced, &facts.replaced);
        break;
      case field(9, kBytes): {
        const auto view = change.get_view();
        facts.request_id = view.data();
        facts.request_id_size = view.size();
        break;
      }
      default:
        refuse_field();
    }
  }
}

// A commit, a release, an extension or an expiry.
inline void read_change(Reader& change, EventRead* into, EventLine* lines, std::uint32_t room) {
  const bool by_lines = into->kind == kCommitted || into->kind == kReleased;
  while (change.next()) {
    const std::uint32_t found = change.tag_and_type();
    if (found == field(1, kBytes)) {
      read_key(change, &into->key, &into->facts.key);
    } else if (found == field(2, kBytes) && by_lines) {
      read_line(change.get_message(), into, lines, room);
    } else if (found == field(2, kVarint) && into->kind == kExtended) {
      into->facts.expire_time = change.get_int64();
    } else if (found == field(3, kBytes) && into->kind != kExpired) {
      read_receipt(change.get_message(), into);
    } else {
      refuse_field();
    }
  }
}

inline void read_stock_changed(Reader& change, EventRead* into) {
  EventFacts& facts = into->facts;
  while (change.next()) {
    switch (change.tag_and_type()) {
      case field(1, kBytes): {
        const auto view = change.get_view();
        facts.sku = view.data();
        facts.sku_size = view.size();
        break;
      }
      case field(2, kVarint):
        facts.on_hand = change.get_int64();
        break;
      case field(3, kVarint):
        facts.received = change.get_int64();
        break;
      case field(4, kVarint):
        facts.adjusted = change.get_int64();
        break;
      case field(5, kVarint):
        facts.reason = change.get_enum();
        break;
      case field(6, kBytes):
        read_receipt(change.get_message(), into);
        break;
      default:
        refuse_field();
    }
  }
}

// A cap's definition is read by whoever installs it.
inline void read_cap(Reader& change, EventRead* into) {
  while (change.next()) {
    switch (change.tag_and_type()) {
      case field(1, kBytes): {
        const auto view = change.get_view();
        into->facts.message = view.data();
        into->facts.message_size = view.size();
        break;
      }
      case field(2, kVarint):
        if (into->kind != kCapSet) refuse_field();
        into->facts.counts_reset = change.get_uint64() != 0;
        break;
      default:
        refuse_field();
    }
  }
}

inline void read_any(Reader change, EventRead* into, EventLine* lines, std::uint32_t room) {
  switch (into->kind) {
    case kReserved:
      return read_reserved(change, into, lines, room);
    case kStockChanged:
      return read_stock_changed(change, into);
    case kCapSet:
    case kCapRemoved:
      return read_cap(change, into);
    default:
      return read_change(change, into, lines, room);
  }
}

inline void read_whole(const char* data, std::size_t size, EventRead* into, EventLine* lines,
                       std::uint32_t room) {
  Reader event{data, size};
  while (event.next()) {
    if (event.tag_and_type() == field(1, kVarint)) {
      into->facts.time = event.get_int64();
      continue;
    }
    const std::uint32_t tag = event.tag();
    if (tag < kReserved || tag > kCapRemoved || event.wire_type() != kBytes) refuse_field();
    if (into->kind != 0) throw BadEvent{"says two changes"};
    into->kind = static_cast<EventField>(tag);
    read_any(event.get_message(), into, lines, room);
  }
  if (into->kind == 0) throw BadEvent{"says no change"};
}

}  // namespace detail

// Reads one event; returns what is wrong with it, or nullptr. Lines beyond the room are counted,
// and read by another call with more of it.
inline const char* read_event(const char* data, std::size_t size, EventRead* into,
                              EventLine* lines, std::uint32_t room) noexcept {
  std::memset(&into->facts, 0, sizeof into->facts);
  into->kind = static_cast<EventField>(0);
  into->line_count = 0;
  try {
    detail::read_whole(data, size, into, lines, room);
  } catch (const detail::BadEvent& bad) {
    return bad.why;
  } catch (const protozero::exception&) {
    return "is no protobuf message";
  }
  into->facts.lines = lines;
  into->facts.line_count = into->line_count < room ? into->line_count : room;
  return nullptr;
}

// Hashes what the event names, for all who look it up.
inline void hash_names(EventRead* event) noexcept {
  const EventFacts& facts = event->facts;
  for (std::size_t i = 0; i < facts.line_count; ++i) {
    event->own_hashes[i] = hash64(facts.lines[i].sku, facts.lines[i].sku_size);
  }
  if (event->kind == kStockChanged) event->own_hashes[0] = hash64(facts.sku, facts.sku_size);
  event->customer_hash = hash64(facts.customer, facts.customer_size);
  event->address_hash = hash64(facts.address, facts.address_size);
}

// All lines of the cache that these bytes lie in.
inline void fetch_all(const void* from, std::size_t size) {
  const char* at = static_cast<const char*>(from);
  for (std::size_t done = 0; done < size; done += 64) __builtin_prefetch(at + done);
}

}  // namespace atp
