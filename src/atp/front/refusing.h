// What the transport itself answers calls with, before any is judged: gRPC's own words for what is
// no call of this server, or too much, or too late. Owns the texts.
#pragma once
#include <cinttypes>
#include <cstdio>

#include "refused.h"

namespace atp {

inline void refuse(Answer* answer, int code, const char* text) {
  answer->clear();
  answer->code = code;
  answer->text = text;
}

inline void refuse_size(Answer* answer, std::size_t size, std::int64_t most) {
  char text[96];
  std::snprintf(text, sizeof text, "Received message larger than max (%zu vs. %" PRId64 ")", size,
                most);
  refuse(answer, kResourceExhausted, text);
}

namespace detail {

// `name` is the setting that says how much there may be.
inline void refuse_overload(Answer* answer, const std::string& text, const char* name,
                            const std::string& value) {
  Refused refused;
  set_refused(&refused, kUnavailable, "OVERLOADED", 200);
  refused.text = text;
  refused.name = "limit_name";
  refused.value = name;
  refused.second_name = "limit_value";
  refused.second_value = value;
  tell_refused(answer, refused);
}

}  // namespace detail

inline void refuse_over(Answer* answer, const char* name, std::int64_t most, const char* what) {
  const std::string value = std::to_string(most);
  detail::refuse_overload(answer, value + " " + what + ", as many as " + name + " allows", name,
                          value);
}

// A call that would be answered too late: for its own deadline, or after `wait` ns.
inline void refuse_late(Answer* answer, std::int64_t wait) {
  detail::refuse_overload(answer, "too much is asked at once: the answer would come too late",
                          "data_plane.wait_max", std::to_string(wait / 1'000'000) + " ms");
}

inline void refuse_draining(Answer* answer) {
  Refused refused;
  detail::set_refused(&refused, kUnavailable, "DRAINING", 200);
  refused.text = "the server stops";
  tell_refused(answer, refused);
}

}  // namespace atp
