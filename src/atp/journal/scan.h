// Where the records of a segment end, and what that means: the one judge of torn and damaged, for a
// start, a check and a repair alike. Looks at bytes only; cuts nothing.
//
// A write that a crash broke off may leave anything after the last record that was synced: nothing,
// parts, or later records without the earlier ones, because the system writes pages in any order.
// That is torn, and nobody was told of it. But a later record that says, by how far it was behind,
// that the missing one was durable when it was written, proves a loss; so does the mark. A segment
// that is not the last was whole and synced before the next one got its name.
#pragma once
#include <algorithm>

#include "record.h"

namespace atp {

enum Verdict : int { kClean, kTorn, kDamaged };

// How far records go without a gap.
struct Walk {
  std::size_t end;        // where the next record would begin
  std::int64_t sequence;  // which it would be
};

struct Ending {
  Verdict verdict;
  std::size_t rest_end;           // after the last byte that is not zero
  std::size_t next_at;            // the next sound record of the sequence expected or a later one
  std::int64_t next_sequence;     // 0: there is none
  std::int64_t last_sequence;     // the latest sound record there is; 0: none
  std::int64_t durable_sequence;  // the latest that is known to have been durable
};

inline Walk walk_records(const char* data, std::size_t size, std::size_t at,
                         std::int64_t sequence) {
  RecordHead head;
  while (const std::size_t whole = sound_record(data + at, size - at, &head)) {
    if (head.sequence != sequence) break;
    at += whole;
    ++sequence;
  }
  return Walk{at, sequence};
}

// After the last byte that is not zero, or `at`.
inline std::size_t find_zeros(const char* data, std::size_t size, std::size_t at) {
  std::uint64_t eight;
  while (size - at >= 8) {
    std::memcpy(&eight, data + size - 8, 8);
    if (eight) break;
    size -= 8;
  }
  while (size > at && data[size - 1] == 0) --size;
  return size;
}

// The first sound record, at any byte from `at` on, with this sequence or a later one; `size` when
// there is none.
inline std::size_t find_record(const char* data, std::size_t size, std::size_t at,
                               std::int64_t sequence, RecordHead* head) {
  for (; size - at > sizeof(RecordHead); ++at) {
    if (sound_record(data + at, size - at, head) && head->sequence >= sequence) return at;
  }
  return size;
}

// Judges what stands where the record of a sequence does not. `synced` is the mark.
inline Ending judge_end(const char* data, std::size_t size, std::size_t at, std::int64_t expected,
                        std::int64_t synced, bool is_last) {
  Ending ending{kClean, find_zeros(data, size, at), size, 0, 0, synced};
  RecordHead head;
  const std::size_t last_begin = ending.rest_end;  // the end of the last record may be zeros
  std::size_t found = at;
  while (found < last_begin) {
    found = find_record(data, size, found, expected, &head);
    if (found >= last_begin) break;
    if (ending.next_sequence == 0) {
      ending.next_at = found;
      ending.next_sequence = head.sequence;
    }
    if (head.sequence > ending.last_sequence) ending.last_sequence = head.sequence;
    const std::int64_t durable = head.sequence - head.behind;
    if (durable > ending.durable_sequence) ending.durable_sequence = durable;
    found += sizeof head + head.size;
    ending.rest_end = std::max(ending.rest_end, found);
  }
  const bool proven = is_last && ending.durable_sequence >= expected;
  if (proven || (!is_last && ending.rest_end > at)) {
    ending.verdict = kDamaged;
  } else if (ending.rest_end > at) {
    ending.verdict = kTorn;
  }
  return ending;
}

}  // namespace atp
