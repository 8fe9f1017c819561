// Reads, checks and refuses requests while one allocation after the other fails: the first, then
// the second, until none does. Owns the failing; says on stdout, a line for each, what came of it.
// The requests are files: a batch, and calls as METHOD FILE.
#include <cstdio>
#include <fstream>
#include <iterator>

#include "atp/front/judge_state.h"

namespace {
long allocations_left = -1;  // negative: all succeed
bool has_failed = false;

bool fails() {
  if (allocations_left < 0 || allocations_left-- > 0) return false;
  has_failed = true;
  return true;
}
}  // namespace

extern "C" void* __real_malloc(std::size_t size);
extern "C" void* __wrap_malloc(std::size_t size) { return fails() ? nullptr : __real_malloc(size); }

void* operator new(std::size_t size) {
  void* at = fails() ? nullptr : __real_malloc(size);
  if (at == nullptr) throw std::bad_alloc();
  return at;
}
void operator delete(void* at) noexcept { std::free(at); }
void operator delete(void* at, std::size_t) noexcept { std::free(at); }

namespace atp {

// What judging does around the engine: whether it was refused for memory, well or otherwise.
const char* told(Judge& judge, Answer& answer, ReadProblem problem) {
  if (problem == kNoMemory) {
    refuse_memory(&judge.refused);
  } else if (problem == kNoMessage) {
    refuse_message(&judge.refused, "atp.v1.ReserveRequest");
  } else {
    const std::int64_t ttl = judge.default_ttl;
    if (check_asked(judge.asked, judge.lines, ttl, &judge.checked, &judge.refused)) {
      if (judge.out.open(100000)) {
        judge.out.number(1, 1);
        if (take_message(&answer, judge.out)) return "well";
      }
      refuse_memory(&judge.refused);
    }
  }
  tell_refused(&answer, judge.refused);
  return answer.code == kResourceExhausted ? "memory" : "refused";
}

const char* batch(Judge& judge, Answer& answer, const std::string& message) {
  ReadProblem problem = read_batch(message.data(), message.size(), &judge.batch, &judge.lines);
  if (problem == kNoMemory || !make_room(&answer, judge.batch.commands.size() * 96)) {
    refuse_memory(&judge.refused);
    tell_refused(&answer, judge.refused);
    return "memory";
  }
  for (const Asked& asked : judge.batch.commands) {
    const bool sound =
        check_asked(asked, judge.lines, judge.default_ttl, &judge.checked, &judge.refused);
    if (sound ? !judge.out.open(1000) : !tell_error(&judge.out, judge.refused, SIZE_MAX)) {
      return "memory";
    }
    if (!add_message(&answer, judge.out)) return "memory";
  }
  judge.close();
  return "well";
}

const char* call(Judge& judge, Answer& answer, int kind, const std::string& message) {
  return told(judge, answer,
              read_asked(static_cast<AskedKind>(kind), message.data(), message.size(),
                         &judge.asked, &judge.lines));
}

}  // namespace atp

int main(int count, char** words) {
  using namespace atp;
  for (int word = 1; word + 1 < count; word += 2) {
    const int kind = std::atoi(words[word]);
    std::ifstream file(words[word + 1], std::ios::binary);
    const std::string message{std::istreambuf_iterator<char>(file), {}};
    for (long failing = 0;; ++failing) {
      Judge judge(nullptr, 1);
      Answer answer;
      has_failed = false;
      allocations_left = failing;
      const char* outcome =
          kind ? call(judge, answer, kind, message) : batch(judge, answer, message);
      allocations_left = -1;
      std::printf("%d %s %s %d\n", kind, has_failed ? "short" : "enough", outcome, answer.code);
      if (!has_failed) break;
    }
  }
}
