// Records as lines of JSON: sequence, time, kind, and the fields of the change under the names that
// atp.v1 gives them. Keys are in hexadecimal and addresses are text, as people write them. Caps are
// for others: they are rare, and their definitions long. Owns the words; opens no file.
#pragma once
#include <arpa/inet.h>

#include <ctime>

#include "atp/engine/event_reader.h"
#include "record.h"

namespace atp {

constexpr std::uint32_t kDumpLines = 4096;  // of a largest basket

class Lines {
 public:
  std::string text;

  void add(std::string_view part) { text.append(part); }
  void name(std::string_view name) {
    text.append(", \"").append(name).append("\": ");
  }
  void number(std::string_view field, std::int64_t value) {
    name(field);
    text.append(std::to_string(value));
  }
  void unsigned_number(std::string_view field, std::uint64_t value) {
    name(field);
    text.append(std::to_string(value));
  }
  void boolean(std::string_view field, bool value) {
    name(field);
    text.append(value ? "true" : "false");
  }
  void string(std::string_view field, const char* data, std::size_t size) {
    name(field);
    quote(data, size);
  }
  void key(std::string_view field, const Key* key) {
    name(field);
    char hex[36];
    const int size = key == nullptr ? 0
                                    : std::snprintf(hex, sizeof hex, "%016llx%016llx",
                                                    static_cast<unsigned long long>(key->high),
                                                    static_cast<unsigned long long>(key->low));
    text.append("\"").append(hex, static_cast<std::size_t>(size)).append("\"");
  }
  void address(std::string_view field, const std::uint8_t* bytes, std::size_t size) {
    char shown[INET6_ADDRSTRLEN] = "";
    if (size == 4 || size == 16) {
      inet_ntop(size == 4 ? AF_INET : AF_INET6, bytes, shown, sizeof shown);
    }
    string(field, shown, std::strlen(shown));
  }
  void lines(const EventFacts& facts) {
    name("lines");
    text.append("[");
    for (std::size_t i = 0; i < facts.line_count; ++i) {
      text.append(i ? ", {\"sku\": " : "{\"sku\": ");
      quote(facts.lines[i].sku, facts.lines[i].sku_size);
      number("quantity", facts.lines[i].quantity);
      text.append("}");
    }
    text.append("]");
  }
  void receipt(const EventFacts& facts) {
    name("receipt");
    if (facts.receipt_key == nullptr) {
      text.append("null");
      return;
    }
    text.append("{\"request_key\": ");
    const std::size_t begin = text.size();
    key("", facts.receipt_key);
    text.erase(begin, std::strlen(", \"\": "));
    unsigned_number("fingerprint", facts.receipt_fingerprint);
    text.append("}");
  }

 private:
  void quote(const char* data, std::size_t size) {
    const bool sound = is_text(data, size);
    text.append("\"");
    for (std::size_t i = 0; i < size; ++i) {
      const unsigned char letter = static_cast<unsigned char>(data[i]);
      if (letter == '"' || letter == '\\') {
        text.append("\\").push_back(data[i]);
      } else if (letter < 0x20 || letter == 0x7f || (letter >= 0x80 && !sound)) {
        char escaped[8];
        std::snprintf(escaped, sizeof escaped, "\\u%04x", letter < 0x80 ? letter : 0xfffdu);
        text.append(escaped);
      } else {
        text.push_back(data[i]);
      }
    }
    text.append("\"");
  }
};

namespace detail {

// RFC 3339 with nanoseconds. The day is worked out once for many records.
struct Instant {
  std::int64_t day = INT64_MIN;
  char text[40] = "";

  std::string_view of(std::int64_t time) {
    constexpr std::int64_t second = 1000000000, whole_day = 86400 * second;
    const std::int64_t rest = ((time % whole_day) + whole_day) % whole_day;
    if ((time - rest) / whole_day != day) {
      day = (time - rest) / whole_day;
      const std::time_t seconds = static_cast<std::time_t>(day * 86400);
      std::tm parts;
      gmtime_r(&seconds, &parts);
      std::snprintf(text, sizeof text, "%04d-%02d-%02dT", parts.tm_year + 1900, parts.tm_mon + 1,
                    parts.tm_mday);
    }
    const int in_day = static_cast<int>(rest / second);
    std::snprintf(text + 11, sizeof text - 11, "%02d:%02d:%02d.%09dZ", in_day / 3600,
                  in_day / 60 % 60, in_day % 60, static_cast<int>(rest % second));
    return text;
  }
};

inline const char* reason_name(std::int32_t reason) {
  switch (reason) {
    case 0:
      return "STOCK_REASON_UNSPECIFIED";
    case 1:
      return "STOCK_REASON_RECEIVED";
    case 2:
      return "STOCK_REASON_RETURNED";
    case 3:
      return "STOCK_REASON_COUNTED";
    case 4:
      return "STOCK_REASON_WRITTEN_OFF";
    default:
      return nullptr;
  }
}

inline const char* kind_name(EventField kind) {
  switch (kind) {
    case kReserved:
      return "reserved";
    case kCommitted:
      return "committed";
    case kReleased:
      return "released";
    case kExpired:
      return "expired";
    case kExtended:
      return "extended";
    default:
      return "stock_changed";
  }
}

inline void dump_reserved(Lines& out, const EventFacts& facts) {
  out.key("reservation_key", facts.key);
  out.unsigned_number("fingerprint", facts.fingerprint);
  out.number("expire_time_ns", facts.expire_time);
  out.lines(facts);
  out.string("customer_id", facts.customer, facts.customer_size);
  out.address("client_ip", facts.address, facts.address_size);
  out.boolean("partial", facts.partial);
  out.key("replaced_reservation_key", facts.replaced);
  out.string("request_id", facts.request_id, facts.request_id_size);
}

inline void dump_stock_changed(Lines& out, const EventFacts& facts) {
  out.string("sku", facts.sku, facts.sku_size);
  out.number("on_hand_quantity", facts.on_hand);
  out.number("received_quantity", facts.received);
  out.number("adjusted_quantity", facts.adjusted);
  const char* reason = reason_name(facts.reason);
  if (reason == nullptr) {
    out.number("reason", facts.reason);
  } else {
    out.string("reason", reason, std::strlen(reason));
  }
  out.receipt(facts);
}

inline void dump_event(Lines& out, EventField kind, const EventFacts& facts) {
  switch (kind) {
    case kReserved:
      return dump_reserved(out, facts);
    case kStockChanged:
      return dump_stock_changed(out, facts);
    default:
      out.key("reservation_key", facts.key);
  }
  if (kind == kExtended) out.number("expire_time_ns", facts.expire_time);
  if (kind == kCommitted || kind == kReleased) out.lines(facts);
  if (kind != kExpired) out.receipt(facts);
}

}  // namespace detail

enum DumpEnd : int { kDumpedAll, kDumpedSome, kAtCap, kAtBadEvent };

struct Dumped {
  std::string text;
  std::size_t offset;  // of the next record
  std::int64_t sequence;  // of it
  DumpEnd end;
};

// Lines for the records from `at` on, the first of which has this sequence: those from `first` to
// `last`, until there are about so many bytes.
inline Dumped dump_records(const char* data, std::size_t size, std::size_t at,
                           std::int64_t sequence, std::int64_t first, std::int64_t last,
                           std::size_t most) {
  std::vector<EventLine> room(kDumpLines);
  Lines out;
  detail::Instant instant;
  EventRead event;
  RecordHead head;
  DumpEnd end = kDumpedAll;
  while (sequence <= last) {
    const std::size_t whole = sound_record(data + at, size - at, &head);
    if (whole == 0 || head.sequence != sequence) break;
    if (sequence >= first) {
      if (out.text.size() >= most) {
        end = kDumpedSome;
        break;
      }
      if (read_event(data + at + sizeof head, head.size, &event, room.data(), kDumpLines)) {
        end = kAtBadEvent;
        break;
      }
      if (event.kind == kCapSet || event.kind == kCapRemoved) {
        end = kAtCap;
        break;
      }
      out.add("{\"sequence\": ");
      out.add(std::to_string(sequence));
      const std::string_view time = instant.of(event.facts.time);
      out.string("time", time.data(), time.size());
      const char* kind = detail::kind_name(event.kind);
      out.string("kind", kind, std::strlen(kind));
      detail::dump_event(out, event.kind, event.facts);
      out.add("}\n");
    }
    at += whole;
    ++sequence;
  }
  return Dumped{std::move(out.text), at, sequence, end};
}

}  // namespace atp
