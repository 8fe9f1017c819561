// Protobuf messages as pieces that can be bent: taken apart, changed with an idea of what they
// mean, and put together again, broken on purpose. Knows the wire format, and no schema: a field
// of bytes is gone into as a message when it looks like one.
#pragma once
#include <algorithm>
#include <vector>

#include "dice.h"

namespace atp::fuzz {

enum Wire : std::uint8_t { kVarint, kFixed64, kBytes, kGroupStart, kGroupEnd, kFixed32 };

inline void put_varint(std::string& out, std::uint64_t value, std::size_t padded_to = 0) {
  std::size_t written = 1;
  for (; value >= 128 || written < padded_to; value >>= 7, ++written) {
    out.push_back(static_cast<char>(value | 0x80));
  }
  out.push_back(static_cast<char>(value));
}

// False when there is no whole varint; else it is taken off the front.
inline bool take_varint(std::string_view& in, std::uint64_t& value) {
  value = 0;
  for (std::size_t i = 0; i < 10 && i < in.size(); ++i) {
    value |= static_cast<std::uint64_t>(in[i] & 0x7f) << (7 * i);
    if (!(in[i] & 0x80)) {
      in.remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

// One field as it is on the wire. What is odd about it is a lie that put_together() tells.
struct Piece {
  std::uint32_t number = 1;
  std::uint8_t wire = kVarint;
  std::uint64_t value = 0;     // of a varint
  std::string bytes{};         // of any other
  std::int64_t size_lie = 0;   // added to the length of bytes
  std::size_t padded_to = 0;   // bytes of the varints, at least
};

inline Piece number_piece(std::uint32_t number, std::uint64_t value) {
  return {.number = number, .wire = kVarint, .value = value};
}
inline Piece bytes_piece(std::uint32_t number, std::string bytes) {
  return {.number = number, .wire = kBytes, .bytes = std::move(bytes)};
}

// False when it is no message.
inline bool take_apart(std::string_view in, std::vector<Piece>& pieces) {
  std::uint64_t key = 0;
  std::uint64_t size = 0;
  while (!in.empty()) {
    if (!take_varint(in, key) || key >> 3 == 0 || key >> 32) return false;
    Piece piece{.number = static_cast<std::uint32_t>(key >> 3),
                .wire = static_cast<std::uint8_t>(key & 7)};
    switch (piece.wire) {
      case kVarint:
        if (!take_varint(in, piece.value)) return false;
        size = 0;
        break;
      case kBytes:
        if (!take_varint(in, size)) return false;
        break;
      case kFixed64:
      case kFixed32:
        size = piece.wire == kFixed64 ? 8 : 4;
        break;
      default:
        return false;
    }
    if (size > in.size()) return false;
    piece.bytes = in.substr(0, size);
    in.remove_prefix(size);
    pieces.push_back(std::move(piece));
  }
  return true;
}

inline void put_piece(std::string& out, const Piece& piece) {
  put_varint(out, static_cast<std::uint64_t>(piece.number) << 3 | piece.wire, piece.padded_to);
  if (piece.wire == kVarint) put_varint(out, piece.value, piece.padded_to);
  if (piece.wire == kBytes) {
    put_varint(out, piece.bytes.size() + static_cast<std::uint64_t>(piece.size_lie),
               piece.padded_to);
  }
  if (piece.wire != kVarint) out.append(piece.bytes);
}

inline std::string put_together(const std::vector<Piece>& pieces) {
  std::string out;
  for (const Piece& piece : pieces) put_piece(out, piece);
  return out;
}

// Text of the kind that code gets wrong: at the bounds, and no UTF-8.
inline std::string odd_text(Dice& dice) {
  static const std::string kOdd[] = {
      "", std::string(1, '\0'), std::string(64, 'x'), std::string(65, 'x'), "\xff", "\xc0\x80",
      "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xf0\x9f\x98\x80", "\xef\xbb\xbf",
      std::string(63, 'x') + "\xc3\xa9", "10.0.0.1", "10.0.0.256", "::", "::1%lo", "1::2::3",
      "::ffff:10.0.0.1", "0:0:0:0:0:0:0:0:0", std::string(32, '0'), std::string(31, '0'),
      std::string(32, 'A'), "\r\n", "a\nb", std::string(300, '\x80'), "%00%zz"};
  if (dice.one_in(8)) return dice.bytes(dice.below(80));
  return dice.of(kOdd);
}

// Groups or submessages, one in the other.
inline std::string deep(Dice& dice) {
  const std::size_t depth = 1 + dice.below(dice.one_in(8) ? 20000 : 150);
  const auto number = static_cast<std::uint32_t>(1 + dice.below(20));
  std::string out;
  if (dice.one_in(2)) {
    const bool closes = !dice.one_in(3);
    for (std::size_t i = 0; i < depth; ++i) put_piece(out, {.number = number, .wire = kGroupStart});
    for (std::size_t i = 0; closes && i < depth; ++i) {
      put_piece(out, {.number = number, .wire = kGroupEnd});
    }
    return out;
  }
  for (std::size_t i = 0; i < std::min<std::size_t>(depth, 300); ++i) {
    std::string outer;
    put_piece(outer, bytes_piece(number, std::move(out)));
    out = std::move(outer);
  }
  return out;
}

inline Piece strange_piece(Dice& dice) {
  Piece piece{.number = static_cast<std::uint32_t>(1 + dice.below(16)), .value = edge(dice)};
  if (dice.one_in(2)) piece.number = static_cast<std::uint32_t>(edge(dice) & 0x1fffffff);
  piece.wire = static_cast<std::uint8_t>(dice.below(dice.one_in(4) ? 8 : 6));
  if (piece.wire == kFixed64) piece.bytes = dice.bytes(8);
  if (piece.wire == kFixed32) piece.bytes = dice.bytes(4);
  if (piece.wire == kBytes) piece.bytes = dice.one_in(4) ? deep(dice) : odd_text(dice);
  if (piece.wire == kGroupStart && dice.one_in(2)) {
    put_piece(piece.bytes, {.number = piece.number, .wire = kGroupEnd});
  }
  return piece;
}

std::string mutate_message(std::string_view message, std::string_view other, Dice& dice);

inline void mutate_piece(Piece& piece, std::string_view other, Dice& dice) {
  switch (dice.below(8)) {
    case 0:
      piece.number = static_cast<std::uint32_t>(dice.one_in(2) ? 1 + dice.below(12)
                                                               : edge(dice) & 0x1fffffff);
      break;
    case 1:
      piece.wire = static_cast<std::uint8_t>(dice.below(8));
      break;
    case 2:
      piece.size_lie = dice.one_in(2) ? static_cast<std::int64_t>(dice.below(9)) - 4
                                      : static_cast<std::int64_t>(edge(dice));
      break;
    case 3:
      piece.padded_to = 1 + dice.below(12);
      break;
    case 4:
      piece.value = edge(dice);
      if (piece.wire == kBytes) piece.bytes = odd_text(dice);
      break;
    case 5:
      if (piece.wire == kBytes) mutate_bytes(piece.bytes, other, dice);
      break;
    default:
      if (piece.wire == kBytes) piece.bytes = mutate_message(piece.bytes, other, dice);
  }
}

// Two pieces that mean what one did, as protobuf merges them; or nearly.
inline void split_piece(std::vector<Piece>& pieces, std::size_t at, Dice& dice) {
  std::vector<Piece> inner;
  if (pieces[at].wire != kBytes || !take_apart(pieces[at].bytes, inner) || inner.empty()) return;
  const auto middle = inner.begin() + static_cast<std::ptrdiff_t>(dice.below(inner.size() + 1));
  Piece first = bytes_piece(pieces[at].number, put_together({inner.begin(), middle}));
  pieces[at].bytes = put_together({middle, inner.end()});
  const std::size_t place = dice.below(at + 1);
  pieces.insert(pieces.begin() + static_cast<std::ptrdiff_t>(place), std::move(first));
}

// One step away from `message`, mostly still a message.
inline std::string mutate_message(std::string_view message, std::string_view other, Dice& dice) {
  std::vector<Piece> pieces;
  std::string bent(message);
  if (dice.one_in(12) || !take_apart(message, pieces)) {
    mutate_bytes(bent, other, dice);
    return bent;
  }
  const std::size_t at = dice.below(pieces.size());
  const auto place = pieces.begin() + static_cast<std::ptrdiff_t>(at);
  std::vector<Piece> foreign;
  switch (dice.below(10)) {
    case 0:
      if (!pieces.empty()) pieces.erase(place);
      break;
    case 1:
      if (!pieces.empty()) {
        const std::size_t times = dice.one_in(400) ? dice.below(5000) : 1 + dice.below(3);
        pieces.insert(place, times, Piece(pieces[at]));
      }
      break;
    case 2:
      if (!pieces.empty()) std::swap(pieces[at], pieces[dice.below(pieces.size())]);
      break;
    case 3:
      pieces.insert(place, strange_piece(dice));
      break;
    case 4:
      if (!pieces.empty()) split_piece(pieces, at, dice);
      break;
    case 5:
      if (take_apart(other, foreign) && !foreign.empty()) pieces.insert(place, dice.of(foreign));
      break;
    default:
      if (!pieces.empty()) mutate_piece(pieces[at], other, dice);
  }
  return put_together(pieces);
}

}  // namespace atp::fuzz
