// How a thread shares a processor's core with others: who serves has it at once, who works ahead
// gives way. Owns what the system is told of that; a system that can't be told, or forbids it, goes
// on as it is. Nothing that is right or wrong depends on it.
#pragma once
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace atp {

// Of sched_setattr(2), as its first version has it; no header of the C library's does everywhere.
struct SchedulingAttributes {
  std::uint32_t size = sizeof(SchedulingAttributes);
  std::uint32_t policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime = 0;
  std::uint64_t deadline = 0;
  std::uint64_t period = 0;
};
static_assert(sizeof(SchedulingAttributes) == 48);

// The calling thread asks for turns as short as there are, 0.1 ms: whoever is woken with less to do
// than the one that runs goes first, instead of after a turn of 3 or 4 ms. Its share stays what it
// was. Since Linux 6.12; an older one takes no notice.
inline void serve_promptly() {
  constexpr std::uint64_t kTurn = 100'000;  // ns
  SchedulingAttributes wanted;
  if (syscall(SYS_sched_getattr, 0, &wanted, sizeof wanted, 0)) return;
  if (wanted.policy != 0) return;  // somebody chose otherwise: a real-time priority, or a batch's
  wanted.runtime = kTurn;
  syscall(SYS_sched_setattr, 0, &wanted, 0);
}

// The calling thread runs where a core has nothing else to do, and a core that it has counts as
// free when another thread is to be placed: one with a small share would keep it until the system
// next evens them out, while two that serve stand in line at the other. For what may as well come
// too late. For good: going back is a privilege.
inline void only_when_idle() {
  SchedulingAttributes wanted;
  wanted.policy = SCHED_IDLE;
  syscall(SYS_sched_setattr, 0, &wanted, 0);
}

// The calling thread runs when those that serve leave it time. For good, too.
inline void give_way(int nice) {
  if (getpriority(PRIO_PROCESS, 0) < nice) setpriority(PRIO_PROCESS, 0, nice);
}

}  // namespace atp
