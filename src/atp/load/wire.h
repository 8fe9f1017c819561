// One socket and what waits to go through it: whole frames in, bytes out, and HTTP/2's own business
// (settings, pings, windows of the connection, goodbye). Owns no call: what is about streams goes
// to whoever derives from it. Any fault of the server's ends the connection with a reason.
#pragma once
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "frames.h"
#include "header_blocks.h"
#include "tls.h"
#include "traffic.h"

namespace atp::load {

class Wire {
 public:
  Wire(int socket, Traffic* traffic)
      : socket_(socket),
        traffic_(traffic),
        tls_(traffic->tls ? std::make_unique<TlsSession>(*traffic->tls) : nullptr) {
    in_.resize(kInBytes);
    out_.append(kPreface);
    char window[6] = {0, kInitialWindowSize};
    write_u32(window + 2, static_cast<std::uint32_t>(kWindowMax));
    append_frame(&out_, kSettings, 0, 0, {window, sizeof window});
    append_window_update(&out_, 0, kWindowMax - kFirstWindow);
  }
  virtual ~Wire() = default;
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  int socket() const { return socket_; }
  bool is_ready() const { return has_settings_; }  // the server has told its settings
  bool is_leaving() const { return leaving_; }     // and takes no new calls
  bool has_ended() const { return !reason_.empty(); }
  const std::string& reason() const { return reason_; }
  bool has_output() const {
    return sent_ < sending().size() ||
           (tls_ && (tls_->has_output() || (tls_->is_open() && !out_.empty())));
  }
  bool is_blocked() const { return blocked_; }  // the socket took less than all

  // Nothing more is sent or read.
  void leave(std::string reason) { end(std::move(reason)); }

  // Reads what is there, once; false when the connection has ended.
  bool read() {
    if (tls_) return read_encrypted();
    const ssize_t got = receive(in_.data() + filled_, in_.size() - filled_);
    if (got == 0) return !has_ended();
    filled_ += static_cast<std::size_t>(got);
    return take_frames();
  }

  // Sends what waits, as far as the socket takes it; false when the connection has ended.
  bool flush() {
    if (tls_ && !encrypt()) return false;
    while (sent_ < sending().size() && !has_ended()) {
      const ssize_t sent = send(socket_, sending().data() + sent_, sending().size() - sent_,
                                MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0) {
        if (errno == EINTR) continue;
        if (errno == EAGAIN) return blocked_ = true;
        return end_socket(errno);
      }
      sent_ += static_cast<std::size_t>(sent);
      traffic_->tally.bytes_sent += sent;
    }
    if (sent_ == sending().size()) {
      sending().clear();
      sent_ = 0;
      blocked_ = false;
    }
    return !has_ended();
  }

 protected:
  virtual bool take_data(const FrameHead& head, std::string_view payload) = 0;
  virtual bool take_heads(std::uint32_t stream, const AnswerHeads& heads, bool is_last) = 0;
  virtual bool take_reset(std::uint32_t stream, std::uint32_t code) = 0;
  virtual void widen(std::uint32_t stream, std::int64_t more) = 0;
  virtual void widen_all(std::int64_t more) = 0;  // the initial window has changed
  virtual bool check_window() = 0;                // the server has told all its settings

  bool end(std::string reason) {
    if (reason_.empty()) reason_ = std::move(reason);
    return false;
  }

  Traffic* traffic() { return traffic_; }

  std::string out_;
  RequestTable table_;
  std::int64_t now_ = 0;                     // when the last bytes were read
  std::int64_t moved_ = now_ns();            // or when something was first waited for
  std::int64_t send_window_ = kFirstWindow;  // the connection's
  std::int64_t stream_window_ = kFirstWindow;
  std::uint32_t streams_max_ = 0xffffffffu;

 private:
  static constexpr std::size_t kInBytes = 256 << 10;
  static constexpr std::int64_t kTopUp = kWindowMax / 4;
  static constexpr std::size_t kBlockBytesMax = 1 << 20;

  // A reset is what a close is called when the server had not read all.
  bool end_socket(int error) {
    const bool is_closed = error == 0 || error == ECONNRESET || error == EPIPE;
    if (!is_closed) return end(strerror(error));
    std::string reason = "the server closed the connection";
    if (!has_settings_) {
      reason += !tls_ ? " at once; it may speak TLS"
                : traffic_->tls->shows_certificate()
                    ? " at once; it may not accept the certificate shown"
                    : " at once; it may ask for a certificate of this client";
    }
    return end(reason);
  }

  // Bytes of the socket; 0: none for now, or the connection has ended.
  ssize_t receive(char* into, std::size_t room) {
    const ssize_t got = recv(socket_, into, room, 0);
    if (got > 0) {
      traffic_->tally.bytes_received += got;
      moved_ = now_ = now_ns();
      return got;
    }
    if (got == 0 || (errno != EAGAIN && errno != EINTR)) end_socket(got == 0 ? 0 : errno);
    return 0;
  }

  bool read_encrypted() {
    thread_local std::array<char, kInBytes> piece;
    const ssize_t got = receive(piece.data(), piece.size());
    if (got == 0) return !has_ended();
    if (!tls_->receive(piece.data(), static_cast<std::size_t>(got))) return end_tls();
    for (;;) {
      const std::int64_t taken = tls_->take(in_.data() + filled_, in_.size() - filled_);
      if (taken == 0) return true;
      if (taken < 0) return end_tls();
      filled_ += static_cast<std::size_t>(taken);
      if (!take_frames()) return false;
    }
  }

  // What waits becomes bytes for the socket, once hands are shaken.
  bool encrypt() {
    if (tls_->is_open() && !out_.empty()) {
      if (!tls_->send(out_)) return end_tls();
      out_.clear();
    }
    tls_->give(&encrypted_);
    return true;
  }

  // The server is told why, if its socket takes it.
  bool end_tls() {
    std::string farewell;
    tls_->give(&farewell);
    if (!blocked_) send(socket_, farewell.data(), farewell.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return end(tls_->why());
  }

  std::string& sending() { return tls_ ? encrypted_ : out_; }
  const std::string& sending() const { return tls_ ? encrypted_ : out_; }

  bool take_frames() {
    std::size_t at = 0;
    while (filled_ - at >= kHeadBytes) {
      const FrameHead head = read_head(in_.data() + at);
      if (head.size > kFrameBytesMax) return end("the server sent too large a frame");
      if (filled_ - at < kHeadBytes + head.size) break;
      if (!take_frame(head, {in_.data() + at + kHeadBytes, head.size})) return false;
      at += kHeadBytes + head.size;
    }
    if (at > 0) memmove(in_.data(), in_.data() + at, filled_ - at);
    filled_ -= at;
    return true;
  }

  bool take_frame(const FrameHead& head, std::string_view payload) {
    if (block_stream_ != 0 && head.type != kContinuation) {
      return end("the server broke off a header block");
    }
    switch (head.type) {
      case kData:
        taken_ += static_cast<std::int64_t>(head.size);
        if (taken_ > kTopUp) {
          append_window_update(&out_, 0, taken_);
          taken_ = 0;
        }
        return strip(head, &payload) ? take_data(head, payload) : end("a frame is too short");
      case kHeaders:
        if (!strip(head, &payload)) return end("a frame is too short");
        block_ends_stream_ = head.flags & kEndStream;
        return take_block(head, payload);
      case kContinuation:
        if (block_stream_ != head.stream) return end("a header block goes on that never began");
        return take_block(head, payload);
      case kResetStream:
        return payload.size() == 4 ? take_reset(head.stream, read_u32(payload.data()))
                                   : end("a frame is too short");
      case kSettings:
        return head.flags & kAck ? true : take_settings(payload);
      case kPing:
        if (!(head.flags & kAck)) append_frame(&out_, kPing, kAck, 0, payload);
        return true;
      case kGoaway:
        leaving_ = true;
        if (payload.size() < 8) return end("a frame is too short");
        if (const std::uint32_t code = read_u32(payload.data() + 4)) {
          return end("the server gave the connection up: HTTP/2 error " + std::to_string(code) +
                     " " + std::string(payload.substr(8)));
        }
        return true;
      case kWindowUpdate:
        return payload.size() == 4 ? take_window(head.stream, read_u32(payload.data()))
                                   : end("a frame is too short");
      default:
        return true;  // RFC 9113, section 4.1: what is not known is passed over
    }
  }

  bool take_block(const FrameHead& head, std::string_view payload) {
    const bool is_whole = head.flags & kEndHeaders;
    if (!is_whole || block_stream_ != 0) {
      block_.append(payload);
      block_stream_ = head.stream;
      if (block_.size() > kBlockBytesMax) return end("the server sent too large a header block");
      if (!is_whole) return true;
      payload = block_;
    }
    AnswerHeads heads;
    if (!decoder_.read(payload, &heads)) return end("the server sent a broken header block");
    block_stream_ = 0;
    const bool goes_on = take_heads(head.stream, heads, block_ends_stream_);
    block_.clear();
    return goes_on;
  }

  bool take_settings(std::string_view payload) {
    for (; payload.size() >= 6; payload.remove_prefix(6)) {
      const std::uint16_t name = static_cast<std::uint16_t>(static_cast<std::uint8_t>(payload[0])
                                                            << 8 |
                                                            static_cast<std::uint8_t>(payload[1]));
      const std::uint32_t value = read_u32(payload.data() + 2);
      if (name == kHeaderTableSize) {
        if (value < RequestTable::kTableBytes) {
          if (has_settings_) return end("the server made its header table smaller under way");
          table_.forgo();
        }
      } else if (name == kMaxConcurrentStreams) {
        streams_max_ = value;
      } else if (name == kInitialWindowSize) {
        widen_all(static_cast<std::int64_t>(value) - stream_window_);
        stream_window_ = static_cast<std::int64_t>(value);
      }
    }
    has_settings_ = true;
    append_frame(&out_, kSettings, kAck, 0, {});
    return check_window();
  }

  bool take_window(std::uint32_t stream, std::uint32_t more) {
    if (stream == 0) send_window_ += more;
    widen(stream, more);
    return true;
  }

  const int socket_;
  Traffic* const traffic_;
  const std::unique_ptr<TlsSession> tls_;  // nullptr: bytes go as they are
  std::string encrypted_;                  // what waits, in that case
  AnswerDecoder decoder_;
  std::string in_;
  std::size_t filled_ = 0;
  std::size_t sent_ = 0;  // of what waits
  std::int64_t taken_ = 0;
  std::string block_;  // of a header block in pieces
  std::uint32_t block_stream_ = 0;
  bool block_ends_stream_ = false;
  bool has_settings_ = false;
  bool leaving_ = false;
  bool blocked_ = false;
  std::string reason_;
};

}  // namespace atp::load
