// What is sent and answered, as the entries of one file of a history (atp.v1.HistoryEntry, each
// after its size). Owns their bytes and a thread that writes them, so that a load waits for no disk
// unless the disk falls far behind. Opens and names no file, and judges nothing that it records.
#pragma once
#include <errno.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <protozero/pbf_writer.hpp>
#include <protozero/varint.hpp>
#include <string>
#include <string_view>
#include <thread>

namespace atp::load {

// Numbers of atp.v1.HistoryMethod.
enum class Method : std::uint8_t {
  kReserve = 1,
  kCommit = 2,
  kRelease = 3,
  kExtend = 4,
  kGetAvailability = 6,
  kExecute = 7,
};

// Who records, and by which clock; what the first entry of a file says.
struct Recorder {
  std::string clock_name;
  std::int64_t wall_time_ns = 0;
  std::string name;
  std::string settings_json;
};

class HistoryWriter {
 public:
  explicit HistoryWriter(int file) : file_(file), thread_([this] { write_all(); }) {}
  ~HistoryWriter() { stop(); }
  HistoryWriter(const HistoryWriter&) = delete;
  HistoryWriter& operator=(const HistoryWriter&) = delete;

  void begin(const Recorder& recorder, std::int64_t now) {
    std::string begun;
    protozero::pbf_writer writer(begun);
    writer.add_int32(1, kFormatVersion);
    writer.add_string(2, recorder.clock_name);
    writer.add_int64(3, now);
    writer.add_int64(4, recorder.wall_time_ns);
    writer.add_string(5, recorder.name);
    writer.add_string(6, recorder.settings_json);
    add_entry(kBegun, begun, {}, {});
    hand_over();
  }

  // A call goes out now. Gives the number that its end is to be told with. `due`: 0 where that is
  // when it was sent.
  std::int64_t add_sent(Method method, std::string_view request, std::int64_t due,
                        std::int64_t now) {
    Fields head, tail;
    head.add(1, static_cast<std::uint64_t>(++calls_));
    head.add(2, static_cast<std::uint64_t>(now));
    head.add(3, static_cast<std::uint64_t>(method));
    head.add_size(4, request.size());
    if (due != 0) tail.add(5, static_cast<std::uint64_t>(due));
    add_entry(kSent, head.view(), request, tail.view());
    return calls_;
  }

  // A call was answered, or its stream ended.
  void add_ended(std::int64_t number, int status, std::string_view response,
                 std::string_view text, bool was_refused, std::int64_t now) {
    Fields head;
    head.add(1, static_cast<std::uint64_t>(number));
    head.add(2, static_cast<std::uint64_t>(now));
    if (status == 0) {
      if (!response.empty()) head.add_size(4, response.size());
      add_entry(kEnded, head.view(), response, {});
      return;
    }
    std::string ended(head.view());
    protozero::pbf_writer writer(ended);
    writer.add_int32(3, status);
    if (!text.empty()) writer.add_string(5, text.data(), text.size());
    if (was_refused) writer.add_bool(6, true);
    add_entry(kEnded, ended, {}, {});
  }

  void add_unsent(std::int64_t count, std::int64_t now) {
    Fields fields;
    fields.add(1, static_cast<std::uint64_t>(now));
    fields.add(2, static_cast<std::uint64_t>(count));
    add_entry(kUnsent, fields.view(), {}, {});
  }

  // The last entry; returns once all is written, or could not be.
  void finish(std::int64_t now) {
    Fields fields;
    fields.add(1, static_cast<std::uint64_t>(now));
    fields.add(2, static_cast<std::uint64_t>(calls_));
    add_entry(kFinished, fields.view(), {}, {});
    hand_over();
    stop();
  }

  // Gives what has been recorded so far to the thread that writes; waits while that is far behind.
  void hand_over() {
    if (filling_.empty()) return;
    std::unique_lock<std::mutex> lock(mutex_);
    taken_.wait(lock, [this] { return waiting_.size() < kWaitingMax; });
    if (waiting_.empty()) {
      waiting_.swap(filling_);
    } else {
      waiting_.append(filling_);
    }
    filling_.clear();
    lock.unlock();
    given_.notify_one();
  }

  // The system's number of why a write failed, after which nothing more is written; 0: none did.
  int error() const { return error_.load(std::memory_order_relaxed); }

 private:
  enum Entry : std::uint32_t { kBegun = 1, kSent = 2, kEnded = 3, kUnsent = 4, kFinished = 6 };
  static constexpr std::int32_t kFormatVersion = 1;
  static constexpr std::size_t kHandOverBytes = 1 << 20;
  static constexpr std::size_t kWaitingMax = 64 << 20;

  // A few numeric fields, or the head of a field of bytes.
  class Fields {
   public:
    void add(std::uint32_t field, std::uint64_t value) {
      bytes_[size_++] = static_cast<char>(field << 3);
      size_ += protozero::add_varint_to_buffer(bytes_ + size_, value);
    }
    void add_size(std::uint32_t field, std::size_t size) {
      bytes_[size_++] = static_cast<char>(field << 3 | 2);
      size_ += protozero::add_varint_to_buffer(bytes_ + size_, size);
    }
    std::string_view view() const { return {bytes_, size_}; }

   private:
    char bytes_[48];
    std::size_t size_ = 0;
  };

  // One entry, whose message is these three after one another.
  void add_entry(Entry entry, std::string_view head, std::string_view body,
                 std::string_view tail) {
    const std::size_t size = head.size() + body.size() + tail.size();
    Fields outer;
    outer.add_size(entry, size);
    char prefix[10];
    const int prefix_size =
        protozero::add_varint_to_buffer(prefix, outer.view().size() + size);
    filling_.append(prefix, static_cast<std::size_t>(prefix_size)).append(outer.view());
    filling_.append(head).append(body).append(tail);
    if (filling_.size() >= kHandOverBytes) hand_over();
  }

  void stop() {
    if (!thread_.joinable()) return;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      is_over_ = true;
    }
    given_.notify_one();
    thread_.join();
  }

  void write_all() {
    std::string writing;
    for (;;) {
      std::unique_lock<std::mutex> lock(mutex_);
      given_.wait(lock, [this] { return is_over_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      writing.clear();
      writing.swap(waiting_);
      lock.unlock();
      taken_.notify_one();
      if (error() == 0) write_out(writing);
    }
  }

  void write_out(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(file_, bytes.data(), bytes.size());
      if (written < 0) {
        if (errno == EINTR) continue;
        error_.store(errno, std::memory_order_relaxed);
        return;
      }
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  const int file_;
  std::int64_t calls_ = 0;
  std::string filling_;
  std::mutex mutex_;  // of the two below
  std::string waiting_;
  bool is_over_ = false;
  std::condition_variable given_, taken_;
  std::atomic<int> error_{0};
  std::thread thread_;  // last: it uses all above
};

}  // namespace atp::load
