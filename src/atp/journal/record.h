// A journal record as it lies in a segment: a RecordHead, then an atp.v1.Event message, nothing
// between records. Owns checksum and bounds; opens no file. docs/journal-format.md has every byte.
#pragma once
#include "atp/engine/tail.h"

namespace atp {

inline std::uint64_t record_checksum(const char* record, std::size_t event_size) {
  return hash64(record + sizeof(std::uint64_t),
                sizeof(RecordHead) - sizeof(std::uint64_t) + event_size);
}

// Finishes a record that the engine left in its tail.
inline void seal_record(char* record, std::uint32_t behind) {
  RecordHead head;
  std::memcpy(&head, record, sizeof head);
  head.behind = behind;
  std::memcpy(record, &head, sizeof head);
  head.checksum = record_checksum(record, head.size);
  std::memcpy(record, &head.checksum, sizeof head.checksum);
}

// The size of the record that begins here, head and event, or 0: there is no whole and sound one.
// Zeros are none.
inline std::size_t sound_record(const char* at, std::size_t room, RecordHead* head) {
  if (room < sizeof(RecordHead)) return 0;
  std::memcpy(head, at, sizeof *head);
  if (head->size == 0 || head->size > kEventBytesMost) return 0;
  if (room - sizeof(RecordHead) < head->size || head->sequence <= 0) return 0;
  if (head->checksum != record_checksum(at, head->size)) return 0;
  return sizeof(RecordHead) + head->size;
}

}  // namespace atp
