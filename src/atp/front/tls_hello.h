// How long a client says its ClientHello is, told from the bytes of the wire as they come: OpenSSL
// makes room for all of it, up to 128 KiB and half as much beside it, as soon as four bytes say so.
// Reads records and the heads of messages (RFC 8446, 4 and 5.1) that are in the clear, and judges
// nothing else of them.
#pragma once
#include <openssl/ssl3.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace atp {

// To be asked as long as another ClientHello may come: until TLS 1.2 was agreed on, whose next
// handshake messages may be encrypted and look like anything, or the handshake is done.
class HelloBound {
 public:
  // Real ones have some hundred bytes, with keys that outlive quantum computers some two thousand.
  static constexpr std::uint32_t kBytesMax = 16 * 1024;

  // More has come. False: a ClientHello is longer than that.
  bool take(const std::uint8_t* data, std::size_t size) {
    while (size && !is_over_) {
      const std::size_t taken = in_record_ ? take_payload(data, size) : take_head(*data);
      if (is_too_long_) return false;
      data += taken;
      size -= taken;
    }
    return true;
  }

 private:
  static constexpr std::size_t kRecordHead = 5, kSizeAt = 3, kMessageHead = 4;

  // A byte of a record's head: its type, two bytes of a version, two of its size.
  std::size_t take_head(std::uint8_t byte) {
    if (head_at_ == 0) type_ = byte;
    if (head_at_ >= kSizeAt) record_ = record_ << 8 | byte;
    if (++head_at_ < kRecordHead) return 1;
    in_record_ = record_;
    record_ = 0;
    head_at_ = 0;
    return 1;
  }

  std::size_t take_payload(const std::uint8_t* data, std::size_t size) {
    const std::size_t here = std::min<std::size_t>(size, in_record_);
    if (type_ == SSL3_RT_HANDSHAKE) take_messages(data, here);
    in_record_ -= static_cast<std::uint32_t>(here);
    return here;
  }

  void take_messages(const std::uint8_t* data, std::size_t size) {
    while (size && !is_over_ && !is_too_long_) {
      if (in_message_) {
        const std::size_t here = std::min<std::size_t>(size, in_message_);
        in_message_ -= static_cast<std::uint32_t>(here);
        data += here;
        size -= here;
        continue;
      }
      if (message_at_ == 0) is_over_ = *data != SSL3_MT_CLIENT_HELLO;
      if (message_at_ > 0) message_ = message_ << 8 | *data;
      ++data;
      --size;
      if (++message_at_ < kMessageHead) continue;
      is_too_long_ = message_ > kBytesMax;
      in_message_ = message_;
      message_ = 0;
      message_at_ = 0;
    }
  }

  bool is_over_ = false;  // another message has come: OpenSSL will say what is wrong
  bool is_too_long_ = false;
  std::uint8_t type_ = 0;
  std::uint8_t head_at_ = 0;
  std::uint8_t message_at_ = 0;
  std::uint32_t record_ = 0;     // its size, as far as it is known
  std::uint32_t in_record_ = 0;  // bytes left
  std::uint32_t message_ = 0;
  std::uint32_t in_message_ = 0;  // bytes left
};

}  // namespace atp
