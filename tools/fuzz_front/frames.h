// HTTP/2 as a client speaks it, frame by frame, so that each can be bent: sessions of valid gRPC
// calls, and steps away from them. Writes HPACK without compression, reads nothing.
#pragma once
#include "valid.h"

namespace atp::fuzz {

inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
inline constexpr int kFrameTypes = 10;
enum : std::uint8_t {
  kData, kHeaders, kPriority, kReset, kSettings, kPush, kPing, kGoaway, kWindow, kContinuation
};
inline constexpr std::uint8_t kEndStream = 1;
inline constexpr std::uint8_t kEndHeaders = 4;

struct Frame {
  std::uint8_t type = kData;
  std::uint8_t flags = 0;
  std::uint32_t stream = 0;
  std::string body{};
  std::int64_t size_lie = 0;
};

inline std::string big_endian(std::uint64_t value, std::size_t bytes) {
  std::string out(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i) {
    out[bytes - 1 - i] = static_cast<char>(value >> (8 * i));
  }
  return out;
}

inline void put_frame(std::string& out, const Frame& frame) {
  out += big_endian(static_cast<std::uint64_t>(
      static_cast<std::int64_t>(frame.body.size()) + frame.size_lie), 3);
  out.push_back(static_cast<char>(frame.type));
  out.push_back(static_cast<char>(frame.flags));
  out += big_endian(frame.stream, 4);
  out += frame.body;
}

inline std::string written(const std::vector<Frame>& frames) {
  std::string out(kPreface);
  for (const Frame& frame : frames) put_frame(out, frame);
  return out;
}

inline void put_hpack_text(std::string& out, std::string_view text) {
  if (text.size() < 127) {
    out.push_back(static_cast<char>(text.size()));
  } else {
    out.push_back(127);
    put_varint(out, text.size() - 127);
  }
  out += text;
}

// The frames of a session, as far as they are whole; false when it has another start.
inline bool take_frames(std::string_view session, std::vector<Frame>& frames) {
  if (!session.starts_with(kPreface)) return false;
  session.remove_prefix(kPreface.size());
  while (session.size() >= 9) {
    const auto* head = reinterpret_cast<const std::uint8_t*>(session.data());
    const std::size_t size = std::size_t{head[0]} << 16 | head[1] << 8 | head[2];
    const std::uint32_t stream = std::uint32_t{head[5]} << 24 | head[6] << 16 | head[7] << 8 |
                                 head[8];
    frames.push_back({head[3], head[4], stream, std::string(session.substr(9, size))});
    session.remove_prefix(std::min(session.size(), 9 + size));
  }
  return !frames.empty();
}

// A literal field that is not indexed, or (`indexed`) one that fills the table.
inline void put_field(std::string& out, std::string_view name, std::string_view value,
                      bool indexed = false) {
  out.push_back(indexed ? 0x40 : 0x00);
  put_hpack_text(out, name);
  put_hpack_text(out, value);
}

inline std::string path_of(int method, Dice& dice) {
  static const std::string kNames[] = {"Reserve", "Commit", "Release", "Extend", "GetReservation",
                                       "GetAvailability", "Execute"};
  if (dice.one_in(20)) return "/grpc.health.v1.Health/Check";
  if (dice.one_in(40)) return "/grpc.health.v1.Health/Watch";
  if (dice.one_in(40)) return "/atp.v1.ReservationService/Unknown";
  return "/atp.v1.ReservationService/" + kNames[method];
}

inline std::string header_block(int method, Dice& dice) {
  static const std::string kTimeouts[] = {"1S", "100m", "99999999H", "1n", "0S", "", "1", "S",
                                          "-1S", "123456789S", "5000000u"};
  std::string out;
  put_field(out, ":method", dice.one_in(60) ? "GET" : "POST");
  put_field(out, ":scheme", "http", dice.one_in(4));
  put_field(out, ":path", path_of(method, dice), dice.one_in(4));
  if (!dice.one_in(60)) put_field(out, ":authority", "localhost");
  static const std::string kTypes[] = {"application/grpc+proto", "application/grpcx", "text/html"};
  put_field(out, "content-type", dice.one_in(30) ? dice.of(kTypes) : "application/grpc");
  if (!dice.one_in(20)) put_field(out, "te", "trailers");
  if (dice.one_in(10)) put_field(out, "grpc-timeout", dice.of(kTimeouts));
  if (dice.one_in(20)) put_field(out, "grpc-encoding", dice.one_in(2) ? "gzip" : "identity");
  if (dice.one_in(20)) put_field(out, "x-data-bin", odd_text(dice), true);
  if (dice.one_in(200)) put_field(out, "x-long", std::string(dice.below(30000), 'y'), true);
  return out;
}

inline std::string framed(std::string_view message, std::uint8_t compressed = 0,
                          std::int64_t size_lie = 0) {
  std::string out(1, static_cast<char>(compressed));
  out += big_endian(static_cast<std::uint64_t>(
      static_cast<std::int64_t>(message.size()) + size_lie), 4);
  out += message;
  return out;
}

// The bytes of a call's messages, told in frames of odd sizes.
inline void add_data(std::vector<Frame>& frames, std::uint32_t stream, std::string_view bytes,
                     Dice& dice) {
  do {
    const std::size_t size = dice.one_in(3) ? dice.below(bytes.size() + 1) : bytes.size();
    const auto part = std::min<std::size_t>(size, 16384);
    frames.push_back({kData, 0, stream, std::string(bytes.substr(0, part))});
    bytes.remove_prefix(part);
  } while (!bytes.empty());
  if (!dice.one_in(20)) frames.back().flags = kEndStream;
}

inline void add_headers(std::vector<Frame>& frames, std::uint32_t stream, std::string block,
                        Dice& dice) {
  std::uint8_t type = kHeaders;
  while (block.size() > 16384 || (dice.one_in(12) && !block.empty())) {
    const std::size_t part = std::min<std::size_t>(1 + dice.below(block.size()), 16384);
    frames.push_back({type, 0, stream, block.substr(0, part)});
    block.erase(0, part);
    type = kContinuation;
  }
  frames.push_back({type, kEndHeaders, stream, std::move(block)});
}

// How one message of a call is put into its body.
using Framing = std::string (*)(std::string message, Dice& dice);

inline std::string whole(std::string message, Dice&) { return framed(message); }

// gRPC's five bytes, wrong in every way; or right around another number of messages.
inline std::string bent_framing(std::string message, Dice& dice) {
  switch (dice.below(8)) {
    case 0:
      return framed(message, static_cast<std::uint8_t>(dice.one_in(2) ? 1 : dice.next()));
    case 1:
      return framed(message, 0, static_cast<std::int64_t>(dice.below(9)) - 4);
    case 2:
      return framed(message, 0, static_cast<std::int64_t>(edge(dice)));
    case 3:
      return "";
    case 4:
      return framed(message).substr(0, dice.below(message.size() + 6));
    case 5:
      return framed(message) + framed(dice.one_in(2) ? message : "");
    case 6:
      return framed(message) + dice.bytes(1 + dice.below(8));
    default: {
      std::string bent = framed(message);
      mutate_bytes(bent, message, dice);
      return bent;
    }
  }
}

inline void add_call(std::vector<Frame>& frames, std::uint32_t stream, const World& world,
                     Framing framing, bool bent, Dice& dice) {
  const int method = static_cast<int>(dice.below(kMethods));
  add_headers(frames, stream, header_block(method, dice), dice);
  std::string body;
  const std::size_t messages = method == kExecute ? dice.below(4) : 1;
  for (std::size_t i = 0; i < messages; ++i) {
    std::string message = valid_request(method, world, dice);
    if (bent) message = mutate_message(message, "", dice);
    body += framing(std::move(message), dice);
  }
  if (dice.one_in(300)) body += std::string(dice.below(200000), 'z');
  add_data(frames, stream, body, dice);
}

inline void add_control(std::vector<Frame>& frames, std::uint32_t stream, Dice& dice) {
  switch (dice.below(5)) {
    case 0:
      frames.push_back({kPing, 0, 0, dice.bytes(8)});
      break;
    case 1:
      frames.push_back(
          {kWindow, 0, dice.one_in(2) ? 0 : stream, big_endian(1 + dice.below(70000), 4)});
      break;
    case 2:
      frames.push_back({kReset, 0, stream, big_endian(8, 4)});
      break;
    case 3:
      frames.push_back({kPriority, 0, stream, big_endian(0, 4) + "\x10"});
      break;
    default:
      frames.push_back({kSettings, 0, 0, big_endian(4, 2) + big_endian(dice.below(100000), 4)});
  }
}

// A session as a client means it: settings, some calls, and what else a connection carries.
inline std::vector<Frame> valid_session(const World& world, Framing framing, bool bent,
                                        Dice& dice) {
  std::vector<Frame> frames = {{kSettings, 0, 0, ""}};
  if (dice.one_in(3)) frames[0].body = big_endian(4, 2) + big_endian(dice.below(3) * 100, 4);
  if (dice.one_in(2)) frames.push_back({kSettings, 1, 0, ""});
  const std::size_t calls = 1 + dice.below(4);
  for (std::uint32_t i = 0; i < calls; ++i) {
    add_call(frames, 2 * i + 1, world, framing, bent && dice.one_in(2), dice);
    if (dice.one_in(4)) add_control(frames, 2 * i + 1, dice);
  }
  return frames;
}

inline void mutate_frame(Frame& frame, Dice& dice) {
  switch (dice.below(7)) {
    case 0:
      frame.type =
          static_cast<std::uint8_t>(dice.one_in(6) ? dice.next() : dice.below(kFrameTypes));
      break;
    case 1:
      frame.flags = static_cast<std::uint8_t>(dice.next());
      break;
    case 2:
      frame.stream = static_cast<std::uint32_t>(dice.one_in(2) ? dice.below(12) : edge(dice));
      break;
    case 3:
      frame.size_lie = dice.one_in(2) ? static_cast<std::int64_t>(dice.below(9)) - 4
                                      : static_cast<std::int64_t>(edge(dice));
      break;
    case 4:
      frame.body = dice.bytes(dice.below(40));
      break;
    default:
      mutate_bytes(frame.body, kPreface, dice);
  }
}

// One step away: frames lost, repeated, out of order, made up, or bent.
inline void mutate_frames(std::vector<Frame>& frames, Dice& dice) {
  const std::size_t at = dice.below(frames.size());
  const auto place = frames.begin() + static_cast<std::ptrdiff_t>(at);
  switch (dice.below(7)) {
    case 0:
      if (frames.size() > 1) frames.erase(place);
      break;
    case 1: {
      const std::size_t times = dice.one_in(200) ? dice.below(3000) : 1 + dice.below(3);
      frames.insert(place, times, Frame(frames[at]));
      break;
    }
    case 2:
      std::swap(frames[at], frames[dice.below(frames.size())]);
      break;
    case 3: {
      Frame made{static_cast<std::uint8_t>(dice.below(kFrameTypes + 2)),
                 static_cast<std::uint8_t>(dice.next()),
                 static_cast<std::uint32_t>(dice.below(9)), dice.bytes(dice.below(20))};
      frames.insert(place, std::move(made));
      break;
    }
    case 4:
      add_control(frames, static_cast<std::uint32_t>(dice.below(9)), dice);
      break;
    default:
      mutate_frame(frames[at], dice);
  }
}

}  // namespace atp::fuzz
