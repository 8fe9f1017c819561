// What the answers of atp.v1 must look like: every field known, of the right type, once where it is
// one, text UTF-8 and short, enums declared. Reads answers that the front wrote, with none of its
// code, and tells of each whether and what it changed.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "protobuf.h"

namespace atp::fuzz {

// Letters tell a field's type: i int64 or int32 that is never negative, b bool, e enum with `most`
// as its last value, s text, t a Timestamp or Duration, z an int64 that may be negative, m a
// message.
struct FieldShape {
  std::uint32_t number;
  char type;
  bool repeated = false;
  std::uint64_t most = 0;
  const std::vector<FieldShape>* inner = nullptr;
};
using Shape = std::vector<FieldShape>;

inline const Shape kTime = {{1, 'z'}, {2, 'i'}};
inline const Shape kReservationLine = {{1, 's'}, {2, 'i'}, {3, 'i'}, {4, 'i'}, {5, 'i'}, {6, 'i'}};
inline const Shape kReservation = {
    {1, 's'}, {2, 'e', false, 4}, {3, 'm', true, 0, &kReservationLine}, {4, 't'}, {5, 't'},
    {6, 't'}, {7, 'i'}, {8, 's'}, {9, 's'}};
inline const Shape kLineResult = {{1, 'i'}, {2, 'e', false, 5}, {3, 'i'}, {4, 'i'},
                                  {5, 'i'}, {6, 't'}};
inline const Shape kCapRefusal = {{1, 's'}, {2, 's'}, {3, 's'}, {4, 'i'}, {5, 'i'}, {6, 'i'}};
inline const Shape kReserveResponse = {
    {1, 'e', false, 11}, {2, 'm', false, 0, &kReservation}, {3, 'i'}, {4, 'b'},
    {5, 'm', true, 0, &kLineResult}, {6, 'm', true, 0, &kCapRefusal}, {7, 's'}};
inline const Shape kChangeResponse = {
    {1, 'e', false, 10}, {2, 'm', false, 0, &kReservation}, {3, 'i'}, {4, 'b'}, {5, 'i'}, {6, 's'}};
inline const Shape kExtendResponse = {
    {1, 'e', false, 10}, {2, 'm', false, 0, &kReservation}, {3, 'i'}, {4, 'b'}, {5, 't'}, {6, 's'}};
inline const Shape kGetReservationResponse = {{1, 'm', false, 0, &kReservation}};
inline const Shape kAvailability = {{1, 's'}, {2, 'b'}, {3, 'i'}, {4, 'i'},
                                    {5, 'i'}, {6, 't'}, {7, 'i'}};
inline const Shape kGetAvailabilityResponse = {{1, 'm', true, 0, &kAvailability}};
inline const Shape kCommandError = {{1, 'i'}, {2, 's'}, {3, 's'}, {4, 's'}, {5, 's'}, {6, 't'}};
inline const Shape kCommandResult = {
    {1, 'm', false, 0, &kReserveResponse}, {2, 'm', false, 0, &kChangeResponse},
    {3, 'm', false, 0, &kChangeResponse}, {4, 'm', false, 0, &kExtendResponse},
    {5, 'm', false, 0, &kCommandError}};
inline const Shape kExecuteResponse = {{1, 'm', true, 0, &kCommandResult}};
inline const Shape kAny = {{1, 's'}, {2, 'y'}};  // y: bytes of any kind
inline const Shape kStatus = {{1, 'i'}, {2, 's'}, {3, 'm', true, 0, &kAny}};

// In the order of the front's methods.
inline const Shape* const kResponses[] = {
    &kReserveResponse, &kChangeResponse, &kChangeResponse, &kExtendResponse,
    &kGetReservationResponse, &kGetAvailabilityResponse, &kExecuteResponse};

inline bool is_text(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<std::uint8_t>(text[i]);
    const std::size_t size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2
                             : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (!size || i + size > text.size()) return false;
    std::uint32_t code = size == 1 ? first : first & (0x7fu >> size);
    for (std::size_t k = 1; k < size; ++k) {
      const auto byte = static_cast<std::uint8_t>(text[i + k]);
      if ((byte & 0xc0) != 0x80) return false;
      code = code << 6 | (byte & 0x3f);
    }
    if ((size == 3 && (code < 0x800 || (code >= 0xd800 && code < 0xe000))) ||
        (size == 4 && (code < 0x10000 || code > 0x10ffff))) {
      return false;
    }
    i += size;
  }
  return true;
}

inline const char* shape_fault(std::string_view message, const Shape& shape);

// Why a field is no field of that type; nullptr when it is.
inline const char* field_fault(const Piece& piece, const FieldShape& field) {
  const bool is_number = std::string_view("izbe").find(field.type) != std::string_view::npos;
  if (piece.wire != (is_number ? kVarint : kBytes)) return "a field has another wire type";
  switch (field.type) {
    case 'i':
      return piece.value > INT64_MAX ? "a count is negative" : nullptr;
    case 'b':
      return piece.value > 1 ? "a bool is neither" : nullptr;
    case 'e':
      return piece.value > field.most ? "an enum has an undeclared value" : nullptr;
    case 's':
      return is_text(piece.bytes) ? nullptr : "a text is no UTF-8";
    case 't':
      return shape_fault(piece.bytes, kTime);
    case 'm':
      return shape_fault(piece.bytes, *field.inner);
    default:
      return nullptr;
  }
}

inline const char* shape_fault(std::string_view message, const Shape& shape) {
  std::vector<Piece> pieces;
  if (!take_apart(message, pieces)) return "an answer is no protobuf";
  std::uint64_t seen = 0;
  for (const Piece& piece : pieces) {
    const FieldShape* found = nullptr;
    for (const FieldShape& field : shape) {
      if (field.number == piece.number) found = &field;
    }
    if (!found) return "an answer has an unknown field";
    if (!found->repeated && (seen >> piece.number & 1)) return "a field is there twice";
    seen |= std::uint64_t{1} << piece.number;
    if (const char* fault = field_fault(piece, *found)) return fault;
  }
  return nullptr;
}

inline const Piece* piece_of(const std::vector<Piece>& pieces, std::uint32_t number) {
  for (const Piece& piece : pieces) {
    if (piece.number == number) return &piece;
  }
  return nullptr;
}

// Why an answer of a method is none that atp.v1 declares; nullptr when it is one.
inline const char* answer_fault(int method, std::string_view message) {
  return shape_fault(message, *kResponses[method]);
}

// Why an error is none that gRPC can tell.
inline const char* status_fault(int code, std::string_view text, std::string_view details) {
  if (code < 1 || code > 16) return "an error has a code that gRPC doesn't have";
  if (text.empty() || text.size() > 4096) return "an error's text is empty, or very long";
  if (!is_text(text)) return "an error's text is no UTF-8";
  if (details.empty()) return nullptr;
  if (const char* fault = shape_fault(details, kStatus)) return fault;
  std::vector<Piece> pieces;
  take_apart(details, pieces);
  const Piece* told_code = piece_of(pieces, 1);
  if (!told_code || told_code->value != static_cast<std::uint64_t>(code)) {
    return "an error's details have another code";
  }
  const Piece* told_text = piece_of(pieces, 2);
  return told_text && told_text->bytes == text ? nullptr : "an error's details have another text";
}

// What an answer tells of a change: how many it made, and the last one's sequence.
struct Told {
  std::int64_t changes = 0;
  std::int64_t sequence = 0;
  std::vector<std::string> reservations;  // named in it
};

// Of the answer of a Reserve (`is_reserve`), Commit, Release or Extend.
inline void read_told(std::string_view message, bool is_reserve, Told& told) {
  std::vector<Piece> pieces;
  take_apart(message, pieces);
  const Piece* outcome = piece_of(pieces, 1);
  const Piece* reservation = piece_of(pieces, 2);
  const Piece* sequence = piece_of(pieces, 3);
  if (reservation) {
    std::vector<Piece> inner;
    take_apart(reservation->bytes, inner);
    if (const Piece* name = piece_of(inner, 1)) told.reservations.push_back(name->bytes);
  }
  const bool done = outcome && (outcome->value == 1 || (is_reserve && outcome->value == 2));
  if (!done || piece_of(pieces, 4)) return;
  ++told.changes;
  told.sequence = sequence ? static_cast<std::int64_t>(sequence->value) : 0;
}

// Of any method's answer. Methods are numbered as the front numbers them.
inline Told told_by(int method, std::string_view message) {
  Told told;
  if (method < 4) read_told(message, method == 0, told);
  if (method != 6) return told;
  std::vector<Piece> results;
  take_apart(message, results);
  for (const Piece& result : results) {
    std::vector<Piece> inner;
    take_apart(result.bytes, inner);
    if (!inner.empty() && inner[0].number < 5) {
      read_told(inner[0].bytes, inner[0].number == 1, told);
    }
  }
  return told;
}

}  // namespace atp::fuzz
