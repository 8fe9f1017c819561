// Requests and answers of atp.v1 as far as the audit asks: one struct for all kinds of each, with
// views into the bytes. Owns reading them; fields that it doesn't know are passed over, as protobuf
// does, and bytes that are no message throw protozero's exception. Judges nothing.
#pragma once
#include <protozero/pbf_reader.hpp>

#include "bytes.h"

namespace atp::audit {

using Reader = protozero::pbf_reader;

enum class Method : std::uint8_t {
  kNone, kReserve, kCommit, kRelease, kExtend, kGetReservation, kGetAvailability, kExecute,
  kSetStock, kAdjustStock, kBatchSetStock, kSetCap, kRemoveCap,
};
constexpr int kMethods = 13;

inline bool is_change_of_hold(Method method) {
  return method == Method::kCommit || method == Method::kRelease || method == Method::kExtend;
}

struct Units {
  Text sku;
  std::int64_t quantity = 0;
  std::uint32_t number = 0;  // of the SKU, once somebody has looked it up
};

inline Text text_of(Reader& reader) {
  const auto view = reader.get_view();
  return {view.data(), view.size()};
}

// google.protobuf.Timestamp and Duration, in nanoseconds.
inline std::int64_t nanoseconds(Reader message) {
  std::int64_t seconds = 0, rest = 0;
  while (message.next()) {
    if (message.tag() == 1) {
      seconds = message.get_int64();
    } else if (message.tag() == 2) {
      rest = message.get_int32();
    } else {
      message.skip();
    }
  }
  return seconds * 1'000'000'000 + rest;
}

inline Units units_of(Reader line) {
  Units units;
  while (line.next()) {
    if (line.tag() == 1) {
      units.sku = text_of(line);
    } else if (line.tag() == 2) {
      units.quantity = line.get_int64();
    } else {
      line.skip();
    }
  }
  return units;
}

// A request of any kind but a batch.
struct Asked {
  Text request_id, reservation_id, replaces, sku, address, customer;
  std::vector<Units> lines;  // of GetAvailability: SKUs alone
  std::int64_t expire_time = 0, ttl = 0;
  std::int64_t on_hand = 0, expected = -1, delta = 0;
  std::int32_t reason = 0;
  bool partial = false;
  Text cap;  // a Cap message, or of RemoveCap the cap's id

  void clear() {
    auto kept = std::move(lines);
    *this = Asked();
    lines = std::move(kept);
    lines.clear();
  }
};

inline void read_asked(Method method, Text bytes, Asked* into) {
  into->clear();
  Reader reader(bytes.data(), bytes.size());
  while (reader.next()) {
    const std::uint32_t tag = reader.tag();
    switch (method) {
      case Method::kReserve:
        if (tag == 1) into->request_id = text_of(reader);
        else if (tag == 2) into->lines.push_back(units_of(reader.get_message()));
        else if (tag == 3) into->address = text_of(reader);
        else if (tag == 4) into->customer = text_of(reader);
        else if (tag == 5) into->expire_time = nanoseconds(reader.get_message());
        else if (tag == 6) into->ttl = nanoseconds(reader.get_message());
        else if (tag == 7) into->partial = reader.get_bool();
        else if (tag == 8) into->replaces = text_of(reader);
        else reader.skip();
        break;
      case Method::kCommit:
      case Method::kRelease:
        if (tag == 1) into->reservation_id = text_of(reader);
        else if (tag == 2) into->lines.push_back(units_of(reader.get_message()));
        else if (tag == 3) into->request_id = text_of(reader);
        else reader.skip();
        break;
      case Method::kExtend:
        if (tag == 1) into->reservation_id = text_of(reader);
        else if (tag == 2) into->expire_time = nanoseconds(reader.get_message());
        else if (tag == 3) into->ttl = nanoseconds(reader.get_message());
        else if (tag == 4) into->request_id = text_of(reader);
        else reader.skip();
        break;
      case Method::kGetReservation:
        if (tag == 1) into->reservation_id = text_of(reader);
        else reader.skip();
        break;
      case Method::kGetAvailability:
        if (tag == 1) into->lines.push_back({text_of(reader)});
        else reader.skip();
        break;
      case Method::kSetStock:
        if (tag == 1) into->sku = text_of(reader);
        else if (tag == 2) into->on_hand = reader.get_int64();
        else if (tag == 3) into->expected = reader.get_int64();
        else reader.skip();
        break;
      case Method::kAdjustStock:
        if (tag == 1) into->request_id = text_of(reader);
        else if (tag == 2) into->sku = text_of(reader);
        else if (tag == 3) into->delta = reader.get_int64();
        else if (tag == 4) into->reason = reader.get_int32();
        else reader.skip();
        break;
      case Method::kSetCap:
      case Method::kRemoveCap:
        if (tag == 1) into->cap = text_of(reader);
        else reader.skip();
        break;
      default:
        reader.skip();
    }
  }
}

// What an answer says of one SKU of a basket, of one line of a hold, or of a SKU's availability.
struct ToldUnits {
  Text sku;
  std::int32_t line = 0, outcome = 0;
  std::int64_t granted = 0, available = 0, held = 0, on_hand = 0;
  std::int64_t committed = 0, released = 0, expired = 0;  // of a line of a hold
  std::int64_t first_expire = 0, sequence = 0;
  bool known = false;
};

struct ToldCap {
  Text cap_id, subject, sku;
  std::int64_t limit = 0, in_force = 0, asked = 0;
};

struct ToldHold {
  bool is_told = false;
  Text id, customer, address;
  std::int32_t state = 0;
  std::int64_t create_time = 0, expire_time = 0, end_time = 0, sequence = 0;
  std::vector<ToldUnits> lines;
};

// An answer of any kind but a batch's.
struct Told {
  std::int32_t outcome = 0;
  std::int64_t sequence = 0;
  bool repeated = false;
  std::int32_t line_index = 0;
  ToldHold hold;
  std::vector<ToldUnits> skus;  // line results, or availabilities
  std::vector<ToldCap> caps;
  bool has_stock = false;
  std::int64_t on_hand = 0, held = 0, received = 0, adjusted = 0, sku_sequence = 0;
  Text cap;

  void clear() {
    auto lines = std::move(hold.lines);
    auto units = std::move(skus);
    auto refusals = std::move(caps);
    *this = Told();
    lines.clear();
    units.clear();
    refusals.clear();
    hold.lines = std::move(lines);
    skus = std::move(units);
    caps = std::move(refusals);
  }
};

inline ToldUnits read_line_result(Reader reader) {
  ToldUnits told;
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: told.line = reader.get_int32(); break;
      case 2: told.outcome = reader.get_int32(); break;
      case 3: told.granted = reader.get_int64(); break;
      case 4: told.available = reader.get_int64(); break;
      case 5: told.held = reader.get_int64(); break;
      case 6: told.first_expire = nanoseconds(reader.get_message()); break;
      default: reader.skip();
    }
  }
  return told;
}

inline ToldUnits read_availability(Reader reader) {
  ToldUnits told;
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: told.sku = text_of(reader); break;
      case 2: told.known = reader.get_bool(); break;
      case 3: told.available = reader.get_int64(); break;
      case 4: told.on_hand = reader.get_int64(); break;
      case 5: told.held = reader.get_int64(); break;
      case 6: told.first_expire = nanoseconds(reader.get_message()); break;
      case 7: told.sequence = reader.get_int64(); break;
      default: reader.skip();
    }
  }
  return told;
}

inline ToldUnits read_hold_line(Reader reader) {
  ToldUnits told;
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: told.sku = text_of(reader); break;
      case 2: told.granted = reader.get_int64(); break;
      case 3: told.held = reader.get_int64(); break;
      case 4: told.committed = reader.get_int64(); break;
      case 5: told.released = reader.get_int64(); break;
      case 6: told.expired = reader.get_int64(); break;
      default: reader.skip();
    }
  }
  return told;
}

inline void read_hold(Reader reader, ToldHold* told) {
  told->is_told = true;
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: told->id = text_of(reader); break;
      case 2: told->state = reader.get_int32(); break;
      case 3: told->lines.push_back(read_hold_line(reader.get_message())); break;
      case 4: told->create_time = nanoseconds(reader.get_message()); break;
      case 5: told->expire_time = nanoseconds(reader.get_message()); break;
      case 6: told->end_time = nanoseconds(reader.get_message()); break;
      case 7: told->sequence = reader.get_int64(); break;
      case 8: told->customer = text_of(reader); break;
      case 9: told->address = text_of(reader); break;
      default: reader.skip();
    }
  }
}

inline ToldCap read_cap_refusal(Reader reader) {
  ToldCap told;
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: told.cap_id = text_of(reader); break;
      case 2: told.subject = text_of(reader); break;
      case 3: told.sku = text_of(reader); break;
      case 4: told.limit = reader.get_int64(); break;
      case 5: told.in_force = reader.get_int64(); break;
      case 6: told.asked = reader.get_int64(); break;
      default: reader.skip();
    }
  }
  return told;
}

inline void read_stock(Reader reader, Told* told) {
  told->has_stock = true;
  while (reader.next()) {
    switch (reader.tag()) {
      case 2: told->on_hand = reader.get_int64(); break;
      case 3: told->held = reader.get_int64(); break;
      case 6: told->received = reader.get_int64(); break;
      case 7: told->adjusted = reader.get_int64(); break;
      case 9: told->sku_sequence = reader.get_int64(); break;
      default: reader.skip();
    }
  }
}

// Answers to Reserve, Commit, Release, Extend and the two of stock begin alike.
inline void read_judged(Method method, Reader& reader, Told* told) {
  switch (reader.tag()) {
    case 1: told->outcome = reader.get_int32(); break;
    case 2:
      if (method == Method::kSetStock || method == Method::kAdjustStock) {
        read_stock(reader.get_message(), told);
      } else {
        read_hold(reader.get_message(), &told->hold);
      }
      break;
    case 3: told->sequence = reader.get_int64(); break;
    case 4: told->repeated = reader.get_bool(); break;
    case 5:
      if (method == Method::kReserve) {
        told->skus.push_back(read_line_result(reader.get_message()));
      } else if (method == Method::kCommit || method == Method::kRelease) {
        told->line_index = reader.get_int32();
      } else {
        reader.skip();
      }
      break;
    case 6:
      if (method == Method::kReserve) {
        told->caps.push_back(read_cap_refusal(reader.get_message()));
        break;
      }
      [[fallthrough]];
    default: reader.skip();
  }
}

inline void read_told(Method method, Text bytes, Told* told) {
  told->clear();
  Reader reader(bytes.data(), bytes.size());
  while (reader.next()) {
    const std::uint32_t tag = reader.tag();
    if (method == Method::kGetReservation && tag == 1) {
      read_hold(reader.get_message(), &told->hold);
    } else if (method == Method::kGetAvailability && tag == 1) {
      told->skus.push_back(read_availability(reader.get_message()));
    } else if (method == Method::kSetCap && tag == 1) {
      told->cap = text_of(reader);
    } else if (method == Method::kSetCap && tag == 2) {
      told->sequence = reader.get_int64();
    } else if (method == Method::kRemoveCap && tag == 1) {
      told->sequence = reader.get_int64();
    } else if (method == Method::kReserve || is_change_of_hold(method) ||
               method == Method::kSetStock || method == Method::kAdjustStock) {
      read_judged(method, reader, told);
    } else {
      reader.skip();
    }
  }
}

}  // namespace atp::audit
