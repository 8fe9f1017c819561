// What the committer is told and what it tells: options, bounds and figures. Does nothing.
#pragma once
#include <cstddef>
#include <cstdint>

#include "sync_times.h"

namespace atp {

// Bytes that wait, at most, for an event loop to write and sync them itself: more of them are the
// work of a thread of its own, while the loop judges what came meanwhile.
constexpr std::size_t kInlineMost = 64 << 10;

enum Durability : int { kDurableSync, kDurableInterval, kDurableOff };

struct WriterOptions {
  std::size_t segment_bytes;
  Durability durability;
  std::int64_t sync_interval;  // ns
  std::size_t backlog_bytes_most;
  std::int64_t room_kept_bytes;
  bool inline_commits;  // may a waiting thread commit?
  std::int64_t now;  // ns since the Unix epoch
};

struct WriterFigures {
  std::int64_t durable;
  std::int64_t written;
  std::int64_t waiting_bytes;
  SyncFigures syncs;
  std::int64_t written_bytes;
  std::int64_t segment_bytes;  // of the segment in use: its header and records
  std::int64_t space;          // the gate's level, as far as room decides it
  bool behind;
  std::int64_t lag;  // ns; how long the oldest change that is not durable has been known of
};

}  // namespace atp
