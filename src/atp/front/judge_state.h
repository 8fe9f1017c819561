// What one thread of the front needs to judge calls, used again from call to call. Owns the counts
// of outcomes and the default time to live, which other threads may read and set at any time.
#pragma once
#include "atp/front/checked.h"
#include "atp/front/told_error.h"

namespace atp {

constexpr int kCountedMethods = 4;   // Reserve, Commit, Release, Extend
constexpr int kCountedOutcomes = 16;  // more than either has
constexpr int kJournalReasons = 2;    // of commands that the journal refused: full, behind

struct Judge {
  Judge(Engine* judged, std::int64_t ttl) : engine(judged), default_ttl(ttl) {}
  Judge(const Judge&) = delete;
  Judge& operator=(const Judge&) = delete;

  // By one thread, this judge's own; read by any.
  void count(int method, int outcome) { raise(&counts[method][outcome]); }
  void count_refused(int journal_reason) { raise(&journal_refused[journal_reason]); }
  std::int64_t counted(int method, int outcome) const {
    return __atomic_load_n(&counts[method][outcome], __ATOMIC_RELAXED);
  }
  std::int64_t refused_by(int journal_reason) const {
    return __atomic_load_n(&journal_refused[journal_reason], __ATOMIC_RELAXED);
  }

  // After a call: memory that is more than is commonly needed goes back.
  void close() {
    out.close();
    said.close();
    if (lines.capacity() > kRoomKept / sizeof(LineAsk)) LineRoom().swap(lines);
    if (batch.commands.capacity() > kRoomKept / sizeof(Asked)) {
      std::vector<Asked>().swap(batch.commands);
    }
  }

  Engine* const engine;
  std::int64_t default_ttl;  // ns
  std::int64_t counts[kCountedMethods][kCountedOutcomes] = {};
  std::int64_t journal_refused[kJournalReasons] = {};

  // For the call under way.
  Asked asked{};
  Checked checked{};
  LineRoom lines;
  AskedBatch batch;
  Out out;
  Out said;  // of a batch: the result before it
  Refused refused;

 private:
  static void raise(std::int64_t* one) {
    __atomic_store_n(one, __atomic_load_n(one, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
  }
};

}  // namespace atp
