// Header blocks of gRPC calls. Answers are decoded by nghttp2. Requests are few and all alike: each
// field is sent once with its text and from then on as one byte, its place in the table that
// both sides keep, which is what gRPC clients do (nghttp2 itself never files a path).
#pragma once
#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace atp::load {

// What the header blocks of one answer have said.
struct AnswerHeads {
  int http_status = 0;
  int grpc_status = -1;
  std::string grpc_message;  // a copy, as the decoder forgets a field when it reads the next one
  std::string details;       // of a status that is not OK, as base64
};

class RequestTable {
 public:
  static constexpr std::size_t kTableBytes = 4096;  // HTTP/2's, unless the server says otherwise

  // For a server that remembers less than HTTP/2 lets it: all is sent in full each time. To be said
  // before the first block, which then tells the server so.
  void forgo() {
    room_ = 0;
    tells_size_ = true;
  }

  // Begins a block.
  void begin(std::string* block) {
    if (tells_size_) block->push_back(0x20);
    tells_size_ = false;
  }

  void append(std::string* block, std::string_view name, std::string_view value) {
    for (std::size_t place = 0; place < fields_.size(); ++place) {
      if (fields_[place].first == name && fields_[place].second == value) {
        block->push_back(static_cast<char>(0x80 | (kStaticFields + fields_.size() - place)));
        return;
      }
    }
    const std::size_t size = name.size() + value.size() + kFieldBytes;
    const bool is_filed = used_ + size <= room_;
    block->push_back(is_filed ? 0x40 : 0x00);
    append_text(block, name);
    append_text(block, value);
    if (is_filed) {
      used_ += size;
      fields_.emplace_back(name, value);
    }
  }

 private:
  static constexpr std::size_t kStaticFields = 61;
  static constexpr std::size_t kFieldBytes = 32;

  static void append_text(std::string* block, std::string_view text) {
    std::size_t size = text.size();
    if (size < 127) {
      block->push_back(static_cast<char>(size));
    } else {
      block->push_back(127);
      for (size -= 127; size >= 128; size >>= 7) block->push_back(static_cast<char>(size | 128));
      block->push_back(static_cast<char>(size));
    }
    block->append(text);
  }

  std::vector<std::pair<std::string, std::string>> fields_;  // the oldest first
  std::size_t used_ = 0;
  std::size_t room_ = kTableBytes;
  bool tells_size_ = false;
};

// What is left of a call's time; another in each call, so it is filed nowhere.
inline void append_timeout(std::string* block, std::int64_t left_ns) {
  const std::int64_t microseconds = left_ns < 1'000 ? 1 : left_ns / 1'000;
  const bool is_short = microseconds < 100'000'000;  // eight digits are what gRPC allows
  const std::string text = is_short ? std::to_string(microseconds) + "u"
                                    : std::to_string(microseconds / 1'000) + "m";
  block->append("\0\x0cgrpc-timeout", 14);
  block->push_back(static_cast<char>(text.size()));
  block->append(text);
}

class AnswerDecoder {
 public:
  AnswerDecoder() {
    nghttp2_hd_inflater* made = nullptr;
    if (nghttp2_hd_inflate_new(&made) != 0) throw std::bad_alloc();
    inflater_.reset(made);
  }

  // Reads one whole block; false where it is none.
  bool read(std::string_view block, AnswerHeads* heads) {
    auto* at = reinterpret_cast<const std::uint8_t*>(block.data());
    std::size_t left = block.size();
    for (;;) {
      nghttp2_nv field;
      int flags = 0;
      const ssize_t used = nghttp2_hd_inflate_hd2(inflater_.get(), &field, &flags, at, left, 1);
      if (used < 0) return false;
      at += used;
      left -= static_cast<std::size_t>(used);
      if (flags & NGHTTP2_HD_INFLATE_EMIT) take(field, heads);
      if (flags & NGHTTP2_HD_INFLATE_FINAL) break;
      if (!(flags & NGHTTP2_HD_INFLATE_EMIT) && left == 0) return false;
    }
    nghttp2_hd_inflate_end_headers(inflater_.get());
    return true;
  }

 private:
  struct Delete {
    void operator()(nghttp2_hd_inflater* inflater) const { nghttp2_hd_inflate_del(inflater); }
  };

  static void take(const nghttp2_nv& field, AnswerHeads* heads) {
    const std::string_view name(reinterpret_cast<const char*>(field.name), field.namelen);
    const std::string_view value(reinterpret_cast<const char*>(field.value), field.valuelen);
    if (name == "grpc-status") {
      heads->grpc_status = number(value);
    } else if (name == ":status") {
      heads->http_status = number(value);
    } else if (name == "grpc-message") {
      heads->grpc_message = value;
    } else if (name == "grpc-status-details-bin") {
      heads->details = value;
    }
  }

  // A small number in digits; 999 for anything else, which no status is.
  static int number(std::string_view digits) {
    if (digits.empty() || digits.size() > 3) return 999;
    int value = 0;
    for (const char digit : digits) {
      if (digit < '0' || digit > '9') return 999;
      value = value * 10 + (digit - '0');
    }
    return value;
  }

  std::unique_ptr<nghttp2_hd_inflater, Delete> inflater_;
};

}  // namespace atp::load
