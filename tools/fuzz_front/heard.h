// What a server says on a connection, read as a strict client would: frames, header blocks, gRPC's
// messages and statuses. Owns what is not allowed to be said; a connection may end at any byte.
#pragma once
#include <nghttp2/nghttp2.h>

#include <map>
#include <string>

#include "frames.h"

namespace atp::fuzz {

struct HeardStream {
  std::string body;
  bool has_head = false;
  bool has_status = false;  // of gRPC
  bool is_http_error = false;
  bool has_ended = false;
  int code = -1;
};

class Heard {
 public:
  Heard() { nghttp2_hd_inflate_new(&inflater_); }
  ~Heard() { nghttp2_hd_inflate_del(inflater_); }
  Heard(const Heard&) = delete;
  Heard& operator=(const Heard&) = delete;

  void add(const char* bytes, std::size_t size) { unread_.append(bytes, size); }

  // Reads what is whole; why it may not be, or nullptr.
  const char* read() {
    std::string_view left(unread_);
    while (left.size() >= 9) {
      const auto* head = reinterpret_cast<const std::uint8_t*>(left.data());
      const std::size_t size = std::size_t{head[0]} << 16 | head[1] << 8 | head[2];
      if (size > 16384) return "a frame is longer than the client allows";
      if (left.size() < 9 + size) break;
      const std::uint32_t stream = (std::uint32_t{head[5]} & 0x7f) << 24 | head[6] << 16 |
                                   head[7] << 8 | head[8];
      if (const char* fault = frame(head[3], head[4], stream, left.substr(9, size))) return fault;
      left.remove_prefix(9 + size);
    }
    unread_.erase(0, unread_.size() - left.size());
    return nullptr;
  }

  std::map<std::uint32_t, HeardStream> streams;
  std::int64_t answered = 0;          // streams that ended with gRPC's OK
  std::vector<std::string> messages;  // of those

 private:
  const char* frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                    std::string_view body) {
    // A flood may be ended before anything else was said.
    if (!has_begun_ && (type != kSettings || flags & 1) && type != kGoaway) {
      return "the first frame is no SETTINGS";
    }
    has_begun_ = true;
    if (continued_ && (type != kContinuation || stream != continued_)) {
      return "a header block was interrupted";
    }
    switch (type) {
      case kData:
        return data(flags, stream, body);
      case kHeaders:
      case kContinuation:
        if (type == kContinuation && !continued_) return "a CONTINUATION continues nothing";
        continued_ = flags & kEndHeaders ? 0 : stream;
        if (type == kHeaders) ends_ = flags & kEndStream;
        block_ += body;
        return continued_ ? nullptr : headers(stream);
      case kReset:
        if (body.size() != 4 || !stream) return "a RST_STREAM is malformed";
        streams[stream].has_ended = true;
        return nullptr;
      case kSettings:
        return stream || body.size() % 6 ? "a SETTINGS is malformed" : nullptr;
      case kPing:
        return stream || body.size() != 8 ? "a PING is malformed" : nullptr;
      case kGoaway:
        return stream || body.size() < 8 ? "a GOAWAY is malformed" : nullptr;
      case kWindow:
        return body.size() != 4 ? "a WINDOW_UPDATE is malformed" : nullptr;
      default:
        return "a frame is of a type that a server doesn't send";
    }
  }

  const char* data(std::uint8_t flags, std::uint32_t stream, std::string_view body) {
    HeardStream& heard = streams[stream];
    if (!heard.has_head || heard.has_ended) return "DATA comes before or after its call";
    if (flags & kEndStream) return "a call ends without trailers";
    heard.body += body;
    return nullptr;
  }

  const char* headers(std::uint32_t stream) {
    HeardStream& heard = streams[stream];
    if (stream % 2 == 0) return "a header block is of a stream that no client opened";
    if (heard.has_ended) return "a header block comes after its call";
    std::string block;
    block.swap(block_);
    auto* in = reinterpret_cast<std::uint8_t*>(block.data());
    std::size_t left = block.size();
    for (;;) {
      nghttp2_nv field;
      int flags = 0;
      const ssize_t taken = nghttp2_hd_inflate_hd2(inflater_, &field, &flags, in, left, 1);
      if (taken < 0) return "a header block is no HPACK";
      in += taken;
      left -= static_cast<std::size_t>(taken);
      if (flags & NGHTTP2_HD_INFLATE_EMIT) take(heard, field);
      if (flags & NGHTTP2_HD_INFLATE_FINAL) break;
      if (!(flags & NGHTTP2_HD_INFLATE_EMIT) && !left) return "a header block is not whole";
    }
    nghttp2_hd_inflate_end_headers(inflater_);
    if (!heard.has_head) return "an answer has no :status";
    return ends_ ? end(heard) : nullptr;
  }

  static void take(HeardStream& heard, const nghttp2_nv& field) {
    const std::string_view name(reinterpret_cast<const char*>(field.name), field.namelen);
    const std::string_view value(reinterpret_cast<const char*>(field.value), field.valuelen);
    if (name == ":status") {
      heard.has_head = true;
      heard.is_http_error = value != "200";
    } else if (name == "grpc-status") {
      heard.has_status = true;
      heard.code = std::atoi(std::string(value).c_str());
    }
  }

  const char* end(HeardStream& heard) {
    heard.has_ended = true;
    if (!heard.has_status && !heard.is_http_error) return "a call ends without gRPC's status";
    std::string_view body(heard.body);
    while (body.size() >= 5) {
      const auto* head = reinterpret_cast<const std::uint8_t*>(body.data());
      const std::size_t size = std::size_t{head[1]} << 24 | head[2] << 16 | head[3] << 8 | head[4];
      if (head[0] || body.size() < 5 + size) return "an answer's message is not framed";
      if (heard.code == 0) messages.emplace_back(body.substr(5, size));
      body.remove_prefix(5 + size);
    }
    if (!body.empty()) return "an answer goes on behind its message";
    answered += heard.code == 0;
    return nullptr;
  }

  nghttp2_hd_inflater* inflater_ = nullptr;
  std::string unread_;
  std::string block_;
  std::uint32_t continued_ = 0;
  bool ends_ = false;
  bool has_begun_ = false;
};

}  // namespace atp::fuzz
