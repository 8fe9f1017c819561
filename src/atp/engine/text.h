// Text of requests and answers: what is UTF-8, a reservation's id, an address, a subject, and how
// all of it is quoted to people. One reader and one writer of each, for Python's face of the engine
// and for the native front. Decides nothing about stock, holds or caps.
#pragma once
#include <arpa/inet.h>

#include <charconv>
#include <string>
#include <string_view>

#include "native.h"

namespace atp {

constexpr std::size_t kKeyText = 32;       // bytes of a reservation id
constexpr std::size_t kAddressText = 45;   // of the longest address
constexpr std::size_t kSubjectText = 64;   // of the longest subject
constexpr std::uint32_t kNoAddress = 255;  // instead of an address's size
constexpr std::size_t kToldCharacters = 300;  // of a text that goes into an error

namespace detail {

// With bytes beyond ASCII. The second byte is bounded more narrowly where a longer form, a
// surrogate or a number beyond Unicode begins.
[[gnu::noinline]] inline bool is_utf8(const char* text, std::size_t size) {
  const auto* at = reinterpret_cast<const unsigned char*>(text);
  const auto* end = at + size;
  while (at < end) {
    const unsigned first = *at++;
    if (first < 0x80) continue;
    const int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    if (first < 0xc2 || first > 0xf4 || end - at < more) return false;
    const unsigned least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const unsigned most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (at[0] < least || at[0] > most) return false;
    for (int i = 1; i < more; ++i) {
      if ((at[i] & 0xc0) != 0x80) return false;
    }
    at += more;
  }
  return true;
}

}  // namespace detail

// Is this UTF-8? Most is ASCII, which is seen eight bytes at a time; the last ones may overlap
// those before.
inline bool is_text(const char* text, std::size_t size) {
  std::uint64_t seen = 0;
  if (size >= 8) {
    for (std::size_t i = 0; i + 8 < size; i += 8) seen |= word_at<std::uint64_t>(text + i);
    seen |= word_at<std::uint64_t>(text + size - 8);
  } else if (size >= 4) {
    seen = word_at<std::uint32_t>(text) | word_at<std::uint32_t>(text + size - 4);
  } else {
    for (std::size_t i = 0; i < size; ++i) seen |= static_cast<unsigned char>(text[i]);
  }
  return (seen & 0x8080808080808080ull) == 0 || detail::is_utf8(text, size);
}

namespace detail {

// What each letter is as a hexadecimal digit in lower case; 16 and more: none.
struct Digits {
  std::uint8_t value[256];
  constexpr Digits() : value() {
    for (unsigned letter = 0; letter < 256; ++letter) {
      const bool is_late = letter >= 'a' && letter <= 'f';
      const bool is_figure = letter >= '0' && letter <= '9';
      value[letter] = static_cast<std::uint8_t>(
          is_figure ? letter - '0' : is_late ? letter - 'a' + 10 : 16);
    }
  }
};
inline constexpr Digits kDigits;

}  // namespace detail

// A reservation id: 32 hexadecimal digits in lower case. False, and the key undefined, for anything
// else.
inline bool read_key(const char* text, std::size_t size, Key* key) {
  if (size != kKeyText) return false;
  unsigned bad = 0;
  const auto read_half = [&bad](const char* at) {
    std::uint64_t half = 0;
    for (unsigned i = 0; i < kKeyText / 2; ++i) {
      const unsigned digit = detail::kDigits.value[static_cast<unsigned char>(at[i])];
      bad |= digit;
      half = half << 4 | (digit & 15);
    }
    return half;
  };
  key->high = read_half(text);
  key->low = read_half(text + kKeyText / 2);
  return bad < 16;
}

// Eight hexadecimal digits of four bytes at a time, each digit in a byte of its own.
inline void write_hex(std::uint32_t number, char* into) {
  std::uint64_t digits = __builtin_bswap32(number);
  digits = (digits | digits << 16) & 0x0000ffff0000ffffull;
  digits = (digits | digits << 8) & 0x00ff00ff00ff00ffull;
  digits = (digits >> 4 | digits << 8) & 0x0f0f0f0f0f0f0f0full;
  // Over 9 the digit is a letter, which stand 39 further on.
  const std::uint64_t letters = ((digits + 0x0606060606060606ull) >> 4) & 0x0101010101010101ull;
  digits += 0x3030303030303030ull + letters * 39;
  std::memcpy(into, &digits, 8);
}

inline void write_key_text(const Key* key, char* into) {
  write_hex(static_cast<std::uint32_t>(key->high >> 32), into);
  write_hex(static_cast<std::uint32_t>(key->high), into + 8);
  write_hex(static_cast<std::uint32_t>(key->low >> 32), into + 16);
  write_hex(static_cast<std::uint32_t>(key->low), into + 24);
}

// Turns an IPv4-mapped address into the IPv4 address that it stands for; returns its size.
inline std::uint32_t plain_address(std::uint8_t* address, std::uint32_t size) {
  constexpr char mapped[] = "\0\0\0\0\0\0\0\0\0\0\xff\xff";
  if (size != 16 || std::memcmp(address, mapped, 12) != 0) return size;
  std::memcpy(address, address + 12, 4);
  return 4;
}

namespace detail {

// Most addresses: four numbers up to 255 without leading zeros. False for anything else.
inline bool read_ipv4(const char* text, std::size_t size, std::uint8_t* into) {
  const char* const end = text + size;
  for (int part = 0; part < 4; ++part) {
    if (part && (text == end || *text++ != '.')) return false;
    if (text == end) return false;
    unsigned number = static_cast<unsigned char>(*text++) - unsigned{'0'};
    if (number > 9) return false;
    if (number) {
      for (int more = 0; more < 2 && text != end; ++more) {
        const unsigned figure = static_cast<unsigned char>(*text) - unsigned{'0'};
        if (figure > 9) break;
        number = number * 10 + figure;
        ++text;
      }
    }
    if (number > 255) return false;
    into[part] = static_cast<std::uint8_t>(number);
  }
  return text == end;
}

}  // namespace detail

// An address in text, of at most 16 bytes: its size, 0 for no text, kNoAddress for no address. An
// IPv4-mapped IPv6 address is an IPv4 address.
inline std::uint32_t read_address(const char* text, std::size_t size, std::uint8_t* into) {
  if (size == 0) return 0;
  if (detail::read_ipv4(text, size, into)) return 4;
  char ended[kAddressText + 1];
  if (size > kAddressText || std::memchr(text, 0, size) != nullptr) return kNoAddress;
  std::memcpy(ended, text, size);
  ended[size] = 0;
  return inet_pton(AF_INET6, ended, into) == 1 ? plain_address(into, 16) : kNoAddress;
}

namespace detail {

// Each number up to 255 as text, and how long that is.
struct ByteTexts {
  char text[256][4];
  constexpr ByteTexts() : text() {
    for (unsigned number = 0; number < 256; ++number) {
      char* at = text[number];
      if (number >= 100) *at++ = static_cast<char>('0' + number / 100);
      if (number >= 10) *at++ = static_cast<char>('0' + number / 10 % 10);
      *at++ = static_cast<char>('0' + number % 10);
      text[number][3] = static_cast<char>(at - text[number]);
    }
  }
};
inline constexpr ByteTexts kByteTexts;

}  // namespace detail

// Writes an address of 0, 4 or 16 bytes, where there is room for kAddressText; returns how long its
// text is.
inline std::size_t write_address(const std::uint8_t* address, unsigned size, char* into) {
  if (size == 16) {
    char text[INET6_ADDRSTRLEN];
    inet_ntop(AF_INET6, address, text, sizeof text);
    const std::size_t length = std::strlen(text);
    std::memcpy(into, text, length);
    return length;
  }
  char* at = into;
  for (unsigned i = 0; i < size; ++i) {
    const char* const text = detail::kByteTexts.text[address[i]];
    std::memcpy(at, text, 4);
    at += text[3];
    *at++ = '.';
  }
  return static_cast<std::size_t>(at - into) - (size != 0);
}

// Writes whom a cap counts, at most kSubjectText bytes: text as it is, or an address, with the
// length of its prefix unless that is negative.
inline std::size_t write_subject(bool is_name, int prefix, const std::uint8_t* subject,
                                 unsigned size, char* into) {
  if (is_name) {
    std::memcpy(into, subject, size);
    return size;
  }
  char* at = into + write_address(subject, size, into);
  if (prefix >= 0) {
    *at++ = '/';
    at = std::to_chars(at, at + 4, prefix).ptr;
  }
  return static_cast<std::size_t>(at - into);
}

// Text for people: in quotes, what would not be seen spelt out, the rest as it is. Stops some way
// beyond what an error has room for. For ASCII it is what Python's repr says.
inline std::string quoted(std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  const bool has_single = text.find('\'') != text.npos;
  const char quote = has_single && text.find('"') == text.npos ? '"' : '\'';
  std::string told(1, quote);
  for (const char letter : text) {
    if (told.size() > 5 * kToldCharacters) return told;
    const unsigned code = static_cast<unsigned char>(letter);
    if (letter == quote || letter == '\\') {
      told += {'\\', letter};
    } else if (letter == '\n' || letter == '\r' || letter == '\t') {
      told += {'\\', letter == '\n' ? 'n' : letter == '\r' ? 'r' : 't'};
    } else if (code < 0x20 || code == 0x7f) {
      told += {'\\', 'x', digits[code >> 4], digits[code & 15]};
    } else {
      told += letter;
    }
  }
  return told += quote;
}

// At most kToldCharacters of a text, in UTF-8.
inline std::string shortened(std::string_view text) {
  std::size_t characters = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    characters += (static_cast<unsigned char>(text[i]) & 0xc0) != 0x80;
    if (characters > kToldCharacters) return std::string(text.substr(0, i)) + "...";
  }
  return std::string(text);
}

// The names of the limits, by the numbers of words.pxd.
constexpr const char* kLimitNames[] = {
    "", "live_holds_max", "cap_counters_max", "memory", "sku_max", "journal_space",
    "journal_backlog",
};
inline const char* limit_name(int limit) { return kLimitNames[limit]; }

}  // namespace atp
