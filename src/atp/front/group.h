// Unary calls that are judged one after the other: what each asks, read before the first is judged.
// Owns nothing of theirs but that; their messages lie still meanwhile.
#pragma once
#include "asked.h"

namespace atp {

constexpr std::size_t kGroupMost = 8;  // as many fetches as a core has under way

struct Waiting {
  int method;
  const char* message;
  std::size_t size;
  Answer* answer;
  Asked asked{};
};

// Reads one and leaves the others' lines where they are; false: no request, or memory is short.
inline bool read_waiting(Waiting* one, LineRoom* room) noexcept {
  open_asked(&one->asked, static_cast<AskedKind>(kAskedReserve + one->method), *room);
  return detail::told_problem([&] {
           detail::read_any(Fields(one->message, one->size), one->asked, *room);
         }) == kReadWell;
}

}  // namespace atp
