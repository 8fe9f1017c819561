// One round of fuzzing: a seed, what was worth keeping, the input under way and where it is found
// after a crash. Owns drawing inputs; runs nothing and judges nothing.
#pragma once
#include <fcntl.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include "coverage.h"
#include "frames.h"

#if defined(__SANITIZE_ADDRESS__)
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();
#endif

namespace atp::fuzz {

// What is fuzzed; run.py has the names.
enum Kind : int { kJudge, kSocketBytes, kSessionFrames, kCallFraming, kCallMessages, kKinds };

inline std::size_t bytes_allocated() {
#if defined(__SANITIZE_ADDRESS__)
  return __sanitizer_get_current_allocated_bytes();
#else
  return mallinfo2().uordblks;
#endif
}

// The input under way, in a file that outlives the process. Its head: which one it is, its method,
// its size.
class Noted {
 public:
  static constexpr std::size_t kRoom = std::size_t{1} << 22;

  bool open(const char* path) {
    const int file = ::open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0) return false;
    if (ftruncate(file, kRoom) == 0) {
      void* memory = mmap(nullptr, kRoom, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
      if (memory != MAP_FAILED) memory_ = static_cast<char*>(memory);
    }
    ::close(file);
    return memory_ != nullptr;
  }
  ~Noted() {
    if (memory_) munmap(memory_, kRoom);
  }
  void note(std::int64_t number, int method, std::string_view input) {
    const std::int64_t head[] = {number, method, static_cast<std::int64_t>(input.size())};
    std::memcpy(memory_, head, sizeof(head));
    std::memcpy(memory_ + sizeof(head), input.data(), std::min(input.size(), kRoom - sizeof(head)));
  }

 private:
  char* memory_ = nullptr;
};

struct Kept {
  int method;
  std::string input;
};

class Round {
 public:
  static constexpr std::size_t kKeptMost = 2000;

  Round(Kind fuzzed, std::uint64_t seed) : kind(fuzzed), dice(seed) {}

  // The next input; `method` is that of a judge's, and 0 for a session's.
  void draw() {
    if (!kept.empty() && dice.one_in(2)) {
      const Kept& chosen = dice.of(kept);
      method = dice.one_in(30) ? static_cast<int>(dice.below(kMethods)) : chosen.method;
      input = chosen.input;
      bend();
    } else {
      make();
    }
  }

  void keep() {
    if (input.size() > 6000) return;  // what is long costs more than it finds
    if (kept.size() < kKeptMost) {
      kept.push_back({method, input});
    } else {
      dice.of(kept) = {method, input};
    }
  }

  const Kind kind;
  Dice dice;
  World world;
  int method = 0;
  std::string input;
  std::vector<Kept> kept;

 private:
  std::string_view another() { return kept.empty() ? kPreface : dice.of(kept).input; }

  void bend() {
    for (std::size_t steps = 1 + dice.below(3); steps; --steps) {
      std::vector<Frame> frames;
      if (kind == kJudge) {
        input = mutate_message(input, another(), dice);
      } else if (kind != kSocketBytes && !dice.one_in(4) && take_frames(input, frames)) {
        mutate_frames(frames, dice);
        input = written(frames);
      } else {
        mutate_bytes(input, another(), dice);
      }
    }
    // Inputs that grow at each step would soon be all that is tried.
    if (input.size() > 400'000) input.resize(400'000);
  }

  void make() {
    switch (kind) {
      case kJudge:
        method = static_cast<int>(dice.below(kMethods));
        input = dice.one_in(50) ? dice.bytes(dice.below(60)) : valid_request(method, world, dice);
        if (dice.one_in(2)) bend();
        return;
      case kSocketBytes:
        make_bytes();
        return;
      default:
        make_session();
    }
  }

  void make_bytes() {
    if (dice.one_in(3)) {
      input = dice.one_in(2) ? std::string(kPreface) : "";
      input += dice.bytes(dice.below(400));
      return;
    }
    input = written(valid_session(world, whole, false, dice));
    bend();
  }

  void make_session() {
    const bool is_framing = kind == kCallFraming;
    std::vector<Frame> frames =
        valid_session(world, is_framing ? bent_framing : whole, kind == kCallMessages, dice);
    if (kind == kSessionFrames) {
      for (std::size_t steps = 1 + dice.below(4); steps; --steps) mutate_frames(frames, dice);
    }
    input = written(frames);
  }
};

}  // namespace atp::fuzz
