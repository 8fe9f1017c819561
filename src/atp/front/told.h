// Writes protobuf backwards, from a message's last byte to its first: a nested message's length is
// known when its head is written, so nothing is measured beforehand and nothing is moved. Fields
// are put in falling order of their numbers, and what is empty or 0 is left out, so that the bytes
// are those of protobuf's own writers. Owns the room written to; knows no message.
#pragma once
#include <cstdlib>
#include <utility>

#include "atp/engine/events.h"
#include "atp/engine/text.h"
#include "atp/front/answer.h"

namespace atp {

constexpr std::size_t kRoomKept = std::size_t{1} << 20;  // bytes of each room that stay with it

namespace detail {

// Copies text that is short: names have at most 64 bytes.
inline void copy_short(char* into, const char* from, std::size_t size) {
  if (size >= 16) {
    // The last sixteen may overlap those before.
    for (std::size_t i = 0; i + 16 < size; i += 16) std::memcpy(into + i, from + i, 16);
    std::memcpy(into + size - 16, from + size - 16, 16);
  } else if (size >= 8) {
    const auto last = word_at<std::uint64_t>(from + size - 8);
    std::memcpy(into, from, 8);
    std::memcpy(into + size - 8, &last, 8);
  } else {
    for (std::size_t i = 0; i < size; ++i) into[i] = from[i];
  }
}

}  // namespace detail

class Out {
 public:
  Out() = default;
  Out(const Out&) = delete;
  Out& operator=(const Out&) = delete;
  ~Out() { std::free(begin_); }

  // Begins a message of at most so many bytes; false when memory is short.
  bool open(std::size_t most) {
    if (most > room_ && !widen(most)) return false;
    at_ = end_ = begin_ + room_;
    return true;
  }
  // Gives memory back that is more than is commonly needed.
  void close() {
    if (room_ <= kRoomKept) return;
    std::free(begin_);
    begin_ = at_ = end_ = nullptr;
    room_ = 0;
  }
  void swap(Out& other) noexcept {
    std::swap(begin_, other.begin_);
    std::swap(at_, other.at_);
    std::swap(end_, other.end_);
    std::swap(room_, other.room_);
  }
  const char* data() const { return at_; }
  std::size_t size() const { return static_cast<std::size_t>(end_ - at_); }

  // What was written last is the content of a nested message that ends where size() was `before`.
  void nest(unsigned number, std::size_t before) {
    put_varint(size() - before);
    put_head(number, 2);
  }
  void number(unsigned number, std::int64_t value) {
    if (value == 0) return;
    put_varint(static_cast<std::uint64_t>(value));
    put_head(number, 0);
  }
  void text(unsigned number, const char* text, std::size_t size) {
    if (size == 0) return;
    at_ -= size;
    detail::copy_short(at_, text, size);
    put_varint(size);
    put_head(number, 2);
  }
  void key(unsigned number, const Key* key) {
    at_ -= kKeyText;
    write_key_text(key, at_);
    *--at_ = static_cast<char>(kKeyText);
    put_head(number, 2);
  }
  // A google.protobuf.Timestamp, by nanoseconds since the Unix epoch.
  void time(unsigned number, std::int64_t nanoseconds) {
    constexpr std::int64_t second = 1000000000;
    const std::size_t before = size();
    std::int64_t seconds = nanoseconds / second;
    std::int64_t rest = nanoseconds % second;
    if (rest < 0) {
      rest += second;
      --seconds;
    }
    this->number(2, rest);
    this->number(1, seconds);
    nest(number, before);
  }
  void address(unsigned number, const std::uint8_t* address, unsigned size) {
    if (size == 0) return;
    char shown[kAddressText + 1];
    text(number, shown, write_address(address, size, shown));
  }
  void subject(unsigned number, bool is_name, int prefix, const std::uint8_t* subject,
               unsigned size) {
    char shown[kSubjectText];
    text(number, shown, write_subject(is_name, prefix, subject, size, shown));
  }

 private:
  void put_head(unsigned number, unsigned wire_type) {
    *--at_ = static_cast<char>(number << 3 | wire_type);
  }
  void put_varint(std::uint64_t value) {
    if (value < 0x80) {
      *--at_ = static_cast<char>(value);
      return;
    }
    at_ -= detail::varint_bytes(value);
    char* at = at_;
    for (; value >= 0x80; value >>= 7) *at++ = static_cast<char>(value | 0x80);
    *at = static_cast<char>(value);
  }
  bool widen(std::size_t most) {
    const std::size_t room = most < 4096 ? 4096 : most;
    std::free(begin_);
    begin_ = static_cast<char*>(std::malloc(room));
    room_ = begin_ == nullptr ? 0 : room;
    return begin_ != nullptr;
  }

  char* begin_ = nullptr;
  char* at_ = nullptr;
  char* end_ = nullptr;
  std::size_t room_ = 0;
};

// Hands over what was written; false when memory is short.
inline bool take_message(Answer* answer, const Out& out) noexcept {
  try {
    answer->message.assign(out.data(), out.size());
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

// Adds what was written to what is there; false when memory is short.
inline bool add_message(Answer* answer, const Out& out) noexcept {
  try {
    answer->message.append(out.data(), out.size());
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

inline bool make_room(Answer* answer, std::size_t size) noexcept {
  try {
    answer->message.reserve(size);
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

}  // namespace atp
