// The calls under way on one connection, found by stream. Streams are numbered upwards, so a ring
// of slots does for a table: a number whose slot is still taken is passed over, as HTTP/2 allows.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "answers.h"

namespace atp::load {

struct CallSlot {
  std::uint32_t stream = 0;  // 0: free
  bool has_message = false;
  int http_status = 0;
  int status = -1;
  Errand errand;
  Verdict verdict;           // its hold's name is the next
  std::string hold;
  std::string part;          // of a message that came in pieces
  std::int64_t number = 0;   // in the history
  std::string response;      // kept for the history
};

class CallSlots {
 public:
  static constexpr std::uint32_t kLastStream = 0x7ffffffd;

  explicit CallSlots(std::size_t in_flight) {
    std::size_t size = 8;
    while (size < 4 * in_flight) size *= 2;
    slots_.resize(size);
  }

  std::size_t open() const { return open_; }
  bool used_up() const { return next_ > kLastStream; }

  CallSlot* take(Errand errand) {
    while (at(next_).stream != 0) next_ += 2;
    CallSlot& slot = at(next_);
    slot.stream = next_;
    slot.errand = std::move(errand);
    slot.verdict = {};
    slot.has_message = false;
    slot.http_status = 0;
    slot.status = -1;
    slot.part.clear();
    slot.hold.clear();
    slot.response.clear();
    next_ += 2;
    ++open_;
    return &slot;
  }

  // The slot of a stream; nullptr where there is none, or no longer.
  CallSlot* find(std::uint32_t stream) {
    CallSlot& slot = at(stream);
    return slot.stream == stream && stream != 0 ? &slot : nullptr;
  }

  // Every call under way, in no order.
  template <typename Take>
  void for_each(Take&& take) {
    for (CallSlot& slot : slots_) {
      if (slot.stream != 0) take(&slot);
    }
  }

  void give(CallSlot* slot) {
    slot->stream = 0;
    --open_;
  }

 private:
  CallSlot& at(std::uint32_t stream) { return slots_[(stream >> 1) & (slots_.size() - 1)]; }

  std::vector<CallSlot> slots_;
  std::size_t open_ = 0;
  std::uint32_t next_ = 1;
};

}  // namespace atp::load
