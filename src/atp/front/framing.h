// gRPC's framing: every message has a prefix of five bytes, whether it is compressed and its
// length, and lies in DATA frames as it happens to be cut. Owns reading and writing the prefix;
// keeps nothing.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace atp {

constexpr std::size_t kPrefix = 5;

enum Framed : int {
  kPartly,      // more bytes are to come
  kWhole,       // exactly one message, or with more behind it
  kCompressed,
  kTooLarge,
};

inline std::size_t message_size(const char* prefix) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(prefix);
  return std::size_t{bytes[1]} << 24 | bytes[2] << 16 | bytes[3] << 8 | bytes[4];
}

// What lies at the start of these bytes.
inline Framed frame_at(const char* data, std::size_t size, std::size_t message_most) {
  if (size < kPrefix) return kPartly;
  if (data[0] != 0) return kCompressed;
  const std::size_t whole = message_size(data);
  if (whole > message_most) return kTooLarge;
  return size - kPrefix >= whole ? kWhole : kPartly;
}

inline void write_prefix(char* to, std::size_t size) {
  to[0] = 0;
  to[1] = static_cast<char>(size >> 24);
  to[2] = static_cast<char>(size >> 16);
  to[3] = static_cast<char>(size >> 8);
  to[4] = static_cast<char>(size);
}

// Copies what fits of a message and its prefix, from `sent` bytes on; returns how much that was.
inline std::size_t copy_framed(const char* message, std::size_t size, std::size_t sent, char* to,
                               std::size_t room) {
  char* const begin = to;
  if (sent < kPrefix) {
    char prefix[kPrefix];
    write_prefix(prefix, size);
    const std::size_t part = room < kPrefix - sent ? room : kPrefix - sent;
    std::memcpy(to, prefix + sent, part);
    to += part;
    room -= part;
    sent += part;
    if (sent < kPrefix) return part;
  }
  const std::size_t left = size - (sent - kPrefix);
  const std::size_t part = room < left ? room : left;
  if (part) std::memcpy(to, message + (sent - kPrefix), part);
  return static_cast<std::size_t>(to - begin) + part;
}

}  // namespace atp
