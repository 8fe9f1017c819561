// What the judge hands to whoever speaks HTTP/2: an answer's bytes, or why there is none. Owns
// nothing of either side.
#pragma once
#include <cstdint>
#include <string>

namespace atp {

struct Answer {
  std::string message;  // the response, without gRPC's prefix; empty for an error
  std::string text;     // of an error, UTF-8, not yet percent-encoded
  std::string details;  // of an error: a serialized google.rpc.Status, not yet base64
  int code = 0;         // gRPC's status
  std::int64_t reveals = 0;  // the newest change that the answer tells of or lets see; 0: none
  std::int64_t began = 0;    // of a batch: when its last bytes were read; 0: not timed

  // For the next call; the memory stays.
  void clear() {
    message.clear();
    text.clear();
    details.clear();
    code = 0;
    reveals = 0;
    began = 0;
  }
};

}  // namespace atp
