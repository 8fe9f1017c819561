// Why a call or a command could not be judged: the code, the reason and the details, as
// server/status.py says them in Python. Owns their texts, and how a google.rpc.Status tells of
// them. Everything here is seldom needed and may take memory; where there is none, it says so.
#pragma once
#include <protozero/pbf_writer.hpp>

#include <new>

#include "atp/engine/text.h"
#include "atp/front/answer.h"

namespace atp {

// Of gRPC's status codes those that are told here.
enum Code {
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kResourceExhausted = 8,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
};

struct Refused {
  int code = 0;
  const char* reason = "";   // of google.rpc.ErrorInfo
  int retry_ms = 0;          // when asking again makes sense; 0: not by itself
  std::string text;
  std::string field;         // that was wrong, and what is wrong with it; or empty
  std::string description;
  const char* name = "";     // of what ErrorInfo quotes
  std::string value;
  const char* second_name = "";
  std::string second_value;
};

namespace detail {

inline void set_refused(Refused* into, int code, const char* reason, int retry_ms) {
  into->code = code;
  into->reason = reason;
  into->retry_ms = retry_ms;
  into->text.clear();
  into->field.clear();
  into->description.clear();
  into->name = "";
  into->value.clear();
  into->second_name = "";
  into->second_value.clear();
}

// Texts as short as these take no memory beyond the strings' own.
inline void refuse_memory(Refused* into) noexcept {
  set_refused(into, kResourceExhausted, "LIMIT_REACHED", 0);
  into->name = "limit_name";
  into->value = "memory";
}

template <class Fill>
inline void filled(Refused* into, Fill fill) noexcept {
  try {
    fill();
  } catch (const std::bad_alloc&) {
    refuse_memory(into);
  }
}

inline std::string told(std::int64_t number) { return std::to_string(number); }

}  // namespace detail

// A field is malformed or over its bound.
inline void refuse_field(Refused* into, std::string_view field,
                         std::string_view description) noexcept {
  detail::filled(into, [&] {
    detail::set_refused(into, kInvalidArgument, "FIELD_INVALID", 0);
    into->text = shortened(std::string(field).append(": ").append(description));
    into->field = shortened(field);
    into->description = shortened(description);
    into->name = "field";
    into->value = into->field;
  });
}

inline void refuse_memory(Refused* into) noexcept {
  detail::filled(into, [&] {
    detail::refuse_memory(into);
    into->text = "the limit memory is reached";
  });
}

inline void refuse_message(Refused* into, const char* message_name) noexcept {
  detail::filled(into, [&] {
    refuse_field(into, "request",
                 std::string("is no ") + message_name + " in protobuf's wire format");
  });
}

inline void refuse_unknown_reservation(Refused* into, std::string_view reservation) noexcept {
  detail::filled(into, [&] {
    detail::set_refused(into, kNotFound, "RESERVATION_NOT_FOUND", 0);
    into->text = shortened(
        std::string("no reservation ").append(reservation).append(" is remembered"));
    into->name = "reservation_id";
    into->value = shortened(reservation);
  });
}

// The disk of the journal is full, or too much waits to be written to it.
inline void refuse_journal(Refused* into, bool full, const char* limit) noexcept {
  detail::filled(into, [&] {
    detail::set_refused(into, kUnavailable, full ? "JOURNAL_FULL" : "JOURNAL_BEHIND",
                        full ? 1000 : 200);
    into->text = full ? "the disk of the journal is full: changes are refused until there is room"
                      : "more changes wait to be written than journal.backlog_bytes_max allows:"
                        " the disk is slower than the calls";
    into->name = "limit_name";
    into->value = limit;
  });
}

namespace detail {

inline void add_any(protozero::pbf_writer& status, const char* kind, const std::string& message) {
  protozero::pbf_writer any{status, 3};
  any.add_string(1, std::string("type.googleapis.com/google.rpc.") + kind);
  any.add_message(2, message);
}

inline void add_entry(protozero::pbf_writer& info, const char* name, const std::string& value) {
  if (*name == 0) return;
  protozero::pbf_writer entry{info, 3};
  entry.add_string(1, name);
  entry.add_string(2, value);
}

inline std::string retry_delay(int milliseconds) {
  std::string delay;
  protozero::pbf_writer writer{delay};
  if (milliseconds / 1000) writer.add_int64(1, milliseconds / 1000);
  if (milliseconds % 1000) writer.add_int32(2, milliseconds % 1000 * 1000000);
  return delay;
}

inline std::string status_of(const Refused& refused) {
  std::string bytes, info, request, retry;
  protozero::pbf_writer status{bytes};
  status.add_int32(1, refused.code);
  status.add_string(2, refused.text);
  {
    protozero::pbf_writer writer{info};
    writer.add_string(1, refused.reason);
    writer.add_string(2, "atp");
    add_entry(writer, refused.name, refused.value);
    add_entry(writer, refused.second_name, refused.second_value);
  }
  add_any(status, "ErrorInfo", info);
  if (!refused.field.empty()) {
    protozero::pbf_writer writer{request};
    protozero::pbf_writer violation{writer, 1};
    violation.add_string(1, refused.field);
    violation.add_string(2, refused.description);
    violation.commit();
    add_any(status, "BadRequest", request);
  }
  if (refused.retry_ms) {
    protozero::pbf_writer writer{retry};
    writer.add_message(1, retry_delay(refused.retry_ms));
    add_any(status, "RetryInfo", retry);
  }
  return bytes;
}

}  // namespace detail

// The answer to a call that could not be judged. Without memory its code stays, and its text.
inline void tell_refused(Answer* answer, const Refused& refused) noexcept {
  answer->clear();
  answer->code = refused.code;
  try {
    answer->text = refused.text;
    answer->details = detail::status_of(refused);
  } catch (const std::bad_alloc&) {
    answer->details.clear();
  }
}

}  // namespace atp
