// The steps of one window of a cap. Owns what was granted in each and is still in force: the newest
// beside the count itself, for most windows have no other. Knows no cap.
#pragma once
#include <limits>
#include <memory>

#include "bytes.h"

namespace atp::audit {

// Units granted in one step of a window that are still in force.
struct Step {
  std::int64_t number;
  std::int64_t units;
};

class Steps {
 public:
  void add(std::int64_t number, std::int64_t units) {
    if (number == newest_.number) {
      newest_.units += units;
    } else if (number > newest_.number) {
      if (newest_.number != kNone) older().push_back(newest_);
      newest_ = {number, units};
    } else {
      const auto at = first_from(number);
      if (at != older().end() && at->number == number) {
        at->units += units;
      } else {
        older().insert(at, {number, units});
      }
    }
  }
  // Forgets the oldest for as long as they are over. The units that were in them.
  template <class IsOver>
  std::int64_t pass(IsOver is_over) {
    std::int64_t units = 0;
    if (older_ != nullptr) {
      std::size_t passed = 0;
      while (passed < older_->size() && is_over((*older_)[passed].number)) {
        units += (*older_)[passed++].units;
      }
      older_->erase(older_->begin(), older_->begin() + static_cast<std::ptrdiff_t>(passed));
      if (!older_->empty()) return units;
    }
    if (newest_.number == kNone || !is_over(newest_.number)) return units;
    units += newest_.units;
    newest_ = {kNone, 0};
    return units;
  }
  // Takes units out of a step; false when it has been forgotten.
  bool take(std::int64_t number, std::int64_t units) {
    if (number == newest_.number) {
      newest_.units -= units;
      return true;
    }
    if (older_ == nullptr) return false;
    const auto at = first_from(number);
    if (at == older_->end() || at->number != number) return false;
    at->units -= units;
    return true;
  }
  std::int64_t bytes() const { return older_ == nullptr ? 0 : bytes_of(*older_); }

 private:
  static constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::min();

  std::vector<Step>& older() {
    if (older_ == nullptr) older_ = std::make_unique<std::vector<Step>>();
    return *older_;
  }
  std::vector<Step>::iterator first_from(std::int64_t number) {
    return std::lower_bound(
        older().begin(), older().end(), number,
        [](const Step& each, std::int64_t wanted) { return each.number < wanted; });
  }

  Step newest_{kNone, 0};
  std::unique_ptr<std::vector<Step>> older_;  // in order, all before the newest
};

}  // namespace atp::audit
