// The committer: takes all that waits in the engine's tail, writes it once, syncs once, and says up
// to which sequence everything is durable. Whoever waits may do it (a native thread, inline, when
// nobody is at it); a thread of its own does it for those who only ask to be told, and by the
// clock. Owns who commits, waking, what waits, and the gate's level of room; names no file
// (segments.h does).
#pragma once
#include <sys/eventfd.h>

#include <condition_variable>

#include "bells.h"
#include "lag.h"
#include "segments.h"
#include "steady.h"
#include "writer_words.h"

namespace atp {

constexpr std::int64_t kPoll = 50000000;
constexpr std::int64_t kBetweenZeros = 5000000;

class Writer {
 public:
  Writer(Engine& engine, const std::string& folder, const std::uint8_t* store_id,
         const WriterOptions& options)
      : engine_(engine), segments_(folder, store_id, options.segment_bytes), options_(options),
        started_(monotonic()), bell_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~Writer() {
    if (bell_ >= 0) close(bell_);
    if (!opened_) return;
    detach(engine_, taken_, at_);
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  int bell() const { return bell_; }
  const Fault& fault() const { return fault_; }
  std::int64_t durable() const { return load(&durable_); }
  std::int64_t written() const { return load(&written_); }

  // Opens the segments and attaches to the engine. False: see fault().
  bool open(std::int64_t last_first_sequence, std::int64_t next_sequence) {
    if (bell_ < 0) return failed(&fault_, "make an eventfd", ""), false;
    const Done done = segments_.open(last_first_sequence, next_sequence, now());
    if (done != Done::kYes) {
      fault_ = done == Done::kFull ? Fault{ENOSPC, "make a segment", ""} : segments_.fault;
      return false;
    }
    store(&durable_, next_sequence - 1);
    store(&written_, next_sequence - 1);
    store(&segment_used_, static_cast<std::int64_t>(segments_.used()));
    attach(engine_, options_.backlog_bytes_most);
    opened_ = true;
    return true;
  }

  // The committer's own loop, until stop() or a failure; false on a failure.
  bool run() {
    std::unique_lock<std::mutex> held(mutex_);
    running_ = true;
    std::int64_t due = monotonic() + options_.sync_interval;
    while (!failed_ && !stopping_) {
      const std::int64_t time = monotonic();
      const bool asked = kicked_ > durable();
      const bool by_clock =
          time >= due || used_bytes(engine_.tail) > options_.backlog_bytes_most / 4;
      if (!committing_ && has_work()) lag_.note(time);
      if (committing_ || (full_ && time < retry_) || !(asked || (by_clock && has_work()))) {
        if (by_clock) due = time + options_.sync_interval;
        const std::int64_t pause = std::clamp<std::int64_t>(due - time, 1, kPoll);
        work_.wait_for(held, std::chrono::nanoseconds(pause));
        continue;
      }
      due = time + options_.sync_interval;
      commit(held, asked || options_.durability != kDurableOff);
    }
    finish(held);
    running_ = false;
    return !failed_;
  }

  // Keeps a spare segment ready, until stop() or a failure.
  void run_ahead() {
    std::unique_lock<std::mutex> held(mutex_);
    while (!failed_ && !stopping_) {
      prepare(held);
      const bool all = write_zeros(held);
      if (failed_ || stopping_) break;
      const bool wanted = all && !short_ && !segments_.spare.is_there();
      const std::int64_t pause = !all ? kBetweenZeros : short_ ? kSecond : 60 * kSecond;
      if (!wanted) ahead_.wait_for(held, std::chrono::nanoseconds(pause));
    }
  }

  // One look after room and the spare segment, now.
  void tend() {
    std::unique_lock<std::mutex> held(mutex_);
    prepare(held);
  }

  // Writes and syncs what waits; run() and run_ahead() return.
  void stop() {
    std::unique_lock<std::mutex> held(mutex_);
    stopping_ = true;
    work_.notify_all();
    ahead_.notify_all();
    if (!running_) finish(held);
  }

  // True once the sequence is durable; false on a failure, after stop(), or when time is up.
  bool wait(std::int64_t sequence, std::int64_t timeout, bool may_commit) {
    if (durable() >= sequence) return true;
    const bool commits = may_commit && options_.inline_commits;
    const auto until = std::chrono::steady_clock::now() + std::chrono::nanoseconds(timeout);
    std::unique_lock<std::mutex> held(mutex_);
    while (durable() < sequence) {
      if (failed_ || stopped_) return false;
      if (!commits && kicked_ < sequence) {
        kicked_ = sequence;
        if (!committing_) work_.notify_one();
      }
      if (!committing_ && !full_ && commits) {
        commit(held, true);
      } else if (done_.wait_until(held, until) == std::cv_status::timeout) {
        return durable() >= sequence;
      }
    }
    return true;
  }

  // True: durable now, maybe because this very call made it so, as it might and nobody else was at
  // it. False: somebody else will, once there is room; the bell, which listens, rings then.
  bool commit_or_ask(std::int64_t sequence, Bell* bell, bool may_commit) {
    if (durable() >= sequence) return true;
    std::unique_lock<std::mutex> held(mutex_);
    if (durable() >= sequence) return true;
    if (failed_ || stopped_) return false;
    lag_.note(monotonic());
    if (may_commit && !committing_ && !full_ && used_bytes(engine_.tail) <= kInlineMost) {
      commit(held, true);
      if (durable() >= sequence) return true;
    }
    bells_.ask(bell, sequence);
    kicked_ = std::max(kicked_, sequence);
    if (!committing_) work_.notify_one();
    return false;
  }

  // The bell rings from now on, for what is asked through it; until quiet().
  void listen(Bell* bell) {
    std::lock_guard<std::mutex> held(mutex_);
    bells_.add(bell);
  }
  void quiet(Bell* bell) {
    std::lock_guard<std::mutex> held(mutex_);
    bells_.remove(bell);
  }

  // Somebody waits for this sequence and listens to the bell.
  void kick(std::int64_t sequence) {
    if (durable() >= sequence) return ring(bell_);
    std::lock_guard<std::mutex> held(mutex_);
    kicked_ = std::max(kicked_, sequence);
    if (durable() >= sequence) return ring(bell_);
    lag_.note(monotonic());
    if (!committing_) work_.notify_one();
  }

  WriterFigures figures() {
    std::unique_lock<std::mutex> held(mutex_);
    SyncTimes times(sync_times_);
    WriterFigures told{};
    told.durable = durable();
    told.written = written();
    told.waiting_bytes =
        static_cast<std::int64_t>(used_bytes(engine_.tail)) + load(&taken_bytes_) - durable_bytes_;
    told.written_bytes = load(&written_bytes_);
    told.segment_bytes = load(&segment_used_);
    told.space = space_;
    told.behind = is_behind(engine_);
    told.lag = is_all_durable() ? 0 : lag_.at(monotonic());
    held.unlock();
    told.syncs = times.figures();
    return told;
  }

 private:
  std::int64_t now() const { return options_.now + monotonic() - started_; }

  bool is_all_durable() const { return load(&engine_.shared.sequence) <= durable(); }
  bool has_work() const {
    return used_bytes(engine_.tail) > 0 || taken_.size > at_ ||
           (written() > durable() && options_.durability != kDurableOff);
  }

  // What is left at the end.
  void finish(std::unique_lock<std::mutex>& held) {
    while (committing_) done_.wait(held);
    if (!failed_ && !stopped_) {
      commit(held, true);
      if (full_ && !failed_) fail(Fault{ENOSPC, "write the last changes to", segments_.path()});
    }
    stopped_ = true;
    done_.notify_all();
    ring(bell_);
  }

  void fail(const Fault& fault) {
    if (!failed_) fault_ = fault;
    failed_ = true;
    work_.notify_all();
    ahead_.notify_all();
    done_.notify_all();
  }

  // All that waits, by whoever comes first; others wait meanwhile. The mutex is held before and
  // after, not during.
  void commit(std::unique_lock<std::mutex>& held, bool with_sync) {
    committing_ = true;
    held.unlock();
    Done done = write_waiting();
    if (done != Done::kFailed && with_sync && written() > durable() && !sync()) {
      done = Done::kFailed;
    }
    held.lock();
    committing_ = false;
    full_ = done == Done::kFull;
    if (full_) retry_ = monotonic() + kSecond;
    if (done == Done::kFailed) fail(segments_.fault);
    settle_space();
    done_.notify_all();
    if (kicked_ > durable()) work_.notify_one();
    if (!segments_.spare.is_there()) ahead_.notify_one();
  }

  Done write_waiting() {
    Done done = Done::kYes;
    if (taken_.size > at_) done = write_taken();
    if (done != Done::kYes) return done;
    lag_.take(monotonic());
    taken_ = take_tail(engine_);
    at_ = 0;
    add(&taken_bytes_, static_cast<std::int64_t>(taken_.size));
    return write_taken();
  }

  // Writes what was taken and not yet written, over as many segments as it takes.
  Done write_taken() {
    while (at_ < taken_.size) {
      std::int64_t last = 0;
      const std::size_t end = seal(&last);
      Done done = Done::kYes;
      if (end == at_) {
        done = rotate();
      } else {
        done = segments_.write(taken_.bytes + at_, end - at_);
        if (done == Done::kYes) {
          count_written(engine_, end - at_);
          add(&written_bytes_, static_cast<std::int64_t>(end - at_));
          store(&written_, last);
          at_ = end;
        }
      }
      store(&segment_used_, static_cast<std::int64_t>(segments_.used()));
      if (done != Done::kYes) return done;
    }
    if (taken_.bytes != nullptr) return_taken(engine_, taken_);
    taken_ = Taken{};
    at_ = 0;
    return Done::kYes;
  }

  // Seals the records that the segment in use has room for; returns where they end. A segment takes
  // at least one, whatever its size.
  std::size_t seal(std::int64_t* last) {
    const std::int64_t durable_now = durable();
    std::size_t room = segments_.room();
    std::size_t end = at_;
    while (end < taken_.size) {
      RecordHead head;
      std::memcpy(&head, taken_.bytes + end, sizeof head);
      const std::size_t whole = kFrame + head.size;
      if (whole > room && !(segments_.is_empty() && end == at_)) break;
      const std::int64_t behind = std::min<std::int64_t>(head.sequence - durable_now, UINT32_MAX);
      seal_record(taken_.bytes + end, static_cast<std::uint32_t>(behind));
      room -= std::min(room, whole);
      end += whole;
      *last = head.sequence;
    }
    return end;
  }

  // The next record begins another segment; what is in this one is durable then.
  Done rotate() {
    RecordHead head;
    std::memcpy(&head, taken_.bytes + at_, sizeof head);
    const Done done = segments_.rotate(head.sequence, now());
    if (done == Done::kYes) become_durable(0);
    return done;
  }

  bool sync() {
    const std::int64_t begin = monotonic();
    if (segments_.sync() != Done::kYes) return false;
    become_durable(monotonic() - begin);
    return segments_.mark_synced(durable()) == Done::kYes;
  }

  // All that was written so far is, after a sync that took so long (0: not one of the usual ones).
  void become_durable(std::int64_t took) {
    std::lock_guard<std::mutex> held(mutex_);
    const std::int64_t before = durable();
    store(&durable_, written());
    lag_.settle(!is_all_durable());
    durable_bytes_ = load(&written_bytes_);
    done_.notify_all();
    if (kicked_ > before) ring(bell_);
    bells_.tell(durable());
    if (took) sync_times_.add(took);
  }

  // The gate, by the room there is. The mutex is held.
  void settle_space() {
    constexpr std::int64_t open = 0, new_holds = 1, all = 2;  // gate.pxd
    const std::size_t margin = std::min(options_.segment_bytes / 8, kEventBytesMost);
    std::int64_t level = short_ ? new_holds : open;
    const bool little = load(&segment_used_) + static_cast<std::int64_t>(margin) >
                        static_cast<std::int64_t>(options_.segment_bytes);
    if (full_ || (short_ && little && !segments_.spare.is_there())) level = all;
    if (level != space_) set_space(engine_, level);
    space_ = level;
  }

  // Makes the spare segment; the mutex is held before and after, not during.
  void prepare(std::unique_lock<std::mutex>& held) {
    if (failed_ || stopping_) return;
    Fault fault;
    held.unlock();
    const Done done = segments_.spare.make(&fault);
    const bool little = segments_.free_bytes() < options_.room_kept_bytes;
    held.lock();
    if (done == Done::kFailed) return fail(fault);
    short_ = done == Done::kFull || little;
    if (full_ && done == Done::kYes) {
      full_ = false;
      retry_ = 0;
      work_.notify_one();
      done_.notify_all();
    }
    settle_space();
  }

  // Goes on with the zeros of the spare segment; true: there are no more to write.
  bool write_zeros(std::unique_lock<std::mutex>& held) {
    Fault fault;
    bool all = true;
    held.unlock();
    const Done done = segments_.write_zeros(&all, &fault);
    held.lock();
    if (done == Done::kFailed) fail(fault);
    return all || done != Done::kYes;
  }

  Engine& engine_;
  Segments segments_;
  const WriterOptions options_;
  const std::int64_t started_;
  const int bell_;
  bool opened_ = false;

  alignas(64) std::int64_t durable_ = 0;
  std::int64_t written_ = 0;

  alignas(64) std::mutex mutex_;
  std::condition_variable work_, done_, ahead_;
  bool committing_ = false;
  bool running_ = false;
  bool stopping_ = false;
  bool stopped_ = false;
  bool failed_ = false;
  bool full_ = false;   // records wait that the disk has no room for
  bool short_ = false;  // no room for a spare segment
  std::int64_t kicked_ = 0;
  Bells bells_;
  std::int64_t retry_ = 0;
  std::int64_t space_ = 0;
  std::int64_t durable_bytes_ = 0;
  Lag lag_;
  SyncTimes sync_times_;
  Fault fault_;

  // Whoever commits has these to itself; others may look at the counts.
  Taken taken_{};
  std::size_t at_ = 0;  // bytes of it that are written
  std::int64_t taken_bytes_ = 0;
  std::int64_t written_bytes_ = 0;
  std::int64_t segment_used_ = 0;
};

}  // namespace atp
