// Whether a command as asked is well-formed, and its values as the engine takes them: the bounds of
// engine/limits.pxd, in the order in which the face in Python asks for them. Owns what is told of a
// field that is not; decides nothing about stock, holds or caps.
#pragma once
#include "atp/front/asked.h"
#include "atp/front/refused.h"

namespace atp {

constexpr std::size_t kNameBytesMost = 64;  // of a SKU, a request id, a customer
constexpr std::int64_t kQuantityMost = 1000000000;

struct Checked {
  Key key;  // of the reservation to change, to read or to replace
  std::int64_t ttl;
  std::int64_t expire_time;
  std::int64_t default_ttl;
  std::uint32_t address_size;
  bool has_key;
  std::uint8_t address[16];
};

namespace detail {

constexpr std::int64_t kSecond = 1000000000;

[[gnu::cold, gnu::noinline]] inline bool wrong(Refused* refused, std::string_view field,
                                               std::string_view description) {
  refuse_field(refused, field, description);
  return false;
}

[[gnu::cold, gnu::noinline]] inline bool wrong_size(Refused* refused, std::string_view field,
                                                    std::size_t size, int least) {
  return wrong(refused, field, "has " + told(static_cast<std::int64_t>(size)) + " bytes; " +
                                   told(least) + " to " + told(kNameBytesMost) + " are allowed");
}

[[gnu::cold, gnu::noinline]] inline bool wrong_line(Refused* refused, const LineAsk& line,
                                                    std::uint32_t index) {
  const std::string path = "lines[" + told(index) + "].";
  if (line.sku_size < 1 || line.sku_size > kNameBytesMost) {
    return wrong_size(refused, path + "sku", line.sku_size, 1);
  }
  return wrong(refused, path + "quantity", "is " + told(line.quantity) + "; 1 to " +
                                               told(kQuantityMost) + " are allowed");
}

inline bool is_name(std::string_view text, std::size_t least) {
  return text.size() >= least && text.size() <= kNameBytesMost;
}

inline bool check_count(const Asked& asked, Refused* refused) {
  if (asked.line_count <= kLinesMost) return true;
  return wrong(refused, "lines",
               "has " + told(asked.line_count) + " entries; at most " + told(kLinesMost));
}

inline bool check_lines(const Asked& asked, const LineAsk* lines, Refused* refused) {
  for (std::uint32_t i = 0; i < asked.line_count; ++i) {
    const LineAsk& line = lines[i];
    if (line.sku_size - 1 >= kNameBytesMost || line.quantity < 1 ||
        line.quantity > kQuantityMost) {
      return wrong_line(refused, line, i);
    }
  }
  return true;
}

inline bool check_name(std::string_view text, int least, std::string_view field,
                       Refused* refused) {
  if (is_name(text, static_cast<std::size_t>(least))) return true;
  return wrong_size(refused, field, text.size(), least);
}

inline bool check_key(std::string_view text, std::string_view field, Key* key, Refused* refused) {
  if (read_key(text.data(), text.size(), key)) return true;
  return wrong(refused, field, "is no reservation id: 32 lower-case hexadecimal digits");
}

inline bool check_ttl(const Asked& asked, Checked* into, Refused* refused) {
  const std::int64_t nanos = asked.nanos;
  if (nanos <= -kSecond || nanos >= kSecond || (asked.seconds > 0 && nanos < 0) ||
      (asked.seconds < 0 && nanos > 0)) {
    return wrong(refused, "ttl",
                 "has nanos that are no fraction of a second, or of another sign than its seconds");
  }
  const __int128 ttl = static_cast<__int128>(asked.seconds) * kSecond + nanos;
  if (ttl <= 0) return wrong(refused, "ttl", "must be more than zero");
  if (ttl > INT64_MAX) return wrong(refused, "ttl", "is longer than 292 years");
  into->ttl = static_cast<std::int64_t>(ttl);
  return true;
}

inline bool check_expire_time(const Asked& asked, Checked* into, Refused* refused) {
  if (asked.nanos < 0 || asked.nanos >= kSecond) {
    return wrong(refused, "expire_time",
                 "has " + told(asked.nanos) + " nanos; 0 to 999999999 are allowed");
  }
  const __int128 time = static_cast<__int128>(asked.seconds) * kSecond + asked.nanos;
  if (time > INT64_MAX || time < -INT64_MAX) {
    return wrong(refused, "expire_time", "is outside the years 1678 to 2262");
  }
  // 0 is "not given" to the engine, and as far in the past.
  into->expire_time = time == 0 ? -1 : static_cast<std::int64_t>(time);
  return true;
}

inline bool check_expiration(const Asked& asked, Checked* into, Refused* refused) {
  into->ttl = 0;
  into->expire_time = 0;
  into->default_ttl = 0;
  if (asked.expiration == kTtl) return check_ttl(asked, into, refused);
  return asked.expiration == kNoExpiration || check_expire_time(asked, into, refused);
}

inline bool check_default(const Asked& asked, std::int64_t default_ttl, Checked* into,
                          Refused* refused) {
  if (asked.expiration != kNoExpiration) return true;
  if (default_ttl < 1) return wrong(refused, "ttl", "is missing, and there is no default");
  into->default_ttl = default_ttl;
  return true;
}

inline bool check_address(const Asked& asked, Checked* into, Refused* refused) {
  into->address_size = read_address(asked.client_ip.data(), asked.client_ip.size(), into->address);
  if (into->address_size != kNoAddress) return true;
  return wrong(refused, "client_ip", quoted(asked.client_ip) + " is no IPv4 or IPv6 address");
}

inline bool check_reserve(const Asked& asked, const LineAsk* lines, std::int64_t default_ttl,
                          Checked* into, Refused* refused) {
  if (!check_expiration(asked, into, refused) || !check_count(asked, refused)) return false;
  if (asked.line_count == 0) {
    return wrong(refused, "lines", "is empty; a basket has at least one line");
  }
  into->has_key = !asked.reservation.empty();
  return check_lines(asked, lines, refused) &&
         check_name(asked.request_id, 1, "request_id", refused) &&
         check_default(asked, default_ttl, into, refused) &&
         check_name(asked.customer_id, 0, "customer_id", refused) &&
         check_address(asked, into, refused) &&
         (!into->has_key ||
          check_key(asked.reservation, "replaces_reservation_id", &into->key, refused));
}

inline bool check_change(const Asked& asked, const LineAsk* lines, Checked* into,
                         Refused* refused) {
  if (!check_count(asked, refused) ||
      !check_key(asked.reservation, "reservation_id", &into->key, refused) ||
      !check_name(asked.request_id, 0, "request_id", refused) ||
      !check_lines(asked, lines, refused)) {
    return false;
  }
  into->ttl = 0;
  into->expire_time = 0;
  into->default_ttl = 0;
  if (asked.line_count == 0 || !asked.request_id.empty()) return true;
  return wrong(refused, "request_id", "is required with lines: a retry would repeat them");
}

inline bool check_extend(const Asked& asked, std::int64_t default_ttl, Checked* into,
                         Refused* refused) {
  return check_expiration(asked, into, refused) &&
         check_key(asked.reservation, "reservation_id", &into->key, refused) &&
         check_name(asked.request_id, 0, "request_id", refused) &&
         check_default(asked, default_ttl, into, refused);
}

inline bool check_skus(const Asked& asked, const LineAsk* skus, Refused* refused) {
  if (asked.line_count < 1 || asked.line_count > kLinesMost) {
    return wrong(refused, "skus", "has " + told(asked.line_count) + "; 1 to " + told(kLinesMost) +
                                      " are allowed");
  }
  for (std::uint32_t i = 0; i < asked.line_count; ++i) {
    if (skus[i].sku_size < 1 || skus[i].sku_size > kNameBytesMost) {
      return wrong_size(refused, "skus[" + told(i) + "]", skus[i].sku_size, 1);
    }
  }
  return true;
}

inline bool check_any(const Asked& asked, const LineAsk* lines, std::int64_t default_ttl,
                      Checked* into, Refused* refused) {
  switch (asked.kind) {
    case kAskedReserve:
      return check_reserve(asked, lines, default_ttl, into, refused);
    case kAskedCommit:
    case kAskedRelease:
      return check_change(asked, lines, into, refused);
    case kAskedExtend:
      return check_extend(asked, default_ttl, into, refused);
    case kAskedReservation:
      return check_key(asked.reservation, "reservation_id", &into->key, refused);
    case kAskedAvailability:
      return check_skus(asked, lines, refused);
    case kAskedNothing:
      break;
  }
  return wrong(refused, "command", "is missing; one of reserve, commit, release and extend");
}

}  // namespace detail

// False, and why, for a command that is not well-formed. `lines` are all that were kept.
inline bool check_asked(const Asked& asked, const LineRoom& lines, std::int64_t default_ttl,
                        Checked* into, Refused* refused) noexcept {
  try {
    return detail::check_any(asked, lines.data() + asked.first_line, default_ttl, into, refused);
  } catch (const std::bad_alloc&) {
    refuse_memory(refused);
    return false;
  }
}

inline void refuse_commands(Refused* refused, std::size_t count) noexcept {
  detail::filled(refused, [&] {
    refuse_field(refused, "commands",
                 "has " + std::to_string(count) + "; 1 to " + detail::told(kCommandsMost) +
                     " are allowed");
  });
}

// What only the engine sees: lines of one SKU that add up to too much, or a SKU named twice.
inline void refuse_sum(Refused* refused, std::uint32_t line) noexcept {
  detail::filled(refused, [&] {
    refuse_field(refused, "lines[" + detail::told(line) + "].quantity",
                 "brings its SKU to more than " + detail::told(kQuantityMost) +
                     " units over the whole basket");
  });
}

inline void refuse_second(Refused* refused, std::int64_t line) noexcept {
  detail::filled(refused, [&] {
    refuse_field(refused, "lines[" + detail::told(line) + "].sku", "is named twice");
  });
}

}  // namespace atp
