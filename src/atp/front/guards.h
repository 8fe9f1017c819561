// What one connection may ask of a server before it is a flood: budgets per kind of frame, earned
// by honest calls and refilled by time, and how long a start, a header block, an answer may take.
// Owns the numbers and the names of the reasons; sees no socket and closes nothing: who asks gets a
// Guard, and one that isn't kFine means GOAWAY with ENHANCE_YOUR_CALM, and the connection's end. A
// budget costs a decrement; time and what was earned are looked at only when it is used up.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace atp {

// Why a connection was ended. A new one goes before kGuardCount and into kGuardNames.
enum Guard : std::uint8_t {
  kFine,
  kResets,         // calls taken back: rapid reset
  kContinuations,  // a header block in too many frames
  kSettings,
  kPings,
  kPriorities,
  kWindowUpdates,
  kEmptyData,    // DATA frames with neither bytes nor an end
  kStrange,      // frames of no use to a server: of an unknown type, GOAWAY
  kHeaders,      // a header block beyond all bounds
  kFaults,       // too many broken frames and malformed calls
  kSlowStart,    // no whole preface in time
  kSlowHeaders,  // no whole header block in time
  kStalled,      // takes none of the answers that wait for it
  kGuardCount
};

constexpr std::array<const char*, kGuardCount> kGuardNames = {
    "fine",       "resets",  "continuations", "settings", "pings",  "priorities", "window_updates",
    "empty_data", "strange", "headers",       "faults",   "slow_start", "slow_headers", "stalled"};

inline const char* guard_name(Guard guard) { return kGuardNames[guard]; }

// At first a connection has `burst` frames of a kind; a second adds `rate`, a call answered to its
// end adds `earned`, one refused `refused`, and there are never more than `burst`. A client that is
// refused and asks again measures and opens windows as any other, and is to hear the reason, not
// lose its connection; but a refusal costs a hostile one nothing, and earns no resets, no faults.
struct Budget {
  std::int32_t burst;
  std::int32_t rate;
  std::int32_t earned;
  std::int32_t refused;
};

// Indexed by Guard, kResets to kFaults. Where an honest client is known to need much, it is noted.
constexpr std::array<Budget, kSlowStart> kBudgets = {{
    {0, 0, 0, 0},
    {1000, 100, 1, 0},   // deadlines that pass all at once, at every connection's whole width
    {0, 0, 0, 0},        // counted per header block, see kContinuationsMost
    {64, 1, 0, 0},       // a setting is changed a few times in a connection's life
    {1000, 20, 2, 2},    // gRPC measures bandwidth with a PING per round of data
    {256, 10, 1, 1},     // some clients build a tree of priorities first
    {4000, 100, 8, 8},   // two for each frame of a long answer; DATA sent earns too
    {100, 10, 2, 2},
    {100, 10, 0, 0},
    {0, 0, 0, 0},        // counted per header block, see header()
    {200, 20, 1, 0},
}};

constexpr std::int64_t kEarnedByData = 4;  // WINDOW_UPDATE frames for each DATA frame sent
constexpr std::int32_t kContinuationsMost = 8;  // honest metadata fits in two frames
constexpr std::int32_t kFieldsMost = 256;       // of one header block; gRPC's own are about 10
constexpr std::size_t kFieldOverhead = 32;      // as HTTP/2 counts a field beside its text
constexpr std::size_t kHeadersEnd = 4;  // times the bound of a call's metadata ends the connection
constexpr std::int64_t kGuardSecond = 1'000'000'000;      // ns
constexpr std::int64_t kStartMost = 10 * kGuardSecond;    // from accept to the client's SETTINGS
constexpr std::int64_t kHeadersMost = 10 * kGuardSecond;  // from HEADERS to END_HEADERS
constexpr std::int64_t kStallMost = 30 * kGuardSecond;
constexpr std::int64_t kStallPressed = 2 * kGuardSecond;
constexpr std::int64_t kStallBytes = 16384;  // to be taken within kStallMost, or all if it is less

// What a header field means for its call.
enum class Field : std::uint8_t { kTaken, kRefuseCall, kEndConnection };

// HTTP/2's names of what a guard needs to tell apart.
enum FrameType : std::uint8_t {
  kFrameData,
  kFrameHeaders,
  kFramePriority,
  kFrameReset,
  kFrameSettings,
  kFramePushPromise,
  kFramePing,
  kFrameGoaway,
  kFrameWindowUpdate,
  kFrameContinuation
};
constexpr std::uint8_t kFlagAck = 1;
constexpr std::uint8_t kFlagEndStream = 1;
constexpr std::uint8_t kFlagEndHeaders = 4;

class Guards {
 public:
  explicit Guards(std::int64_t now) : refilled_(now), start_(now) {
    for (std::size_t kind = 0; kind < kBudgets.size(); ++kind) left_[kind] = kBudgets[kind].burst;
  }

  // A frame's header was read, whatever its body will turn out to be.
  Guard frame(std::uint8_t type, std::uint8_t flags, std::size_t size, std::int64_t now) {
    switch (type) {
      case kFrameData:
        return size || (flags & kFlagEndStream) ? kFine : spend(kEmptyData, now);
      case kFrameHeaders:
        open_block(flags, now);
        return kFine;
      case kFrameContinuation:
        if (flags & kFlagEndHeaders) block_ = 0;
        return ++continuations_ > kContinuationsMost ? kContinuations : kFine;
      case kFramePriority:
        return spend(kPriorities, now);
      case kFrameReset:
        return spend(kResets, now);
      case kFrameSettings:
        if (!(flags & kFlagAck)) start_ = 0;
        return spend(kSettings, now);
      case kFramePing:
        return spend(kPings, now);
      case kFrameWindowUpdate:
        return spend(kWindowUpdates, now);
      default:
        return spend(kStrange, now);
    }
  }

  // A field of the header block that is being read, uncompressed: a few bytes on the wire can name
  // a long one again and again. Its call is refused above `bytes_most`, and the connection is ended
  // where it goes on regardless.
  Field header(std::size_t name_size, std::size_t value_size, std::size_t bytes_most) {
    block_bytes_ += name_size + value_size + kFieldOverhead;
    ++block_fields_;
    if (block_bytes_ <= bytes_most && block_fields_ <= kFieldsMost) return Field::kTaken;
    const bool ends = block_bytes_ > kHeadersEnd * bytes_most ||
                      block_fields_ > static_cast<std::int32_t>(kHeadersEnd) * kFieldsMost;
    return ends ? Field::kEndConnection : Field::kRefuseCall;
  }

  // A frame that breaks the protocol, or a call that is no gRPC.
  Guard fault(std::int64_t now) { return spend(kFaults, now); }

  // A call was answered to its end: its client may ask for more.
  void answered() { ++answers_; }

  // A call was answered with an error.
  void refused() { ++refusals_; }

  // A DATA frame was handed to the connection: its client tells windows for it.
  void data_sent() { ++data_; }

  // Bytes of answers wait, `held_back` in all, whether for a window or for the socket, after `sent`
  // bytes left since the last time this was told. Call it at the end of each round that moved any.
  void output(std::int64_t sent, std::int64_t held_back, std::int64_t now) {
    if (!held_back) {
      waiting_ = 0;
    } else if (!waiting_) {
      waiting_ = now;
      taken_ = 0;
    } else if ((taken_ += sent) >= kStallBytes) {
      waiting_ = now;
      taken_ = 0;
    }
  }

  // What has taken too long; a timer of about a second asks. `pressed`: room for messages is short,
  // and there is less patience with who takes no answers.
  Guard overdue(std::int64_t now, bool pressed) const {
    if (start_ && now - start_ > kStartMost) return kSlowStart;
    if (block_ && now - block_ > kHeadersMost) return kSlowHeaders;
    if (waiting_ && now - waiting_ > (pressed ? kStallPressed : kStallMost)) return kStalled;
    return kFine;
  }

 private:
  Guard spend(Guard kind, std::int64_t now) {
    if (__builtin_expect(--left_[kind] >= 0, 1)) return kFine;
    refill(now);
    return --left_[kind] >= 0 ? kFine : kind;
  }

  // What was earned since the last time, and what whole seconds have added.
  void refill(std::int64_t now) {
    const std::int64_t passed = (now - refilled_) / kGuardSecond;
    const std::int64_t seconds = std::clamp<std::int64_t>(passed, 0, 3600);
    for (std::size_t kind = kResets; kind < kBudgets.size(); ++kind) {
      const Budget& budget = kBudgets[kind];
      std::int64_t more = budget.rate * seconds + budget.earned * answers_ +
                          budget.refused * refusals_;
      if (kind == kWindowUpdates) more += kEarnedByData * data_;
      const std::int64_t left = std::max(left_[kind], 0) + more;
      left_[kind] = static_cast<std::int32_t>(std::min<std::int64_t>(left, budget.burst));
    }
    refilled_ += seconds * kGuardSecond;
    answers_ = refusals_ = data_ = 0;
  }

  void open_block(std::uint8_t flags, std::int64_t now) {
    block_ = flags & kFlagEndHeaders ? 0 : now;
    block_bytes_ = 0;
    block_fields_ = 0;
    continuations_ = 0;
  }

  std::array<std::int32_t, kBudgets.size()> left_;
  std::int64_t answers_ = 0;  // since the last refill, as the next two
  std::int64_t refusals_ = 0;
  std::int64_t data_ = 0;
  std::int64_t refilled_;
  std::int64_t start_;        // since when the preface is waited for; 0: it has come
  std::int64_t block_ = 0;    // since when a header block is open; 0: none is
  std::int64_t waiting_ = 0;  // since when too little was taken of what waits; 0: nothing waits
  std::int64_t taken_ = 0;
  std::size_t block_bytes_ = 0;
  std::int32_t block_fields_ = 0;
  std::int32_t continuations_ = 0;
};

}  // namespace atp
