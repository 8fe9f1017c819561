// When calls are due in an open loop: a rate that changes over time, met at regular distances or by
// chance. Owns the times alone: they depend on no answer, which is what keeps a slow server from
// being asked less. A closed loop has no rate, and no times.
#pragma once
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <utility>
#include <vector>

namespace atp::load {

inline constexpr std::int64_t kNeverDue = std::numeric_limits<std::int64_t>::max();

// From this time on the rate goes evenly to that of the next point; after the last it stays.
struct RatePoint {
  double time_s;
  double rate;  // calls a second
};

class Schedule {
 public:
  // Nothing is due until it begins.
  Schedule() = default;

  // `curve` begins at 0 s; empty: a closed loop. `by_chance`: a Poisson process, drawn from `seed`.
  void begin(std::int64_t now, std::int64_t calls_max, double seconds,
             std::vector<RatePoint> curve, bool by_chance, std::uint64_t seed) {
    begin_ns_ = now;
    end_ns_ = now + static_cast<std::int64_t>(seconds * 1e9);
    calls_max_ = calls_max;
    curve_ = std::move(curve);
    by_chance_ = by_chance;
    chance_.seed(seed);
    place_ = by_chance ? gap_(chance_) : 0;
    find_due();
  }
  void stop() { end_ns_ = 0; }

  std::int64_t begin_ns() const { return begin_ns_; }
  bool is_open() const { return !curve_.empty(); }

  // When the next call is due; kNeverDue after the last one.
  std::int64_t next_due(std::int64_t now) const {
    const std::int64_t due = is_open() ? due_ns_ : now;
    return begun_ >= calls_max_ || due >= end_ns_ ? kNeverDue : due;
  }

  // The call that was due has begun, or was given up.
  void take() {
    ++begun_;
    if (!is_open()) return;
    place_ = by_chance_ ? place_ + gap_(chance_) : static_cast<double>(begun_);
    find_due();
  }

 private:
  void find_due() {
    const std::int64_t after = time_of(place_);
    due_ns_ = after == kNeverDue ? kNeverDue : begin_ns_ + after;
  }

  // After how many nanoseconds so many calls are due: where the area under the curve reaches that.
  std::int64_t time_of(double calls) {
    for (; point_ < curve_.size(); ++point_) {
      const RatePoint& from = curve_[point_];
      const double left = calls - counted_;
      const bool is_last = point_ + 1 == curve_.size();
      const double length = is_last ? 0 : curve_[point_ + 1].time_s - from.time_s;
      const double area = is_last ? 0 : length * (from.rate + curve_[point_ + 1].rate) / 2;
      if (is_last && from.rate <= 0) return kNeverDue;
      if (!is_last && left >= area) {
        counted_ += area;
        continue;
      }
      const double slope = is_last ? 0 : (curve_[point_ + 1].rate - from.rate) / length;
      const double root = std::sqrt(std::max(from.rate * from.rate + 2 * slope * left, 0.0));
      const double after = left <= 0 ? 0 : 2 * left / (from.rate + root);
      return nanoseconds(from.time_s + after);
    }
    return 0;  // a closed loop
  }

  static std::int64_t nanoseconds(double seconds) {
    return static_cast<std::int64_t>(std::llround(seconds * 1e9));
  }

  std::int64_t begin_ns_ = 0;  // the first call may be due
  std::int64_t end_ns_ = 0;    // and from here on none is
  std::int64_t calls_max_ = 0;
  std::int64_t begun_ = 0;  // calls begun or given up
  std::vector<RatePoint> curve_;
  std::size_t point_ = 0;  // of the curve, up to which all calls are counted
  double counted_ = 0;     // those
  double place_ = 0;       // of the next call, in the count of all
  std::int64_t due_ns_ = 0;
  bool by_chance_ = false;
  std::mt19937_64 chance_;
  std::exponential_distribution<double> gap_{1.0};
};

}  // namespace atp::load
