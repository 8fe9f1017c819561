// Who is told that a sequence is durable: event loops, each by an eventfd of its own. Owns who
// listens; the committer's mutex guards all of it.
#pragma once
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace atp {

constexpr std::int64_t kNobody = INT64_MAX;

// An event loop's ear: rung once a sequence that was asked for through it is durable. Whoever was
// rung and still waits asks again.
struct Bell {
  int fd;
  std::int64_t wanted = kNobody;  // the least that is waited for
};

inline void ring(int fd) {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t rung = ::write(fd, &one, sizeof one);
}

class Bells {
 public:
  void add(Bell* bell) { bells_.push_back(bell); }
  void remove(Bell* bell) { std::erase(bells_, bell); }
  void ask(Bell* bell, std::int64_t sequence) { bell->wanted = std::min(bell->wanted, sequence); }
  void tell(std::int64_t durable) {
    for (Bell* bell : bells_) {
      if (bell->wanted > durable) continue;
      bell->wanted = kNobody;
      ring(bell->fd);
    }
  }

 private:
  std::vector<Bell*> bells_;
};

}  // namespace atp
