// What the server answered: atp.v1's responses read as far as a load must judge them, and counts of
// it all. A response that is none is told apart from a refusal and counts as malformed.
#pragma once
#include <cstdint>
#include <protozero/pbf_reader.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "errands.h"
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
  std::int64_t expired = 0;    // never sent, because nobody waited for them any more
  std::int64_t lost = 0;       // commands whose connection ended before an answer came
  std::int64_t tried_again = 0;  // of those, and of what was turned away
  std::int64_t given_up = 0;     // of the same: tried often enough
  std::int64_t commands = 0;   // judged, a batch's each by itself
  std::int64_t repeats = 0;    // of them, what asked for a hold again that had been granted
  std::int64_t repeated = 0;   // answers that say so, to ids that were new
  std::int64_t forgotten = 0;  // repeats of a granted hold that were not answered as such
  std::int64_t malformed = 0;  // answers that are none
  std::int64_t unknown = 0;    // availabilities of SKUs that the server does not know
  std::int64_t last_answer_ns = 0;  // when it was read
  std::int64_t bytes_sent = 0;
  std::int64_t bytes_received = 0;
  std::vector<std::int64_t> statuses = std::vector<std::int64_t>(kStatuses);
  // Of a batch's commands that could not be judged, by code.
  std::vector<std::int64_t> command_errors = std::vector<std::int64_t>(kStatuses);
  std::vector<std::int64_t> reserves = std::vector<std::int64_t>(kOutcomes);
  std::vector<std::int64_t> commits = std::vector<std::int64_t>(kOutcomes);
  std::vector<std::int64_t> releases = std::vector<std::int64_t>(kOutcomes);
  std::vector<std::int64_t> extends = std::vector<std::int64_t>(kOutcomes);
  std::string first_error;  // what the first call that was not answered OK was told
  Histogram latencies;      // of calls answered OK
};

// What was decided about one command.
struct Verdict {
  bool is_judged = false;  // false: the answer was none, or the command could not be judged
  std::uint32_t error_code = 0;  // gRPC's, where a batch's command could not be judged
  std::uint32_t outcome = 0;
  bool repeated = false;
  std::string_view reservation_id;  // of a hold that was granted
};

// ReserveResponse, CommitResponse, ReleaseResponse, ExtendResponse: outcome 1, reservation 2 (its
// name 1), repeated 4.
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

  // Counts the response to one errand.
  Verdict read(const Errand& errand, std::string_view message) {
    try {
      protozero::pbf_reader response(message.data(), message.size());
      return errand.kind == Kind::kLook ? read_look(response)
                                        : count(errand, read_verdict(response));
    } catch (const protozero::exception&) {
      ++tally_->malformed;
      return {};
    }
  }

  // Counts the results of a batch; each is given to `judged` with its errand.
  template <typename Judged>
  void read_batch(std::string_view message, const std::vector<Errand>& errands, Judged&& judged) {
    std::size_t results = 0;
    try {
      protozero::pbf_reader response(message.data(), message.size());
      while (response.next(1, protozero::pbf_wire_type::length_delimited)) {
        auto result = response.get_message();
        if (++results > errands.size()) continue;
        const Errand& errand = errands[results - 1];
        judged(errand, read_result(errand, result));
      }
    } catch (const protozero::exception&) {
      ++tally_->malformed;
      return;
    }
    if (results != errands.size()) ++tally_->malformed;
  }

 private:
  static constexpr std::uint32_t kErrorResult = 5;  // among the fields of a CommandResult

  Verdict read_result(const Errand& errand, protozero::pbf_reader& result) {
    const bool has_any = result.next();
    if (has_any && result.tag() == static_cast<std::uint32_t>(errand.kind) + 1) {
      return count(errand, read_verdict(result.get_message()));
    }
    Verdict verdict;
    if (!has_any || result.tag() != kErrorResult) {
      ++tally_->malformed;
      return verdict;
    }
    auto error = result.get_message();
    const bool has_code = error.next(1, protozero::pbf_wire_type::varint);
    verdict.error_code = has_code ? static_cast<std::uint32_t>(error.get_int32()) : 0;
    ++tally_->command_errors[verdict.error_code < kNoStatus ? verdict.error_code : kNoStatus];
    return verdict;
  }

  std::vector<std::int64_t>& outcomes_of(Kind kind) {
    switch (kind) {
      case Kind::kCommit:
        return tally_->commits;
      case Kind::kRelease:
        return tally_->releases;
      case Kind::kExtend:
        return tally_->extends;
      default:
        return tally_->reserves;
    }
  }

  Verdict count(const Errand& errand, Verdict verdict) {
    if (verdict.outcome == 0 || verdict.outcome >= kOutcomes) {
      ++tally_->malformed;
      return {};
    }
    ++tally_->commands;
    verdict.is_judged = true;
    const bool is_granted = errand.kind == Kind::kReserve && verdict.outcome <= kGrantedMost;
    if (errand.was_granted) {
      ++tally_->repeats;
      tally_->forgotten += !verdict.repeated || !is_granted;
      return verdict;
    }
    tally_->repeated += verdict.repeated && errand.tries == 0;
    ++outcomes_of(errand.kind)[verdict.outcome];
    if (is_granted && verdict.reservation_id.empty()) ++tally_->malformed;
    if (!is_granted) verdict.reservation_id = {};
    return verdict;
  }

  static constexpr std::uint32_t kGrantedMost = 2;  // outcomes up to here: in full, or in part

  // GetAvailabilityResponse: availabilities 1, at least one, and of each known 2.
  Verdict read_look(protozero::pbf_reader response) {
    Verdict verdict;
    int found = 0;
    int known = 0;
    while (response.next(1, protozero::pbf_wire_type::length_delimited)) {
      ++found;
      auto availability = response.get_message();
      while (availability.next()) {
        if (availability.tag_and_type() ==
            protozero::tag_and_type(2, protozero::pbf_wire_type::varint)) {
          known += availability.get_bool();
        } else {
          availability.skip();
        }
      }
    }
    if (found == 0) {
      ++tally_->malformed;
      return verdict;
    }
    ++tally_->commands;
    if (known < found) ++tally_->unknown;
    verdict.is_judged = true;
    return verdict;
  }

  Tally* tally_;
};

}  // namespace atp::load
