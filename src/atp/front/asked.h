// Requests of atp.v1 as views into their bytes: what was sent, unjudged. Owns the field numbers of
// reservation.proto and reservation_service.proto, and where the last one wins, what is merged and
// which one of several is set, as protobuf has it. Checks no bound beyond what is kept.
#pragma once
#include <vector>

#include "atp/engine/line_ask.h"
#include "atp/front/fields.h"

namespace atp {

constexpr std::uint32_t kLinesMost = 4096;  // of one command that are kept
constexpr std::uint32_t kCommandsMost = 65536;  // of one batch that are kept

// What is asked, by the numbers of the fields of atp.v1.Command.
enum AskedKind : std::uint8_t {
  kAskedNothing = 0,
  kAskedReserve = 1,
  kAskedCommit = 2,
  kAskedRelease = 3,
  kAskedExtend = 4,
  kAskedReservation,
  kAskedAvailability,
};

enum Expiration : std::uint8_t { kNoExpiration = 0, kExpireTime = 1, kTtl = 2 };

// One command; what does not apply, or is not given, is empty or 0.
struct Asked {
  std::string_view request_id;
  std::string_view reservation;  // to change or read, or to replace
  std::string_view client_ip;
  std::string_view customer_id;
  std::int64_t seconds;
  std::int32_t nanos;
  std::uint32_t first_line;  // in LineRoom, of lines or of names of SKUs
  std::uint32_t line_count;  // as sent: more than kLinesMost are counted, not kept
  AskedKind kind;
  Expiration expiration;
  bool allow_partial;
};

using LineRoom = std::vector<LineAsk>;

inline void open_asked(Asked* asked, AskedKind kind, const LineRoom& room) {
  *asked = Asked{};
  asked->kind = kind;
  asked->first_line = static_cast<std::uint32_t>(room.size());
}

namespace detail {

ATP_INLINE void keep_line(const LineAsk& line, Asked& into, LineRoom& room) {
  if (into.line_count++ < kLinesMost) room.push_back(line);
}

ATP_INLINE void read_line(Fields fields, Asked& into, LineRoom& room) {
  LineAsk line{"", 0, 0, 0};
  while (fields.next()) {
    switch (fields.found()) {
      case field(1, kBytes): {
        const std::string_view sku = fields.text();
        line.sku = sku.data();
        line.sku_size = static_cast<std::uint32_t>(sku.size());
        break;
      }
      case field(2, kVarint):
        line.quantity = static_cast<std::int64_t>(fields.varint());
        break;
      default:
        fields.skip();
    }
  }
  keep_line(line, into, room);
}

// A timestamp or a duration: merged with what was given of the same kind, in place of the other.
ATP_INLINE void read_expiration(Fields fields, Expiration kind, Asked& into) {
  if (into.expiration != kind) {
    into.expiration = kind;
    into.seconds = 0;
    into.nanos = 0;
  }
  while (fields.next()) {
    switch (fields.found()) {
      case field(1, kVarint):
        into.seconds = static_cast<std::int64_t>(fields.varint());
        break;
      case field(2, kVarint):
        into.nanos = static_cast<std::int32_t>(fields.varint());
        break;
      default:
        fields.skip();
    }
  }
}

inline void read_reserve(Fields fields, Asked& into, LineRoom& room) {
  while (fields.next()) {
    switch (fields.found()) {
      case field(1, kBytes):
        into.request_id = fields.text();
        break;
      case field(2, kBytes):
        read_line(fields.message(), into, room);
        break;
      case field(3, kBytes):
        into.client_ip = fields.text();
        break;
      case field(4, kBytes):
        into.customer_id = fields.text();
        break;
      case field(5, kBytes):
        read_expiration(fields.message(), kExpireTime, into);
        break;
      case field(6, kBytes):
        read_expiration(fields.message(), kTtl, into);
        break;
      case field(7, kVarint):
        into.allow_partial = fields.varint() != 0;
        break;
      case field(8, kBytes):
        into.reservation = fields.text();
        break;
      default:
        fields.skip();
    }
  }
}

// A commit or a release.
inline void read_change(Fields fields, Asked& into, LineRoom& room) {
  while (fields.next()) {
    switch (fields.found()) {
      case field(1, kBytes):
        into.reservation = fields.text();
        break;
      case field(2, kBytes):
        read_line(fields.message(), into, room);
        break;
      case field(3, kBytes):
        into.request_id = fields.text();
        break;
      default:
        fields.skip();
    }
  }
}

inline void read_extend(Fields fields, Asked& into) {
  while (fields.next()) {
    switch (fields.found()) {
      case field(1, kBytes):
        into.reservation = fields.text();
        break;
      case field(2, kBytes):
        read_expiration(fields.message(), kExpireTime, into);
        break;
      case field(3, kBytes):
        read_expiration(fields.message(), kTtl, into);
        break;
      case field(4, kBytes):
        into.request_id = fields.text();
        break;
      default:
        fields.skip();
    }
  }
}

inline void read_reservation(Fields fields, Asked& into) {
  while (fields.next()) {
    if (fields.found() == field(1, kBytes)) {
      into.reservation = fields.text();
    } else {
      fields.skip();
    }
  }
}

// Names of SKUs, kept as lines.
inline void read_skus(Fields fields, Asked& into, LineRoom& room) {
  while (fields.next()) {
    if (fields.found() == field(1, kBytes)) {
      const std::string_view sku = fields.text();
      keep_line(LineAsk{sku.data(), 1, 0, static_cast<std::uint32_t>(sku.size())}, into, room);
    } else {
      fields.skip();
    }
  }
}

inline void read_any(Fields fields, Asked& into, LineRoom& room) {
  switch (into.kind) {
    case kAskedReserve:
      return read_reserve(fields, into, room);
    case kAskedCommit:
    case kAskedRelease:
      return read_change(fields, into, room);
    case kAskedExtend:
      return read_extend(fields, into);
    case kAskedReservation:
      return read_reservation(fields, into);
    case kAskedAvailability:
      return read_skus(fields, into, room);
    case kAskedNothing:
      return;
  }
}

// One command of a batch: the last kind given is the one that is set, and given again it is merged.
inline void read_command(Fields fields, Asked& into, LineRoom& room) {
  while (fields.next()) {
    const std::uint32_t found = fields.found();
    if ((found & 7) != kBytes || found >> 3 > kAskedExtend) {
      fields.skip();
      continue;
    }
    const auto kind = static_cast<AskedKind>(found >> 3);
    if (into.kind != kind) open_asked(&into, kind, room);
    read_any(fields.message(), into, room);
  }
}

}  // namespace detail

// Why a message could not be read.
enum ReadProblem { kReadWell = 0, kNoMessage = 1, kNoMemory = 2 };

namespace detail {
template <class Read>
inline ReadProblem told_problem(Read read) noexcept {
  try {
    read();
  } catch (const Malformed&) {
    return kNoMessage;
  } catch (const protozero::exception&) {
    return kNoMessage;
  } catch (const std::bad_alloc&) {
    return kNoMemory;
  }
  return kReadWell;
}
}  // namespace detail

// Reads one request of this kind.
inline ReadProblem read_asked(AskedKind kind, const char* data, std::size_t size, Asked* into,
                              LineRoom* room) noexcept {
  room->clear();
  open_asked(into, kind, *room);
  return detail::told_problem([&] { detail::read_any(Fields(data, size), *into, *room); });
}

// A batch of commands, all read before the first is judged.
struct AskedBatch {
  std::vector<Asked> commands;
  std::size_t count = 0;  // as sent: more than kCommandsMost are counted, not kept
  bool brief = false;
};

inline ReadProblem read_batch(const char* data, std::size_t size, AskedBatch* into,
                              LineRoom* room) noexcept {
  room->clear();
  into->commands.clear();
  into->count = 0;
  into->brief = false;
  return detail::told_problem([&] {
    Asked beyond;
    Fields fields(data, size);
    while (fields.next()) {
      switch (fields.found()) {
        case field(1, kBytes): {
          const bool kept = into->count++ < kCommandsMost;
          Asked& one = kept ? into->commands.emplace_back() : beyond;
          if (!kept) room->clear();
          open_asked(&one, kAskedNothing, *room);
          detail::read_command(fields.message(), one, *room);
          break;
        }
        case field(2, kVarint):
          into->brief = fields.varint() != 0;
          break;
        default:
          fields.skip();
      }
    }
  });
}

}  // namespace atp
