// HTTP/2 frames as a client of gRPC needs them: heads read and written, and the names of what is in
// them. Owns the layout of RFC 9113, section 4 and 6; knows no connection and no header block.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace atp::load {

enum FrameType : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kResetStream = 3,
  kSettings = 4,
  kPushPromise = 5,
  kPing = 6,
  kGoaway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};
enum FrameFlag : std::uint8_t {
  kEndStream = 0x1,
  kAck = 0x1,
  kEndHeaders = 0x4,
  kPadded = 0x8,
  kWithPriority = 0x20,
};
enum SettingName : std::uint16_t {
  kHeaderTableSize = 1,
  kMaxConcurrentStreams = 3,
  kInitialWindowSize = 4,
};

inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
inline constexpr std::size_t kHeadBytes = 9;
inline constexpr std::size_t kFrameBytesMax = 16384;  // what each side may send unasked
inline constexpr std::size_t kPrefixBytes = 5;        // gRPC's, before a message
inline constexpr std::int64_t kFirstWindow = 65535;
inline constexpr std::int64_t kWindowMax = 0x7fffffff;

struct FrameHead {
  std::size_t size;
  std::uint8_t type;
  std::uint8_t flags;
  std::uint32_t stream;
};

inline std::uint32_t read_u32(const char* at) {
  std::uint32_t value;
  __builtin_memcpy(&value, at, 4);
  return __builtin_bswap32(value);
}

inline void write_u32(char* at, std::uint32_t value) {
  value = __builtin_bswap32(value);
  __builtin_memcpy(at, &value, 4);
}

inline FrameHead read_head(const char* at) {
  const std::uint32_t size_and_type = read_u32(at);
  return FrameHead{size_and_type >> 8, static_cast<std::uint8_t>(size_and_type),
                   static_cast<std::uint8_t>(at[4]), read_u32(at + 5) & 0x7fffffffu};
}

inline void write_head(char* at, std::size_t size, FrameType type, std::uint8_t flags,
                       std::uint32_t stream) {
  write_u32(at, static_cast<std::uint32_t>(size << 8 | type));
  at[4] = static_cast<char>(flags);
  write_u32(at + 5, stream);
}

inline void append_frame(std::string* out, FrameType type, std::uint8_t flags,
                         std::uint32_t stream, std::string_view payload) {
  char head[kHeadBytes];
  write_head(head, payload.size(), type, flags, stream);
  out->append(head, sizeof head).append(payload);
}

inline void append_window_update(std::string* out, std::uint32_t stream, std::int64_t more) {
  char payload[4];
  write_u32(payload, static_cast<std::uint32_t>(more));
  append_frame(out, kWindowUpdate, 0, stream, {payload, sizeof payload});
}

// The payload without what padding and priority put around it; false: it is shorter than they say.
inline bool strip(const FrameHead& head, std::string_view* payload) {
  std::size_t padding = 0;
  if (head.flags & kPadded) {
    if (payload->empty()) return false;
    padding = static_cast<std::uint8_t>((*payload)[0]);
    payload->remove_prefix(1);
  }
  if (head.type == kHeaders && (head.flags & kWithPriority)) {
    if (payload->size() < 5) return false;
    payload->remove_prefix(5);
  }
  if (payload->size() < padding) return false;
  payload->remove_suffix(padding);
  return true;
}

}  // namespace atp::load
