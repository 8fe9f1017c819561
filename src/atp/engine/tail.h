// The tail: where a change gets its sequence and leaves its event, under a lock of its own, and
// where whoever remembers takes all that came since. Owns the order of records and the bound on
// what waits; writes no file. An append allocates nothing, calls no system, and cannot fail: the
// two stretches have room beyond the bound for one largest event of every thread, and for an expiry
// of every hold.
#pragma once
#include <algorithm>
#include <cstddef>
#include <ctime>

#include "events.h"

namespace atp {

// What stands before each event in the tail: the head of a journal record (docs/journal-format.md).
// The checksum and `behind` are filled in by whoever writes the record.
struct RecordHead {
  std::uint64_t checksum;  // XXH3-64 of all that follows in the record
  std::int64_t sequence;
  std::uint32_t size;    // of the event, in bytes
  std::uint32_t behind;  // how many changes before and with this one were not yet durable
};
static_assert(sizeof(RecordHead) == 24, "a record's head has no holes");
constexpr std::size_t kFrame = sizeof(RecordHead);

constexpr std::size_t kEventBytesMost = std::size_t{1} << 20;  // more than a largest basket takes
constexpr std::size_t kSmallEvent = 1024;  // bytes; encoded before the lock is taken
constexpr std::size_t kKeptBytes = std::size_t{8} << 20;  // a stretch keeps so much memory
constexpr int kStuckSeconds = 10;

// What an ordinary change may fill, and an expiry: above it there is still room for those who asked
// at the same time.
inline std::size_t room_for_changes(const Tail& tail) { return tail.room / 4; }
inline std::size_t room_for_expiries(const Tail& tail) { return tail.room / 4 * 3; }

inline std::size_t used_bytes(const Tail& tail) {
  return __atomic_load_n(&tail.used, __ATOMIC_RELAXED);
}

// Is there room for one event? Asked before the point of no return. False only when nobody took the
// events for a very long time: long before that the gate is closed. Reads nothing that every append
// writes.
inline bool may_append(const Tail& tail) { return load(&tail.crowded) == 0; }

// The same for an expiry, which can't be refused: waits until the events were taken. When nobody
// takes any, there is nobody to remember what is promised here, and the process ends.
inline void wait_to_append(Tail& tail, int seconds_most = kStuckSeconds) {
  const timespec pause{0, 1000000};
  int pauses = 0;
  std::int64_t drained = load(&tail.drained);
  while (used_bytes(tail) > room_for_expiries(tail)) {
    nanosleep(&pause, nullptr);
    if (load(&tail.drained) != drained) pauses = 0;
    drained = load(&tail.drained);
    check(++pauses < seconds_most * 1000, "somebody takes the events that wait");
  }
}

// What the gate shows: room on the disk, and how much waits. The tail is locked.
inline void settle_gate(Engine& engine) {
  constexpr std::int64_t closed = 2, behind = 3;  // gate.pxd
  const Tail& tail = engine.tail;
  store(&engine.gate, tail.behind && tail.space != closed ? behind : tail.space);
}

// From which size on an append has to look. The tail is locked.
inline void settle_alarm(Tail& tail) {
  const std::size_t allowed = tail.most > tail.taken ? tail.most - tail.taken : 0;
  tail.alarm = std::min(allowed, room_for_changes(tail));
}

// Much waits: looks whether it is more than is allowed. The tail is locked.
inline void look_at_much(Engine& engine) {
  Tail& tail = engine.tail;
  store(&tail.crowded, tail.used > room_for_changes(tail));
  if (tail.used + tail.taken > tail.most && !tail.behind) {
    tail.behind = true;
    settle_gate(engine);
  }
}

// Field by field: put together elsewhere and copied as one, the copy waits until all that was
// stored before it is in the cache.
inline void write_head(char* frame, std::int64_t sequence, std::uint32_t size) {
  std::memset(frame, 0, sizeof(RecordHead));
  std::memcpy(frame + offsetof(RecordHead, sequence), &sequence, sizeof sequence);
  std::memcpy(frame + offsetof(RecordHead, size), &size, sizeof size);
}

// Gives the change its sequence and leaves its event. Who has the lock at once writes the event
// where it stays; who must wait for it writes it meanwhile, and copies it then. Called with the
// change's shards locked, so that changes of one thing are in the order of their sequences.
inline std::int64_t append(Engine& engine, EventField kind, const EventFacts& facts) {
  if (!engine.settings.record_events) return add(&engine.shared.sequence, 1);
  Tail& tail = engine.tail;
  const EventSize size = event_size(kind, facts);
  const bool small = size.whole <= kSmallEvent;
  char encoded[kSmallEvent];
  const bool alone = tail.lock.try_take();
  if (!alone) {
    if (small) write_event(kind, facts, size, encoded);
    tail.lock.take();
  }
  ATP_CHECK(size.whole <= kEventBytesMost && tail.used + kFrame + size.whole <= tail.room);
  char* frame = tail.bytes + tail.used;
  if (small && !alone) {
    std::memcpy(frame + kFrame, encoded, size.whole);
  } else {
    write_event(kind, facts, size, frame + kFrame);
  }
  const std::int64_t sequence = engine.shared.sequence + 1;
  store_relaxed(&engine.shared.sequence, sequence);
  write_head(frame, sequence, static_cast<std::uint32_t>(size.whole));
  __atomic_store_n(&tail.used, tail.used + kFrame + size.whole, __ATOMIC_RELAXED);
  if (__builtin_expect(tail.used > tail.alarm, 0)) look_at_much(engine);
  tail.lock.give();
  for (std::size_t i = 0; i < 4; ++i) prefetch_to_write(frame + kFrame + size.whole + 64 * i);
  return sequence;
}

// Records that were taken from the tail, one after another.
struct Taken {
  char* bytes;
  std::size_t size;
};

// Takes all that waits; from now on the other stretch fills. Nothing taken: no bytes. What was
// taken before must have come back.
inline Taken take_tail(Engine& engine) {
  Tail& tail = engine.tail;
  tail.lock.take();
  Taken all{nullptr, tail.used};
  if (all.size) {
    ATP_CHECK(tail.other != nullptr);
    all.bytes = tail.bytes;
    tail.bytes = tail.other;
    tail.other = nullptr;
    tail.taken = all.size;
    settle_alarm(tail);
    __atomic_store_n(&tail.used, std::size_t{0}, __ATOMIC_RELAXED);
    store(&tail.crowded, 0);
  }
  tail.lock.give();
  return all;
}

// Bytes that were taken have been written: they wait no more.
inline void count_written(Engine& engine, std::size_t written) {
  Tail& tail = engine.tail;
  tail.lock.take();
  tail.taken -= written;
  settle_alarm(tail);
  if (tail.behind && tail.used + tail.taken <= tail.most / 2) {
    tail.behind = false;
    settle_gate(engine);
  }
  tail.lock.give();
}

// The stretch with all that was taken comes back.
inline void return_taken(Engine& engine, const Taken& all) {
  if (all.size > kKeptBytes) empty_pages(all.bytes + kKeptBytes, all.size - kKeptBytes);
  engine.tail.lock.take();
  engine.tail.other = all.bytes;
  engine.tail.lock.give();
  add(&engine.tail.drained, 1);
}

// Says how much room the disk has: a level of gate.pxd, but not that of the backlog.
inline void set_space(Engine& engine, std::int64_t level) {
  engine.tail.lock.take();
  engine.tail.space = level;
  settle_gate(engine);
  engine.tail.lock.give();
}

inline bool is_behind(Engine& engine) {
  engine.tail.lock.take();
  const bool behind = engine.tail.behind;
  engine.tail.lock.give();
  return behind;
}

// A writer takes the events from now on, and so many bytes may wait.
inline void attach(Engine& engine, std::size_t most) {
  engine.tail.lock.take();
  engine.tail.has_writer = true;
  engine.tail.most = most;
  settle_alarm(engine.tail);
  engine.tail.lock.give();
}

// The writer goes; what it took and has not written is lost.
inline void detach(Engine& engine, const Taken& all, std::size_t written) {
  if (all.bytes != nullptr) {
    count_written(engine, all.size - written);
    return_taken(engine, all);
  }
  attach(engine, SIZE_MAX);
  set_space(engine, 0);
  engine.tail.has_writer = false;
}

}  // namespace atp
