// Journal records as one atp.v1.WatchResponse on the wire (proto/atp/v1/maintenance_service.proto):
// the events are copied as they lie in the segment. Owns that message's field numbers; opens no
// file, and believes no byte whose checksum it has not seen.
#pragma once
#include <protozero/pbf_writer.hpp>

#include <string>

#include "record.h"

namespace atp {

struct Packed {
  std::string message;        // the events and where to resume; empty when there is no event in it
  std::int64_t next = 0;      // sequence that the record after the last one read must have
  std::int64_t count = 0;     // events in the message
  std::size_t used = 0;       // bytes of the records read, those passed over included
};

// Reads records from `data`, of which the first must have the sequence `next`: passes over those
// before `first` and packs the others up to `last`. Stops where no sound record with the expected
// sequence stands, which is for the caller to understand: the data may end there.
inline Packed pack_records(const char* data, std::size_t size, std::int64_t next,
                           std::int64_t first, std::int64_t last) {
  Packed packed;
  protozero::pbf_writer response{packed.message};
  RecordHead head;
  for (; next <= last; ++next) {
    const char* record = data + packed.used;
    const std::size_t record_size = sound_record(record, size - packed.used, &head);
    if (record_size == 0 || head.sequence != next) break;
    if (next >= first) {
      protozero::pbf_writer watched{response, 1};
      watched.add_int64(1, next);
      watched.add_message(2, record + sizeof head, head.size);
      ++packed.count;
    }
    packed.used += record_size;
  }
  if (packed.count) response.add_int64(2, next);
  packed.next = next;
  return packed;
}

}  // namespace atp
