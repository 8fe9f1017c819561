// Whether the server itself said that it did not do what was asked: the google.rpc.Status in a
// call's trailers carries ErrorInfo of the server's domain; and what a reset instead of trailers
// stands for. Only reads; what that means for a call is for whoever audits.
#pragma once
#include <array>
#include <cstdint>
#include <protozero/pbf_reader.hpp>
#include <string>
#include <string_view>

namespace atp::load {

inline constexpr std::string_view kErrorInfo = "type.googleapis.com/google.rpc.ErrorInfo";
inline constexpr std::string_view kDomain = "atp";

// gRPC's status for a stream that was reset (gRPC over HTTP/2, "Errors"); below 0: it has none.
inline int status_of_reset(std::uint32_t http2_error) {
  constexpr int kUnmapped = -1, kCancelled = 1, kDenied = 7, kExhausted = 8, kInternal = 13,
                kUnavailable = 14;
  switch (http2_error) {
    case 5:  // STREAM_CLOSED
      return kUnmapped;
    case 7:  // REFUSED_STREAM: nothing was done; a server that has just lowered its bound says so
      return kUnavailable;
    case 8:  // CANCEL
      return kCancelled;
    case 11:  // ENHANCE_YOUR_CALM
      return kExhausted;
    case 12:  // INADEQUATE_SECURITY
      return kDenied;
    default:
      return http2_error <= 13 ? kInternal : kUnmapped;
  }
}

// The bytes that base64 stands for, padded or not; what is no base64 ends them.
inline std::string bytes_of_base64(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char digit : text) {
    const std::size_t value = kDigits.find(digit);
    if (value == std::string_view::npos) break;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) bytes.push_back(static_cast<char>(bits >> (count -= 8)));
  }
  return bytes;
}

// `details` is the text of the trailer grpc-status-details-bin.
inline bool is_refusal(std::string_view details) {
  using protozero::pbf_wire_type;
  if (details.empty()) return false;
  const std::string bytes = bytes_of_base64(details);
  try {
    protozero::pbf_reader status(bytes);
    while (status.next(3, pbf_wire_type::length_delimited)) {
      auto any = status.get_message();
      std::string_view type, value;
      while (any.next()) {
        if (any.tag_and_type() == protozero::tag_and_type(1, pbf_wire_type::length_delimited)) {
          const auto view = any.get_view();
          type = {view.data(), view.size()};
        } else if (any.tag_and_type() ==
                   protozero::tag_and_type(2, pbf_wire_type::length_delimited)) {
          const auto view = any.get_view();
          value = {view.data(), view.size()};
        } else {
          any.skip();
        }
      }
      if (type != kErrorInfo) continue;
      protozero::pbf_reader info(value.data(), value.size());
      while (info.next(2, pbf_wire_type::length_delimited)) {
        const auto domain = info.get_view();
        if (std::string_view(domain.data(), domain.size()) == kDomain) return true;
      }
    }
  } catch (const protozero::exception&) {
    return false;
  }
  return false;
}

}  // namespace atp::load
