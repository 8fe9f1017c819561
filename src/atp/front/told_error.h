// Why a command of a batch could not be judged, as an atp.v1.CommandError: what a google.rpc.Status
// tells of a call of its own, without nesting. Owns its field numbers.
#pragma once
#include "atp/front/refused.h"
#include "atp/front/told.h"

namespace atp {

// Writes the error; without its text when there is less room than it takes. False when memory is
// short.
inline bool tell_error(Out* out, const Refused& refused, std::size_t room) noexcept {
  const bool is_limit = std::strcmp(refused.name, "limit_name") == 0;
  const std::size_t most =
      256 + refused.field.size() + refused.value.size() + refused.text.size();
  if (!out->open(most)) return false;
  if (refused.retry_ms) out->time(6, refused.retry_ms * std::int64_t{1000000});
  if (is_limit) out->text(5, refused.value.data(), refused.value.size());
  out->text(4, refused.field.data(), refused.field.size());
  if (most <= room) out->text(3, refused.text.data(), refused.text.size());
  out->text(2, refused.reason, std::strlen(refused.reason));
  out->number(1, refused.code);
  return true;
}

}  // namespace atp
