// The history as commands: each call, and each command of a batch, with its two times and what it
// was told. Owns reading the files of docs/history-format.md and pairing calls with their ends.
// Judges no answer.
#pragma once
#include <tsl/robin_map.h>

#include <limits>
#include <memory>

#include "messages.h"

namespace atp::audit {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

enum class Fate : std::uint8_t {
  kUnknown,  // never answered, or failed: it may have been done
  kDone,     // it says that it changed something, at its sequence
  kRepeat,   // it says that this had been done before
  kRefused,  // it was judged, and changed nothing
  kFailed,   // the server says that it could not be judged, and changed nothing
  kRead,
};

struct Command {
  std::int64_t sent, ended;  // by the file's clock; kNever: was not answered
  const char* request;
  const char* response;
  std::int64_t sequence;     // as told; 0: none
  std::uint32_t request_size, response_size;
  std::uint32_t call;        // its number in its file
  std::uint16_t file;
  Method method;
  Fate fate;
  std::uint32_t in_batch;    // its place in the batch and 1; 0: a call of its own
  std::int32_t status;

  Text asked() const { return {request, request_size}; }
  Text told() const { return {response, response_size}; }
};

// A piece of a history: one file.
struct HistoryFile {
  std::unique_ptr<Mapping> mapping;
  std::string clock_name, recorder;
  std::uint32_t clock = 0;       // files of one clock have the same
  std::int64_t last_time = 0;    // of its entries
  std::int64_t wall_offset = 0;  // what its clock is behind the wall's
  std::int64_t end_wall = 0;     // when it was finished, by the wall's
  std::int64_t torn_bytes = 0, calls = 0, answered = 0, unsent = 0, notes = 0;
  bool is_finished = false;
};

class History {
 public:
  Table<Command> commands;
  std::vector<HistoryFile> files;
  std::vector<std::string> clocks;

  void read(const std::string& path) {
    if (files.size() == 65'535) throw Unusable("a history has at most 65,535 files");
    HistoryFile file;
    file.mapping = std::make_unique<Mapping>(path);
    constexpr std::size_t kCommandBytes = 180;  // of a file, for the shortest commands of a batch
    commands.reserve(commands.size() + file.mapping->bytes().size() / kCommandBytes);
    files.push_back(std::move(file));
    open_.clear();
    read_entries(files.back());
    for (const auto& [number, call] : open_) add(number, call, kNever, -1, {}, false);
    open_.clear();
  }

  std::int64_t bytes() const { return bytes_of(commands); }

 private:
  struct Call {
    std::int64_t sent;
    Text request;
    Method method;
  };

  [[noreturn]] void damaged(std::size_t offset, const std::string& what) const {
    throw Unusable(files.back().mapping->path() + ", byte " + std::to_string(offset) + ": " + what);
  }

  void read_entries(HistoryFile& file) {
    constexpr std::size_t kEntryBytesMax = 64 * 1024 * 1024;
    const Text bytes = file.mapping->bytes();
    std::size_t at = 0;
    bool is_first = true;
    while (at < bytes.size()) {
      std::size_t size = 0, begin = at;
      int shift = 0;
      bool is_whole = false;
      while (begin < bytes.size() && shift < 35 && !is_whole) {
        const auto byte = static_cast<unsigned char>(bytes[begin++]);
        size |= static_cast<std::size_t>(byte & 0x7f) << shift;
        shift += 7;
        is_whole = byte < 0x80;
      }
      if (!is_whole && shift >= 35) damaged(at, "no size of an entry is that long");
      if (is_whole && (size == 0 || size > kEntryBytesMax)) {
        damaged(at, "no entry has " + std::to_string(size) + " bytes");
      }
      if (!is_whole || size > bytes.size() - begin) break;
      if (file.is_finished) damaged(at, "there are entries after the last one");
      read_entry(file, at, bytes.substr(begin, size), is_first);
      is_first = false;
      at = begin + size;
    }
    file.torn_bytes = static_cast<std::int64_t>(bytes.size() - at);
    if (is_first) damaged(0, "there is no entry at all");
    if (file.is_finished && file.torn_bytes) damaged(at, "there are bytes after the last entry");
  }

  void read_entry(HistoryFile& file, std::size_t at, Text bytes, bool is_first) {
    try {
      Reader entry(bytes.data(), bytes.size());
      if (!entry.next()) damaged(at, "this is no entry: it is empty");
      const std::uint32_t kind = entry.tag();
      if (kind < 1 || kind > 6) damaged(at, "an entry of a kind that this reader knows not");
      if ((kind == 1) != is_first) {
        damaged(at, is_first ? "the file does not begin as one" : "the file begins twice");
      }
      Reader message = entry.get_message();
      if (kind == 1) {
        read_begun(file, at, message);
      } else if (kind == 2) {
        read_sent(file, at, message);
      } else if (kind == 3) {
        read_ended(file, at, message);
      } else {
        file.is_finished = kind == 6;
        file.notes += kind == 5;
        while (message.next()) {
          if (kind == 4 && message.tag() == 2) {
            file.unsent += message.get_int64();
          } else if (kind == 6 && message.tag() == 1) {
            file.end_wall = message.get_int64() + file.wall_offset;
          } else {
            message.skip();
          }
        }
      }
    } catch (const protozero::exception& error) {
      damaged(at, std::string("this is no entry: ") + error.what());
    }
  }

  void read_begun(HistoryFile& file, std::size_t at, Reader& begun) {
    std::int32_t version = 0;
    while (begun.next()) {
      switch (begun.tag()) {
        case 1: version = begun.get_int32(); break;
        case 2: file.clock_name = begun.get_string(); break;
        case 3: file.wall_offset -= begun.get_int64(); break;
        case 4: file.wall_offset += begun.get_int64(); break;
        case 5: file.recorder = begun.get_string(); break;
        default: begun.skip();
      }
    }
    if (version != 1) {
      damaged(at, "the format's version is " + std::to_string(version) + "; this reader knows 1");
    }
    while (file.clock < clocks.size() && clocks[file.clock] != file.clock_name) ++file.clock;
    if (file.clock == clocks.size()) clocks.push_back(file.clock_name);
  }

  void read_sent(HistoryFile& file, std::size_t at, Reader& sent) {
    std::int64_t number = 0;
    Call call{0, {}, Method::kNone};
    while (sent.next()) {
      switch (sent.tag()) {
        case 1: number = sent.get_int64(); break;
        case 2: call.sent = sent.get_int64(); break;
        case 3: {
          const std::int32_t method = sent.get_enum();
          if (method < 1 || method >= kMethods) damaged(at, "a call of no method that there is");
          call.method = static_cast<Method>(method);
          break;
        }
        case 4: call.request = text_of(sent); break;
        default: sent.skip();
      }
    }
    if (number < 1 || number > 0xffffffffll) damaged(at, "no call has such a number");
    if (call.method == Method::kNone) damaged(at, "a call of no method");
    file.last_time = std::max(file.last_time, call.sent);
    ++file.calls;
    if (!open_.emplace(number, call).second) {
      damaged(at, "call " + std::to_string(number) + " is sent twice");
    }
  }

  void read_ended(HistoryFile& file, std::size_t at, Reader& ended) {
    std::int64_t number = 0, time = 0;
    std::int32_t status = 0;
    bool is_refusal = false;
    Text response;
    while (ended.next()) {
      switch (ended.tag()) {
        case 1: number = ended.get_int64(); break;
        case 2: time = ended.get_int64(); break;
        case 3: status = ended.get_int32(); break;
        case 4: response = text_of(ended); break;
        case 6: is_refusal = ended.get_bool(); break;
        default: ended.skip();
      }
    }
    const auto found = open_.find(number);
    if (found == open_.end()) {
      damaged(at, "call " + std::to_string(number) + " ends and is not under way");
    }
    if (time < found->second.sent) {
      damaged(at, "call " + std::to_string(number) + " ends before it was sent");
    }
    file.last_time = std::max(file.last_time, time);
    ++file.answered;
    add(number, found->second, time, status, response, is_refusal);
    open_.erase(found);
  }

  // Adds a call's commands: one, or those of its batch.
  void add(std::int64_t number, const Call& call, std::int64_t ended, std::int32_t status,
           Text response, bool is_refusal) {
    Command command{};
    command.sent = call.sent;
    command.ended = ended;
    command.call = static_cast<std::uint32_t>(number);
    command.file = static_cast<std::uint16_t>(files.size() - 1);
    command.method = call.method;
    command.status = status;
    const bool is_batch = call.method == Method::kExecute || call.method == Method::kBatchSetStock;
    if (is_batch) {
      add_batch(command, call.request, status == 0 ? response : Text(), is_refusal);
    } else {
      add_one(command, call.request, response, is_refusal);
    }
  }

  void add_one(Command& command, Text request, Text response, bool is_refusal) {
    command.request = request.data();
    command.request_size = static_cast<std::uint32_t>(request.size());
    command.response = response.data();
    command.response_size = static_cast<std::uint32_t>(response.size());
    if (command.status != 0) {
      command.fate = is_refusal ? Fate::kFailed : Fate::kUnknown;
      if (!is_refusal) command.ended = kNever;  // tells nothing of when it was done, if it was
    } else {
      judge_fate(&command, response);
    }
    commands.push_back(command);
  }

  static void judge_fate(Command* command, Text response) {
    const Method method = command->method;
    if (method == Method::kGetReservation || method == Method::kGetAvailability) {
      command->fate = Fate::kRead;
      return;
    }
    std::int32_t outcome = 0;
    bool is_repeat = false;
    const bool is_cap = method == Method::kSetCap || method == Method::kRemoveCap;
    Reader reader(response.data(), response.size());
    while (reader.next()) {
      const std::uint32_t tag = reader.tag();
      if (is_cap && tag == (method == Method::kSetCap ? 2u : 1u)) {
        command->sequence = reader.get_int64();
      } else if (!is_cap && tag == 1) {
        outcome = reader.get_int32();
      } else if (!is_cap && tag == 3) {
        command->sequence = reader.get_int64();
      } else if (!is_cap && tag == 4) {
        is_repeat = reader.get_bool();
      } else {
        reader.skip();
      }
    }
    const bool is_done = is_cap || outcome == 1 || (method == Method::kReserve && outcome == 2);
    command->fate = !is_done ? Fate::kRefused : is_repeat ? Fate::kRepeat : Fate::kDone;
  }

  // A batch: `response` is empty when it was not answered.
  void add_batch(Command command, Text request, Text response, bool is_refusal) {
    const bool is_stock = command.method == Method::kBatchSetStock;
    const bool is_answered = command.status == 0;
    Reader asked(request.data(), request.size());
    Reader told(response.data(), response.size());
    while (asked.next(1)) {
      const Text one = text_of(asked);
      ++command.in_batch;
      Text answer;
      if (is_answered && !told.next(1)) throw protozero::end_of_buffer_exception();
      if (is_answered) answer = text_of(told);
      if (is_stock) {
        Command entry = command;
        entry.method = Method::kSetStock;
        add_one(entry, one, answer, is_refusal);
      } else {
        add_of_batch(command, one, answer, is_refusal);
      }
    }
  }

  void add_of_batch(Command command, Text one, Text answer, bool is_refusal) {
    Reader asked(one.data(), one.size());
    if (!asked.next() || asked.tag() > 4) return;  // names no command, and so does nothing
    command.method = static_cast<Method>(asked.tag());
    const Text request = text_of(asked);
    if (command.status == 0) {
      Reader told(answer.data(), answer.size());
      if (!told.next()) throw protozero::end_of_buffer_exception();
      if (told.tag() == 5) {
        command.status = 3;
        is_refusal = true;
      }
      answer = text_of(told);
    }
    add_one(command, request, answer, is_refusal);
  }

  tsl::robin_map<std::int64_t, Call> open_;
};

}  // namespace atp::audit
