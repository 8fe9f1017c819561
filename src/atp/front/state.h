// What the threads of a front share, and what each has for itself: a loop of events with its
// connections, calls, and counts. Owns the layout; loop.pxd and the modules below it act on it.
#pragma once
#include <nghttp2/nghttp2.h>
#include <sys/eventfd.h>
#include <uv.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "../engine/layout.h"
#include "../journal/writer.h"
#include "call.h"
#include "clock.h"
#include "delay.h"
#include "group.h"
#include "guards.h"
#include "headers.h"
#include "judge_state.h"
#include "parked.h"
#include "turn.h"
#include "tls.h"
#include "tls_refusals.h"

namespace atp {

struct FrontOptions {
  std::int64_t calls_max;
  std::int64_t connections_max;
  std::int64_t streams_max;
  std::int64_t message_bytes_max;
  std::int64_t metadata_bytes_max;
  std::int64_t buffer_bytes_max;  // messages being received and answers not yet taken
  std::int64_t idle;              // ns, as all
  std::int64_t request;
  std::int64_t keepalive;
  std::int64_t wait;
  std::int64_t default_ttl;
  bool waits;  // answers wait until what they tell of is durable
};

// A count that one thread writes and any may read.
class Count {
 public:
  void add(std::int64_t delta) { value_.store(get() + delta, std::memory_order_relaxed); }
  std::int64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

// Why a call or a connection was refused, beside the guards' reasons.
enum TurnedAway : int {
  kTooManyConnections,
  kTooManyCalls,
  kTooManyBytes,
  kTooLate,
  kRefusedReasons,
};

constexpr std::size_t kCodes = 17;

struct Counts {
  Count connections;
  Count accepted;   // connections, since the start
  Count open_calls;  // received or parked, not answered
  Count parked;
  Count held;  // bytes
  Count received_bytes;
  Count sent_bytes;
  std::array<std::array<Count, kCodes>, kCallMethods> answered;
  std::array<Count, kRefusedReasons> refused;
  std::array<Count, kGuardCount> ended;
};

struct Loop;

struct Shared {
  FrontOptions options{};
  FrontClock clock;
  Engine* engine = nullptr;
  Writer* writer = nullptr;
  TlsSlot tls;  // empty: not encrypted
  TlsRefusals tls_refusals;
  std::atomic<bool> is_retired{false};
  std::atomic<bool> is_draining{false};
  std::atomic<bool> is_stopping{false};
  std::vector<std::unique_ptr<Loop>> loops;
};

struct Connection {
  explicit Connection(Loop* of, std::int64_t now)
      : loop(of), guards(now), heard(now), idle_since(now) {}
  uv_tcp_t tcp{};
  uv_write_t write{};
  Loop* loop;
  nghttp2_session* session = nullptr;
  Connection* previous = nullptr;
  Connection* next = nullptr;
  Call* calls = nullptr;
  Call* reading = nullptr;  // whose header block or message comes in now
  Guards guards;
  std::unique_ptr<TlsSession> tls;
  std::string wire;         // of TLS, to be sent
  std::string early;        // of a handshake, until it is its turn
  std::string pending;      // output that the socket has not taken
  std::int64_t heard;       // when the last bytes came
  std::int64_t heard_before = 0;  // and those before
  std::int64_t idle_since;  // since when it has had no call
  std::int64_t ended = 0;   // since when all is said, and the client may close; 0: it is not
  std::int64_t moved = 0;   // bytes of output since the guards were told
  std::int64_t held = 0;    // bytes that its calls hold of what is bounded for all
  std::int64_t streams = 0;  // that it was told it may have open
  std::int64_t unsent = 0;  // bytes of answers that HTTP/2 has and has not sent
  std::size_t untaken = 0;  // received, and not yet given back to the client's window
  std::uint32_t last_told = 0;  // of its answers of this round: see Latencies
  std::size_t frame_size = 0;
  std::uint8_t frame_flags = 0;
  Guard tripped = kFine;
  bool is_dirty = false;    // in the loop's line of those with output
  bool is_writing = false;  // the socket has `pending`
  bool is_paused = false;   // not read from
  bool is_waiting = false;  // in the loop's line of handshakes, and not read from either
  bool is_pinged = false;
  bool is_leaving = false;  // was told to go elsewhere
  bool is_last_told = false;  // and which stream is the last one
  bool is_closing = false;
};

constexpr std::size_t kArena = 1 << 20;    // what is read in one round lies still until its end
constexpr std::size_t kReadMost = 1 << 16;
constexpr std::size_t kWriteMost = 1 << 18;
constexpr std::size_t kPieceMost = 1 << 15;  // what HTTP/2 gives at once is less
constexpr std::size_t kHandshakeRead = 1 << 12;  // at once, of who has not shaken hands
constexpr std::int64_t kHandshakeTime = 1'000'000;  // ns of a round, however many want to
constexpr std::int64_t kUnsentMost = 1 << 20;  // who takes no answers asks no questions

struct Loop {
  Loop(Shared* of, int number)
      : shared(of), index(number), judge(of->engine, of->options.default_ttl),
        streams(of->options.streams_max) {}
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop() {
    if (callbacks) nghttp2_session_callbacks_del(callbacks);
    if (option) nghttp2_option_del(option);
    if (bell.fd >= 0) ::close(bell.fd);
  }

  Shared* const shared;
  const int index;
  Judge judge;
  Counts counts;
  Latencies latencies;
  uv_loop_t uv{};
  uv_tcp_t listener{};
  uv_async_t told{};
  uv_timer_t tick{};
  uv_timer_t due{};
  uv_timer_cb on_due = nullptr;
  uv_poll_t rung{};
  Bell bell{-1};
  Turn turn;
  Delay delay;
  std::int64_t streams;  // that each connection may have open
  Refusal too_many;  // calls
  Refusal too_many_bytes;
  Refusal too_late;
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_option* option = nullptr;
  Calls calls;
  Parked parked;
  std::vector<Call*> ready;  // in line to be judged
  std::size_t grouped = 0;   // of them, those that are judged together next
  Waiting group[kGroupMost]{};
  Call* group_calls[kGroupMost]{};
  std::vector<Connection*> dirty;
  std::vector<Connection*> handshakes;  // that wait for their turn
  std::int64_t handshake_time = kHandshakeTime;  // ns that are left for them in this round
  Connection* connections = nullptr;
  std::int64_t now = 0;  // ns of a steady clock, as it was when the round began
  std::int64_t next_due = kNever;
  std::int64_t timer_due = kNever;
  std::int64_t asked = 0;    // the newest change that the writer was asked for
  std::string plain;         // of TLS, while it is read
  std::size_t arena_used = 0;
  std::unique_ptr<char[]> arena{new char[kArena]};
  std::unique_ptr<char[]> output{new char[kWriteMost]};
  bool is_started = false;  // a thread runs it, or has
  bool is_listening = false;
  bool is_retired = false;   // as told to those who watch
  bool is_draining = false;
};

// A count over all loops.
inline std::int64_t sum_of(const Shared& shared, Count Counts::*count) {
  std::int64_t sum = 0;
  for (const auto& loop : shared.loops) sum += (loop->counts.*count).get();
  return sum;
}
inline std::int64_t open_calls(const Shared& shared) { return sum_of(shared, &Counts::open_calls); }
inline std::int64_t connections(const Shared& shared) {
  return sum_of(shared, &Counts::connections);
}
inline std::int64_t held_bytes(const Shared& shared) { return sum_of(shared, &Counts::held); }

// A call or a connection at the head of a list.
template <typename Item>
void link(Item** first, Item* item) {
  item->previous = nullptr;
  item->next = *first;
  if (*first) (*first)->previous = item;
  *first = item;
}
template <typename Item>
void unlink(Item** first, Item* item) {
  (item->previous ? item->previous->next : *first) = item->next;
  if (item->next) item->next->previous = item->previous;
  item->previous = item->next = nullptr;
}

}  // namespace atp
