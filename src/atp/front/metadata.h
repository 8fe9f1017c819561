// What a call's header block says: its method, its deadline, whether it is gRPC at all. Owns the
// names that matter; everything else that a client sends is passed over.
#pragma once
#include <cstdint>
#include <string_view>

#include "call.h"

namespace atp {

constexpr std::string_view kService = "/atp.v1.ReservationService/";
constexpr std::string_view kHealth = "/grpc.health.v1.Health/";
constexpr std::string_view kMethodNames[] = {
    "Reserve", "Commit", "Release", "Extend", "GetReservation", "GetAvailability", "Execute"};
static_assert(std::size(kMethodNames) == kHealthCheck);

// Not std::string_view's comparison: the length is known to be equal, and mostly is not.
inline bool same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

inline std::uint8_t method_of(std::string_view path) {
  if (path.starts_with(kService)) {
    path.remove_prefix(kService.size());
    for (std::uint8_t method = 0; method < std::size(kMethodNames); ++method) {
      if (same(path, kMethodNames[method])) return method;
    }
  } else if (path.starts_with(kHealth)) {
    path.remove_prefix(kHealth.size());
    if (same(path, "Check")) return kHealthCheck;
    if (same(path, "Watch")) return kHealthWatch;
  }
  return kNoMethod;
}

// Nanoseconds of a grpc-timeout, as "250m"; -1: it is none.
inline std::int64_t timeout_of(std::string_view text) {
  if (text.size() < 2 || text.size() > 9) return -1;
  std::int64_t number = 0;
  for (const char digit : text.substr(0, text.size() - 1)) {
    if (digit < '0' || digit > '9') return -1;
    number = number * 10 + (digit - '0');
  }
  std::int64_t unit = 0;
  switch (text.back()) {
    case 'H': unit = 3'600'000'000'000; break;
    case 'M': unit = 60'000'000'000; break;
    case 'S': unit = 1'000'000'000; break;
    case 'm': unit = 1'000'000; break;
    case 'u': unit = 1'000; break;
    case 'n': unit = 1; break;
    default: return -1;
  }
  constexpr std::int64_t most = kNever / 4;  // later than ever, and sums fit
  return number > most / unit ? most : number * unit;
}

// application/grpc, with a subtype of protobuf's or parameters.
inline bool is_grpc(std::string_view type) {
  constexpr std::string_view grpc = "application/grpc";
  if (!type.starts_with(grpc)) return false;
  type.remove_prefix(grpc.size());
  return type.empty() || type[0] == ';' || type[0] == '+';
}

// One field of the block. The names that matter have lengths of their own.
inline void take_field(Call* call, const char* name_at, std::size_t name_size,
                       const char* value_at, std::size_t value_size, std::int64_t now) {
  const std::string_view name(name_at, name_size);
  const std::string_view value(value_at, value_size);
  switch (name_size) {
    case 5:
      if (same(name, ":path")) call->method = method_of(value);
      return;
    case 7:
      if (same(name, ":method")) call->is_post = same(value, "POST");
      return;
    case 12:
      if (same(name, "content-type")) {
        call->is_grpc = is_grpc(value);
      } else if (same(name, "grpc-timeout")) {
        const std::int64_t timeout = timeout_of(value);
        call->is_timeout_bad = timeout < 0;
        if (timeout >= 0) call->deadline = now + timeout;
      }
      return;
    default:
      return;
  }
}

}  // namespace atp
