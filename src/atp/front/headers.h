// The header blocks of answers: gRPC's status in trailers, alone or after messages, and HTTP's own
// refusals of what is no gRPC. Owns their text: percent-encoding, base64, and which never changes
// and so is never copied. Decides no status.
#pragma once
#include <nghttp2/nghttp2.h>

#include <string>
#include <string_view>

#include "answer.h"

namespace atp {

inline nghttp2_nv header(std::string_view name, std::string_view value, int flags) {
  auto* const name_at = reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data()));
  auto* const value_at = reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data()));
  return {name_at, value_at, name.size(), value.size(), static_cast<std::uint8_t>(flags)};
}
// Both live as long as the program.
inline nghttp2_nv lasting(std::string_view name, std::string_view value) {
  return header(name, value, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE);
}

// As the protocol says for grpc-message: space to tilde, but not %.
inline std::string percent_encoded(const std::string& text) {
  constexpr char digits[] = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size() + 16);
  for (const char character : text) {
    const auto byte = static_cast<std::uint8_t>(character);
    if (byte >= 0x20 && byte <= 0x7e && byte != '%') {
      encoded += character;
    } else {
      encoded += {'%', digits[byte >> 4], digits[byte & 15]};
    }
  }
  return encoded;
}

// Without padding, as gRPC wants binary metadata to be sent.
inline std::string base64(const std::string& data) {
  constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string encoded;
  encoded.reserve(data.size() * 4 / 3 + 4);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char character : data) {
    bits = bits << 8 | static_cast<std::uint8_t>(character);
    for (count += 8; count >= 6; count -= 6) encoded += digits[bits >> (count - 6) & 63];
  }
  if (count) encoded += digits[bits << (6 - count) & 63];
  return encoded;
}

inline int submit_answer(nghttp2_session* session, std::int32_t stream,
                         const nghttp2_data_provider* provider) {
  static const nghttp2_nv head[] = {lasting(":status", "200"),
                                    lasting("content-type", "application/grpc")};
  return nghttp2_submit_response(session, stream, head, std::size(head), provider);
}

inline int submit_ok(nghttp2_session* session, std::int32_t stream) {
  static const nghttp2_nv trailers[] = {lasting("grpc-status", "0")};
  return nghttp2_submit_trailer(session, stream, trailers, std::size(trailers));
}

// An error that many calls are answered with: its text is encoded once, and never copied.
struct Refusal {
  std::string code;
  std::string text;
  std::string details;
  int number = 0;

  void take(const Answer& answer) {
    number = answer.code;
    code = std::to_string(answer.code);
    text = percent_encoded(answer.text);
    details = base64(answer.details);
  }
};

inline int submit_refusal(nghttp2_session* session, std::int32_t stream, const Refusal& refusal) {
  const nghttp2_nv fields[] = {
      lasting(":status", "200"), lasting("content-type", "application/grpc"),
      lasting("grpc-status", refusal.code), lasting("grpc-message", refusal.text),
      lasting("grpc-status-details-bin", refusal.details)};
  return nghttp2_submit_response(session, stream, fields, std::size(fields), nullptr);
}

// The status of an error: alone, or as trailers after what has been sent already.
inline int submit_error(nghttp2_session* session, std::int32_t stream, const Answer& answer,
                        bool alone) {
  const std::string code = std::to_string(answer.code);
  const std::string text = percent_encoded(answer.text);
  const std::string details = base64(answer.details);
  nghttp2_nv fields[6];
  std::size_t count = 0;
  if (alone) {
    fields[count++] = lasting(":status", "200");
    fields[count++] = lasting("content-type", "application/grpc");
  }
  constexpr int named = NGHTTP2_NV_FLAG_NO_COPY_NAME;
  fields[count++] = header("grpc-status", code, named);
  if (!text.empty()) fields[count++] = header("grpc-message", text, named);
  if (!details.empty()) fields[count++] = header("grpc-status-details-bin", details, named);
  if (!alone) return nghttp2_submit_trailer(session, stream, fields, count);
  if (answer.code == 12) fields[count++] = lasting("grpc-accept-encoding", "identity");
  return nghttp2_submit_response(session, stream, fields, count, nullptr);
}

// To what is no gRPC call at all, with gRPC's status for clients that look for one.
inline int submit_http_error(nghttp2_session* session, std::int32_t stream, int status) {
  const std::string text = std::to_string(status);
  const nghttp2_nv fields[] = {
      header(":status", text, NGHTTP2_NV_FLAG_NO_COPY_NAME),
      status == 405 ? lasting("allow", "POST") : lasting("accept", "application/grpc"),
      lasting("grpc-status", "2"),
      status == 405 ? lasting("grpc-message", "gRPC calls are POST requests")
                    : lasting("grpc-message", "gRPC calls have a content-type application/grpc")};
  return nghttp2_submit_response(session, stream, fields, std::size(fields), nullptr);
}

}  // namespace atp
