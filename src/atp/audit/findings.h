// What the audit says is wrong: its name, in words, and the few commands and changes that show it.
// Owns the list of names; keeps the first findings of each name and counts the others. Also counts
// how often each law was checked, because a check that never ran has proven nothing.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace atp::audit {

enum class Fault : int {
  kOversold,
  kNotConserved,
  kUnitsEndTwice,
  kTwoHolds,
  kDoneTwice,
  kCapExceeded,
  kLateChange,
  kEarlyExpiry,
  kLateExpiry,
  kUnknownHold,
  kBadGrant,
  kLostChange,
  kOtherChange,
  kNeverAsked,
  kRefusedYetDone,
  kOneChangeTwoAnswers,
  kWrongRepeat,
  kOrderBroken,
  kUntrueRefusal,
  kUntrueRead,
  kOvertaken,
};
constexpr int kFaults = 21;

enum class Law : int {
  kNoOversell,
  kConservation,
  kHoldEndsOnce,
  kOneHold,
  kCaps,
  kExpiry,
  kAcknowledged,
  kAskedFor,
  kRealTime,
  kTruth,
  kFairness,
};
constexpr int kLaws = 11;

struct Finding {
  Fault fault;
  std::string text;
  std::vector<std::int64_t> changes;     // sequences
  std::vector<std::uint32_t> commands;   // their indexes
};

class Findings {
 public:
  static constexpr std::int64_t kKept = 3;

  // True when this one is kept, and so worth a slice.
  bool is_wanted(Fault fault) { return ++counts_[static_cast<std::size_t>(fault)] <= kKept; }
  void keep(Finding finding) { kept_.push_back(std::move(finding)); }
  void add(Fault fault, std::string text, std::vector<std::int64_t> changes,
           std::vector<std::uint32_t> commands = {}) {
    if (is_wanted(fault)) {
      keep({fault, std::move(text), std::move(changes), std::move(commands)});
    }
  }
  void checked(Law law, std::int64_t times = 1) {
    checks_[static_cast<std::size_t>(law)] += times;
  }
  const std::vector<Finding>& kept() const { return kept_; }
  std::int64_t count(int fault) const { return counts_[static_cast<std::size_t>(fault)]; }
  std::int64_t checks(int law) const { return checks_[static_cast<std::size_t>(law)]; }

 private:
  std::vector<Finding> kept_;
  std::array<std::int64_t, kFaults> counts_{};
  std::array<std::int64_t, kLaws> checks_{};
};

}  // namespace atp::audit
