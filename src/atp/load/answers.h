// What the server answered: atp.v1's responses read as far as a load must judge them, and counts of
// it all. A response that is none is told apart from a refusal and counts as malformed.
#pragma once
#include <cstdint>
#include <protozero/pbf_reader.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "histogram.h"

namespace atp::load {

inline constexpr std::size_t kOutcomes = 16;
inline constexpr std::size_t kStatuses = 18;
inline constexpr std::size_t kNoStatus = 17;  // ended without one, or with one that gRPC has not

struct Tally {
  std::int64_t asked = 0;      // calls or batches sent
  std::int64_t answered = 0;   // of those
  std::int64_t good = 0;       // answered OK within the deadline
  std::int64_t late = 0;       // answered OK after it
  std::int64_t expired = 0;    // never sent, because the deadline had passed before
  std::int64_t commands = 0;   // judged, a batch's each by itself
  std::int64_t repeated = 0;   // answers that say so; ids are unique, so there should be none
  std::int64_t malformed = 0;  // answers that are none
  std::int64_t unknown = 0;    // availabilities of SKUs that the server does not know
  std::int64_t last_answer_ns = 0;  // when it was read
  std::int64_t bytes_sent = 0;
  std::int64_t bytes_received = 0;
  std::vector<std::int64_t> statuses = std::vector<std::int64_t>(kStatuses);
  // Of a batch's commands that could not be judged, by code.
  std::vector<std::int64_t> command_errors = std::vector<std::int64_t>(kStatuses);
  std::vector<std::int64_t> reserves = std::vector<std::int64_t>(kOutcomes);
  std::vector<std::int64_t> changes = std::vector<std::int64_t>(kOutcomes);
  std::string first_error;  // what the first call that was not answered OK was told
  Histogram latencies;      // of calls answered OK
};

// One judged reserve or change.
struct Verdict {
  std::uint32_t outcome = 0;
  bool repeated = false;
  std::string_view reservation_id;
};

enum class Kind : std::uint8_t { kReserve, kCommit, kAvailability };

// ReserveResponse and CommitResponse: outcome 1, reservation 2 (its name 1), repeated 4.
inline Verdict read_verdict(protozero::pbf_reader response) {
  Verdict verdict;
  while (response.next()) {
    switch (response.tag_and_type()) {
      case protozero::tag_and_type(1, protozero::pbf_wire_type::varint):
        verdict.outcome = static_cast<std::uint32_t>(response.get_enum());
        break;
      case protozero::tag_and_type(2, protozero::pbf_wire_type::length_delimited): {
        auto reservation = response.get_message();
        if (reservation.next(1, protozero::pbf_wire_type::length_delimited)) {
          const auto name = reservation.get_view();
          verdict.reservation_id = {name.data(), name.size()};
        }
        break;
      }
      case protozero::tag_and_type(4, protozero::pbf_wire_type::varint):
        verdict.repeated = response.get_bool();
        break;
      default:
        response.skip();
    }
  }
  return verdict;
}

class AnswerReader {
 public:
  explicit AnswerReader(Tally* tally) : tally_(tally) {}

  // Counts one response message; gives the name of a hold that was granted, else nothing.
  std::string_view read(Kind kind, std::string_view message) {
    try {
      protozero::pbf_reader response(message.data(), message.size());
      if (kind == Kind::kAvailability) {
        read_availability(response);
        return {};
      }
      return count(kind, read_verdict(response));
    } catch (const protozero::exception&) {
      ++tally_->malformed;
      return {};
    }
  }

  // Counts the results of a batch; each granted hold's name goes to `granted`.
  template <typename Granted>
  void read_batch(std::string_view message, std::int64_t commands, Granted&& granted) {
    std::int64_t results = 0;
    try {
      protozero::pbf_reader response(message.data(), message.size());
      while (response.next(1, protozero::pbf_wire_type::length_delimited)) {
        ++results;
        const std::string_view hold = read_result(response.get_message());
        if (!hold.empty()) granted(hold);
      }
    } catch (const protozero::exception&) {
      ++tally_->malformed;
      return;
    }
    if (results != commands) ++tally_->malformed;
  }

 private:
  std::string_view read_result(protozero::pbf_reader result) {
    if (!result.next()) {
      ++tally_->malformed;
      return {};
    }
    switch (result.tag()) {
      case 1:
        return count(Kind::kReserve, read_verdict(result.get_message()));
      case 2:
        return count(Kind::kCommit, read_verdict(result.get_message()));
      case 5: {
        auto error = result.get_message();
        const bool has_code = error.next(1, protozero::pbf_wire_type::varint);
        const std::uint32_t code = has_code ? static_cast<std::uint32_t>(error.get_int32()) : 0;
        ++tally_->command_errors[code < kNoStatus ? code : kNoStatus];
        return {};
      }
      default:
        ++tally_->malformed;
        return {};
    }
  }

  std::string_view count(Kind kind, const Verdict& verdict) {
    if (verdict.outcome == 0 || verdict.outcome >= kOutcomes) {
      ++tally_->malformed;
      return {};
    }
    ++tally_->commands;
    tally_->repeated += verdict.repeated;
    if (kind == Kind::kCommit) {
      ++tally_->changes[verdict.outcome];
      return {};
    }
    ++tally_->reserves[verdict.outcome];
    if (verdict.outcome > 2) return {};  // neither granted nor granted in part
    if (verdict.reservation_id.empty()) ++tally_->malformed;
    return verdict.reservation_id;
  }

  // GetAvailabilityResponse for one SKU: availabilities 1, and of each known 2.
  void read_availability(protozero::pbf_reader response) {
    int found = 0;
    bool is_known = false;
    while (response.next(1, protozero::pbf_wire_type::length_delimited)) {
      ++found;
      auto availability = response.get_message();
      while (availability.next()) {
        if (availability.tag_and_type() ==
            protozero::tag_and_type(2, protozero::pbf_wire_type::varint)) {
          is_known = availability.get_bool();
        } else {
          availability.skip();
        }
      }
    }
    if (found != 1) {
      ++tally_->malformed;
      return;
    }
    ++tally_->commands;
    if (!is_known) ++tally_->unknown;
  }

  Tally* tally_;
};

}  // namespace atp::load
