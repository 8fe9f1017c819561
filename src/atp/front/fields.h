// Goes over the fields of a protobuf message as protobuf's own decoders do: unknown fields of every
// wire type are skipped, groups too, and what no decoder would take is thrown as Malformed. Owns
// the wire format's rules beyond protozero's; knows no message.
#pragma once
#include <protozero/varint.hpp>

#include <string_view>

#include "atp/engine/text.h"

namespace atp {

struct Malformed {};

constexpr int kDepthMost = 100;  // messages and groups within each other

enum WireType : std::uint32_t {
  kVarint = 0,
  kFixed64 = 1,
  kBytes = 2,
  kGroup = 3,
  kGroupEnd = 4,
  kFixed32 = 5,
};

constexpr std::uint32_t field(std::uint32_t number, WireType type) { return number << 3 | type; }

#define ATP_INLINE [[gnu::always_inline]] inline

[[noreturn, gnu::cold, gnu::noinline]] inline void refuse_message() { throw Malformed{}; }

// Its common ways are inlined into whoever reads a message; what is rare is not.
class Fields {
 public:
  ATP_INLINE Fields(const char* data, std::size_t size, int depth = kDepthMost)
      : at_(data), end_(data + size), depth_(depth) {}

  // Goes to the next field; false at the end of the message.
  ATP_INLINE bool next() {
    if (at_ == end_) return false;
    found_ = read_tag();
    return true;
  }
  // The present field's number and wire type, as field() says them. Whoever knows both takes its
  // value, once; everybody else skips it.
  ATP_INLINE std::uint32_t found() const { return found_; }

  ATP_INLINE std::uint64_t varint() {
    if (at_ != end_ && static_cast<signed char>(*at_) >= 0) {
      return static_cast<unsigned char>(*at_++);
    }
    return read_varint();
  }
  ATP_INLINE std::string_view bytes() {
    if (at_ == end_) refuse_message();
    const std::size_t size = read_small(INT32_MAX);
    if (size > static_cast<std::size_t>(end_ - at_)) refuse_message();
    const std::string_view view(at_, size);
    at_ += size;
    return view;
  }
  ATP_INLINE std::string_view text() {
    const std::string_view view = bytes();
    if (!is_text(view.data(), view.size())) refuse_message();
    return view;
  }
  ATP_INLINE Fields message() {
    if (depth_ == 0) refuse_message();
    const std::string_view view = bytes();
    return Fields(view.data(), view.size(), depth_ - 1);
  }
  [[gnu::noinline]] void skip() { skip_value(found_, depth_); }

 private:
  ATP_INLINE std::uint32_t read_tag() {
    const std::uint32_t tag = read_small(UINT32_MAX);
    if (tag < 8) refuse_message();  // there is no field 0
    return tag;
  }
  // A head or a length: of five bytes at most, whatever its value. There is a byte.
  ATP_INLINE std::uint32_t read_small(std::uint32_t most) {
    const auto first = static_cast<unsigned char>(*at_);
    if (first >= 0x80) return read_long(most);
    ++at_;
    return first;
  }
  [[gnu::noinline]] std::uint32_t read_long(std::uint32_t most) {
    std::uint64_t number = 0;
    for (unsigned shift = 0; shift < 35 && at_ != end_; shift += 7) {
      const std::uint64_t byte = static_cast<unsigned char>(*at_++);
      number |= (byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      if (number > most) break;
      return static_cast<std::uint32_t>(number);
    }
    refuse_message();
  }
  [[gnu::noinline]] std::uint64_t read_varint() { return protozero::decode_varint(&at_, end_); }
  void skip_bytes(std::size_t size) {
    if (size > static_cast<std::size_t>(end_ - at_)) refuse_message();
    at_ += size;
  }
  void skip_value(std::uint32_t tag, int depth) {
    switch (tag & 7) {
      case kVarint:
        varint();
        return;
      case kFixed64:
        return skip_bytes(8);
      case kBytes:
        bytes();
        return;
      case kGroup:
        return skip_group(tag, depth);
      case kFixed32:
        return skip_bytes(4);
      default:
        refuse_message();
    }
  }
  // Up to the end of the same number; at most kDepthMost within each other.
  void skip_group(std::uint32_t tag, int depth) {
    if (depth == 0) refuse_message();
    while (at_ != end_) {
      const std::uint32_t inner = read_tag();
      if ((inner & 7) == kGroupEnd) {
        if (inner >> 3 != tag >> 3) break;
        return;
      }
      skip_value(inner, depth - 1);
    }
    refuse_message();
  }

  const char* at_;
  const char* end_;
  std::uint32_t found_ = 0;
  int depth_;
};

}  // namespace atp
