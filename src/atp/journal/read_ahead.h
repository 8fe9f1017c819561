// Records read ahead of whoever applies them: by a thread of its own, in batches, as many as the
// ring has. Owns reading, checking against the checksum, and taking apart; stops at the first place
// where no sound record of the next sequence stands, and judges neither that nor what a record
// says. The bytes of a record live until it was given back. Knows no engine, and no lock of one.
#pragma once
#include <pthread.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#include "atp/engine/event_reader.h"
#include "record.h"

namespace atp {

constexpr unsigned kBatches = 8;
constexpr unsigned kBatchRecords = 512;
constexpr std::size_t kBatchBytes = 32 << 10;
constexpr std::size_t kThreadFrom = 256 << 10;  // bytes; fewer are not worth a thread's start
constexpr std::size_t kRecordBytesMost = kFrame + kEventBytesMost;

// Its lines, if they are many, are read when it is applied.
struct RecordRead {
  EventRead event;
  const char* record;
  std::size_t size;  // of the event
  const char* problem;
};

struct Batch {
  unsigned count;
  bool last;
  int error;  // of the system, where it could not be read on
  std::unique_ptr<char[]> bytes;
  std::size_t room = 0;
  RecordRead records[kBatchRecords];
};

// Bytes in memory, or a file from `at` on.
struct RecordSource {
  const char* data;
  std::size_t size;
  int file;  // -1: there is none
  std::size_t at;
  std::int64_t sequence;  // of the record there
  std::int64_t until;     // the last one wanted
};

// Reads batches; has no state but where it is.
class BatchReader {
  RecordSource source_;

  // Up to `wanted` bytes; `whole` where the source ends with them. False when they can't be read.
  bool read(Batch& batch, std::size_t wanted, const char** bytes, std::size_t* size, bool* whole) {
    if (source_.file < 0) {
      *bytes = source_.data + source_.at;
      *size = source_.size - source_.at;
      *whole = true;
      return true;
    }
    if (batch.room < wanted) {
      batch.bytes.reset(new (std::nothrow) char[wanted]);
      batch.room = batch.bytes ? wanted : 0;
      if (!batch.bytes) return (batch.error = ENOMEM, false);
    }
    *bytes = batch.bytes.get();
    *size = 0;
    for (ssize_t got = 1; got != 0 && *size < wanted;) {
      got = pread(source_.file, batch.bytes.get() + *size, wanted - *size,
                  static_cast<off_t>(source_.at + *size));
      if (got < 0 && errno != EINTR) return (batch.error = errno, false);
      *size += static_cast<std::size_t>(got < 0 ? 0 : got);
    }
    *whole = *size < wanted;
    return true;
  }

  // Does what begins here say that it goes on beyond these bytes?
  static bool reaches_on(const char* at, std::size_t room) {
    RecordHead head;
    if (room < sizeof head) return true;
    std::memcpy(&head, at, sizeof head);
    return head.size <= kEventBytesMost && room - sizeof head < head.size;
  }

  static void take_apart(const char* at, const RecordHead& head, RecordRead& into) {
    into.record = at;
    into.size = head.size;
    into.problem =
        read_event(at + sizeof head, head.size, &into.event, into.event.own_lines, kLinesAhead);
    if (into.problem == nullptr) hash_names(&into.event);
  }

  // Takes records out of these bytes; how many of them that were.
  std::size_t take(const char* bytes, std::size_t size, bool whole, Batch& batch) {
    std::size_t done = 0;
    while (batch.count < kBatchRecords && source_.sequence <= source_.until) {
      RecordHead head;
      const std::size_t record = sound_record(bytes + done, size - done, &head);
      if (record == 0 || head.sequence != source_.sequence) {
        batch.last = whole || record != 0 || !reaches_on(bytes + done, size - done);
        return done;
      }
      take_apart(bytes + done, head, batch.records[batch.count++]);
      done += record;
      ++source_.sequence;
    }
    batch.last = source_.sequence > source_.until;
    return done;
  }

 public:
  explicit BatchReader(const RecordSource& source) : source_(source) {}

  // The next records, one at least unless it is the last batch.
  void fill(Batch& batch) noexcept {
    const char* bytes;
    std::size_t size;
    bool whole;
    batch.count = 0;
    batch.error = 0;
    batch.last = false;
    for (std::size_t wanted = kBatchBytes;; wanted = kRecordBytesMost) {
      batch.last = !read(batch, wanted, &bytes, &size, &whole);
      if (batch.last) return;
      source_.at += take(bytes, size, whole, batch);
      if (batch.last || batch.count != 0) return;
    }
  }
};

// Gives the records one by one, and takes them back in the same order. One thread uses it.
class ReadAhead {
  BatchReader reader_;
  std::unique_ptr<Batch[]> batches_{new Batch[kBatches]};
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable ready_;
  std::atomic<std::uint64_t> filled_{0};  // batches, by the reader
  std::uint64_t freed_ = 0;               // batches that were given back; guarded by the mutex
  bool stopping_ = false;                 // guarded by the mutex
  bool sleeping_ = false;                 // guarded by the mutex: the reader has no room
  std::uint64_t taken_ = 0;               // batches that records are or were given of
  unsigned given_ = 0;                    // of the last of them
  unsigned back_ = 0;                     // of the first that is not yet given back
  bool threaded_ = false;

  Batch& batch(std::uint64_t number) { return batches_[number % kBatches]; }

  // False when nobody wants more. Once the ring was full it waits for half of it, because being
  // woken costs both threads more than a batch does.
  bool wait_for_room() {
    std::unique_lock held(mutex_);
    const auto used = [&] { return filled_.load(std::memory_order_relaxed) - freed_; };
    if (used() == kBatches) {
      sleeping_ = true;
      room_.wait(held, [&] { return stopping_ || used() <= kBatches / 2; });
      sleeping_ = false;
    }
    return !stopping_;
  }

  void run() {
    pthread_setname_np(pthread_self(), "atp-read-ahead");
    while (wait_for_room()) {
      Batch& next = batch(filled_.load(std::memory_order_relaxed));
      reader_.fill(next);
      const bool last = next.last;
      {
        const std::lock_guard held(mutex_);
        filled_.fetch_add(1, std::memory_order_release);
      }
      ready_.notify_one();
      if (last) return;
    }
  }

  // Is another batch there? Where nobody reads ahead, it is read now.
  bool have_another(bool wait) {
    if (filled_.load(std::memory_order_acquire) > taken_) return true;
    if (!threaded_) {
      if (taken_ - freed_ == kBatches) return false;
      reader_.fill(batch(taken_));
      filled_.store(taken_ + 1, std::memory_order_relaxed);
      return true;
    }
    if (!wait) return false;
    std::unique_lock held(mutex_);
    ready_.wait(held, [&] { return filled_.load(std::memory_order_acquire) > taken_; });
    return true;
  }

  void free_batch() {
    const std::lock_guard held(mutex_);
    ++freed_;
    if (sleeping_ && filled_.load(std::memory_order_relaxed) - freed_ <= kBatches / 2) {
      room_.notify_one();
    }
  }

 public:
  explicit ReadAhead(const RecordSource& source) : reader_(source) {}
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;
  ~ReadAhead() {
    if (!threaded_) return;
    {
      const std::lock_guard held(mutex_);
      stopping_ = true;
    }
    room_.notify_one();
    thread_.join();
  }

  // Has a thread read ahead from now on, where the system gives one.
  void start() noexcept {
    try {
      thread_ = std::thread(&ReadAhead::run, this);
      threaded_ = true;
    } catch (const std::system_error&) {
      // then each batch is read when it is needed
    }
  }
  // The next record. nullptr: none is there yet, or with `wait`, which is for who holds none: there
  // is none.
  RecordRead* next(bool wait) {
    while (taken_ == 0 || given_ == batch(taken_ - 1).count) {
      if (taken_ != 0 && batch(taken_ - 1).last) return nullptr;
      if (!have_another(wait)) return nullptr;
      ++taken_;
      given_ = 0;
    }
    return &batch(taken_ - 1).records[given_++];
  }
  // The record that was given first is not needed any more.
  void give_back() {
    if (++back_ < batch(freed_).count) return;
    back_ = 0;
    free_batch();
  }
  // Why it could not be read on, once there is no next record; 0: it could.
  int error() { return batch(taken_ - 1).error; }
};

}  // namespace atp
