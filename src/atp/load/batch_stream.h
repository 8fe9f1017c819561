// One Execute stream: batches that wait for room in the windows, batches that wait for an answer,
// and the answer that is coming in. Owns their order; the connection owns the frames' way out.
#pragma once
#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "errands.h"
#include "frames.h"

namespace atp::load {

struct Batch {
  std::int64_t due = 0;
  std::int64_t number = 0;  // in the history
  std::vector<Errand> errands;
};

class BatchStream {
 public:
  static constexpr std::int64_t kTopUp = kWindowMax / 4;

  std::size_t open() const { return batches_.size(); }
  // The batch whose answer is next, which is waited for no more.
  Batch take_oldest() {
    Batch batch = std::move(batches_.front());
    batches_.pop_front();
    return batch;
  }
  bool waits() const { return sent_ < waiting_.size(); }

  void add(Batch batch, std::string_view message) {
    char prefix[kPrefixBytes] = {0};
    write_u32(prefix + 1, static_cast<std::uint32_t>(message.size()));
    waiting_.append(prefix, sizeof prefix).append(message);
    batches_.push_back(std::move(batch));
  }

  // Puts into `out` as much as both windows take; what they had is taken off.
  void pump(std::string* out, std::uint32_t stream, std::int64_t* connection_window) {
    while (waits()) {
      std::int64_t size = static_cast<std::int64_t>(std::min(waiting_.size() - sent_,
                                                             kFrameBytesMax));
      size = std::min({size, window, *connection_window});
      if (size <= 0) return;
      append_frame(out, kData, 0, stream,
                   {waiting_.data() + sent_, static_cast<std::size_t>(size)});
      sent_ += static_cast<std::size_t>(size);
      window -= size;
      *connection_window -= size;
    }
    waiting_.clear();
    sent_ = 0;
  }

  // Takes a piece of the answers and gives each whole message to `answered`; false where a message
  // is compressed, which was not asked for.
  template <typename Answered>
  bool take(std::string_view piece, Answered&& answered) {
    incoming_.append(piece);
    std::size_t at = 0;
    while (incoming_.size() - at >= kPrefixBytes) {
      if (incoming_[at] != 0) return false;
      const std::size_t size = read_u32(incoming_.data() + at + 1);
      if (incoming_.size() - at - kPrefixBytes < size) break;
      answered(std::string_view(incoming_.data() + at + kPrefixBytes, size));
      at += kPrefixBytes + size;
    }
    incoming_.erase(0, at);
    return true;
  }

  std::int64_t window = kFirstWindow;  // how much more may be sent
  std::int64_t taken = 0;              // received since the server was last given more room
  bool half_closed = false;

 private:
  std::deque<Batch> batches_;
  std::string waiting_;
  std::size_t sent_ = 0;
  std::string incoming_;
};

}  // namespace atp::load
