// grpc.health.v1 as far as it goes here: which service is asked for, and what is told of it. Owns
// the names that are known; who watches is told again by whoever knows that something has changed.
#pragma once
#include <protozero/pbf_reader.hpp>

#include <string_view>

#include "answer.h"
#include "refusing.h"

namespace atp {

enum Serving : char { kServing = 1, kNotServing = 2, kServiceUnknown = 3 };

inline void tell_health(Answer* answer, char serving) {
  answer->clear();
  answer->message.assign({'\x08', serving});
}

// Answers Check, or the first of Watch; false: the answer is an error.
inline bool check_health(const char* message, std::size_t size, bool is_retired, bool is_watch,
                         Answer* answer) {
  std::string_view service;
  try {
    protozero::pbf_reader reader{message, size};
    while (reader.next()) {
      if (reader.tag_and_type() == protozero::tag_and_type(
                                       1, protozero::pbf_wire_type::length_delimited)) {
        const protozero::data_view view = reader.get_view();
        service = {view.data(), view.size()};
      } else {
        reader.skip();
      }
    }
  } catch (const protozero::exception&) {
    return refuse(answer, kInternal, "request is no HealthCheckRequest"), false;
  }
  const bool is_known = service.empty() || service == "atp.v1.ReservationService";
  if (!is_known && !is_watch) return refuse(answer, 5, "unknown service"), false;
  tell_health(answer, !is_known ? kServiceUnknown : is_retired ? kNotServing : kServing);
  return true;
}

}  // namespace atp
