// The server's side of one TLS connection: bytes of the wire in, bytes of the caller out, and the
// other way round. Owns the handshake, its bound in bytes, and the words for why a connection ends;
// opens no socket, knows no time, and keeps no bytes of either side beyond a record under way.
#pragma once
#include "tls_context.h"
#include "tls_hello.h"

namespace atp {

class TlsSession {
 public:
  explicit TlsSession(const TlsContext& context) : context_(context.native()) {
    SSL_CTX_up_ref(context_);
  }
  ~TlsSession() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // Bytes came from the client: what they say is added to `plain`, what must be sent because of
  // them to `wire`. False: this was the end; send `wire`, then close the socket. why() tells.
  bool receive(const std::uint8_t* data, std::size_t size, std::string& plain, std::string& wire) {
    if (state_ == State::kEnded) return false;
    if (state_ == State::kNew && size) {
      if (data[0] != SSL3_RT_HANDSHAKE) return end("the client speaks no TLS");
      if (!begin()) return end("there is no memory for a handshake");
      state_ = State::kHandshake;
    }
    if (!ssl_) return true;  // nothing has come
    if (may_say_hello() && !hello_.take(data, size)) {
      return end("the ClientHello is longer than 16 KiB");
    }
    ERR_clear_error();
    incoming_ = data;
    incoming_size_ = size;
    outgoing_ = &wire;
    const bool goes_on = (is_open() || shake_hands()) && (!is_open() || take(plain));
    incoming_size_ = 0;
    outgoing_ = nullptr;
    return goes_on;
  }

  // Adds the bytes to `wire`, encrypted. False: not open, or it failed; nothing more can be sent.
  bool send(const std::uint8_t* data, std::size_t size, std::string& wire) {
    if (!is_open()) return false;
    if (!size) return true;
    ERR_clear_error();
    outgoing_ = &wire;
    std::size_t taken = 0;
    const int done = SSL_write_ex(ssl_, data, size, &taken);
    const bool sent = done == 1 && taken == size;
    if (!sent) fail(SSL_get_error(ssl_, done));
    outgoing_ = nullptr;
    return sent;
  }

  // Adds the farewell (close_notify) to `wire`, once, where a handshake was completed.
  void close(std::string& wire) {
    if (!is_open()) return;
    outgoing_ = &wire;
    say_farewell();
    outgoing_ = nullptr;
    end("");
  }

  // True from the end of the handshake on, until either side ends it: then send() may be called.
  bool is_open() const { return state_ == State::kOpen; }

  // Why it ended, for people, without a line's end; empty: it has not, or one side said farewell.
  const std::string& why() const { return why_; }

 private:
  enum class State : std::uint8_t { kNew, kHandshake, kOpen, kEnded };

  // Again where the first offered no key (TLS 1.3). Until one was read, the version is the newest.
  bool may_say_hello() const { return !is_open() && SSL_version(ssl_) != TLS1_2_VERSION; }

  // A ClientHello and a chain of certificates have room; so has one record, which is all that may
  // come without a byte for the caller in it.
  static constexpr std::size_t kHandshakeBytesMax = 64 * 1024;
  static constexpr std::size_t kFruitlessBytesMax = 64 * 1024;

  // Only for who has said something: the silent cost little.
  bool begin() {
    ssl_ = SSL_new(context_);
    BIO* wire = ssl_ ? BIO_new(method()) : nullptr;
    if (!wire) return false;
    BIO_set_data(wire, this);
    BIO_set_init(wire, 1);
    SSL_set_bio(ssl_, wire, wire);
    SSL_set_app_data(ssl_, this);
    SSL_set_info_callback(ssl_, hear);
    SSL_set_accept_state(ssl_);
    return true;
  }

  bool shake_hands() {
    const int done = SSL_accept(ssl_);
    if (done == 1) {
      state_ = State::kOpen;
      taken_bytes_ = 0;
      return true;
    }
    const int error = SSL_get_error(ssl_, done);
    if (error != SSL_ERROR_WANT_READ) return fail(error);
    if (taken_bytes_ > kHandshakeBytesMax) return end("the handshake is longer than 64 KiB");
    return true;
  }

  // Everything that has come whole, to `plain`.
  bool take(std::string& plain) {
    thread_local char piece[SSL3_RT_MAX_PLAIN_LENGTH];
    for (;;) {
      std::size_t got = 0;
      const int done = SSL_read_ex(ssl_, piece, sizeof piece, &got);
      if (renegotiates_) return end("the client asked to renegotiate");
      if (done != 1) {
        const int error = SSL_get_error(ssl_, done);
        if (error == SSL_ERROR_ZERO_RETURN) return say_farewell(), end("");
        if (error != SSL_ERROR_WANT_READ) return fail(error);
        // New keys, warnings and records of nothing cost us more than they cost the client.
        if (taken_bytes_ <= kFruitlessBytesMax) return true;
        return end("the client sends 64 KiB of TLS and no data");
      }
      plain.append(piece, got);
      taken_bytes_ = 0;
    }
  }

  void say_farewell() {
    ERR_clear_error();
    SSL_shutdown(ssl_);
    ERR_clear_error();
  }

  bool end(std::string why) {
    state_ = State::kEnded;
    why_ = std::move(why);
    return false;
  }

  // In OpenSSL's words, but for what they would not tell an operator.
  bool fail(int error) {
    const unsigned long code = ERR_peek_error();
    std::string reason = error == SSL_ERROR_SSL ? tls_reason() : "an error without a reason";
    if (ERR_GET_LIB(code) == ERR_LIB_SSL) {
      switch (ERR_GET_REASON(code)) {
        case SSL_R_CERTIFICATE_VERIFY_FAILED:
          reason = "the client's certificate is refused: ";
          reason += X509_verify_cert_error_string(SSL_get_verify_result(ssl_));
          break;
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
          reason = "the client shows no certificate";
          break;
        case SSL_R_CALLBACK_FAILED:
        case SSL_R_NO_APPLICATION_PROTOCOL:
          reason = "the client does not offer HTTP/2 (ALPN h2)";
          break;
        case SSL_R_UNSUPPORTED_PROTOCOL:
          reason = "the client speaks neither TLS 1.2 nor 1.3";
          break;
        case SSL_R_NO_SHARED_CIPHER:
          reason = "the client offers no cipher that is spoken here";
          break;
        default:
          if (ERR_GET_REASON(code) > SSL_AD_REASON_OFFSET) reason = "the client says: " + reason;
      }
    }
    ERR_clear_error();
    return end(std::move(reason));
  }

  // OpenSSL answers a wish to renegotiate with a warning and goes on; HTTP/2 has it end.
  static void hear(const SSL* ssl, int where, int what) {
    constexpr int kSent = SSL_CB_ALERT | SSL_CB_WRITE;
    if ((where & kSent) != kSent || (what & 0xff) != SSL_AD_NO_RENEGOTIATION) return;
    static_cast<TlsSession*>(SSL_get_app_data(ssl))->renegotiates_ = true;
  }

  // The BIO of a session: reads what receive() was given, writes to what the caller lent.
  static BIO_METHOD* method() {
    static BIO_METHOD* const made = [] {
      BIO_METHOD* one = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "atp");
      if (!one) throw std::bad_alloc();
      BIO_meth_set_read(one, read);
      BIO_meth_set_write(one, write);
      BIO_meth_set_ctrl(one, control);
      return one;
    }();
    return made;
  }

  static int read(BIO* bio, char* into, int size) {
    auto* self = static_cast<TlsSession*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (!self->incoming_size_) return BIO_set_retry_read(bio), -1;
    const std::size_t most = static_cast<std::size_t>(size);
    const std::size_t count = self->incoming_size_ < most ? self->incoming_size_ : most;
    std::memcpy(into, self->incoming_, count);
    self->incoming_ += count;
    self->incoming_size_ -= count;
    self->taken_bytes_ += count;
    return static_cast<int>(count);
  }

  static int write(BIO* bio, const char* from, int size) {
    auto* self = static_cast<TlsSession*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (!self->outgoing_) return -1;
    self->outgoing_->append(from, static_cast<std::size_t>(size));
    return size;
  }

  static long control(BIO*, int what, long, void*) { return what == BIO_CTRL_FLUSH ? 1 : 0; }

  SSL_CTX* context_;
  SSL* ssl_ = nullptr;  // from the first byte on
  const std::uint8_t* incoming_ = nullptr;
  std::size_t incoming_size_ = 0;
  std::string* outgoing_ = nullptr;
  std::size_t taken_bytes_ = 0;  // of the handshake; then since the last byte for the caller
  HelloBound hello_;
  State state_ = State::kNew;
  bool renegotiates_ = false;
  std::string why_;
};

}  // namespace atp
