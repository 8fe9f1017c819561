// The client's side of TLS: what servers are believed by and are shown, and one session over bytes.
// Owns the handshake and the words for why it failed. Opens no socket and reads no file; what is
// given is PEM text, and the name on a server's certificate is always checked.
#pragma once
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <string_view>

namespace atp::load {

template <auto give_back>
struct GiveBack {
  template <typename Kind>
  void operator()(Kind* owned) const {
    give_back(owned);
  }
};
using Certificate = std::unique_ptr<X509, GiveBack<X509_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, GiveBack<EVP_PKEY_free>>;
using PemText = std::unique_ptr<BIO, GiveBack<BIO_free>>;

// What OpenSSL last said on this thread, in lower case.
inline std::string tls_reason() {
  const char* said = ERR_reason_error_string(ERR_peek_last_error());
  std::string reason = said ? said : "no reason was given";
  for (char& letter : reason) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  return reason;
}

// What all connections of a load have in common. Never changes once it is made.
class TlsContext {
 public:
  struct Fault {
    std::string part, reason;
  };
  // PEM texts, empty where there is none: without authorities those of the system are believed.
  // Where one can't be used `fault` says which (ca, cert, key) and why, and nothing is made.
  static std::unique_ptr<const TlsContext> make(const std::string& authorities,
                                                const std::string& certificates,
                                                const std::string& key,
                                                const std::string& server_name, Fault* fault) {
    if (server_name.empty() || server_name.find('\0') != std::string::npos) {
      *fault = {"server_name", "a server without a name can't be believed"};
      return nullptr;
    }
    std::unique_ptr<TlsContext> made(new TlsContext(server_name));
    ERR_clear_error();
    const bool is_made = made->believe(authorities, fault) && made->show(certificates, key, fault);
    ERR_clear_error();
    return is_made ? std::move(made) : nullptr;
  }
  ~TlsContext() { SSL_CTX_free(native_); }
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // A session to be begun: of the caller, nullptr where memory is short.
  SSL* new_session() const {
    SSL* session = SSL_new(native_);
    if (!session) return nullptr;
    SSL_set_connect_state(session);
    X509_VERIFY_PARAM* wanted = SSL_get0_param(session);
    if (is_address()) {
      X509_VERIFY_PARAM_set1_ip_asc(wanted, name_.c_str());
    } else {
      X509_VERIFY_PARAM_set1_host(wanted, name_.c_str(), name_.size());
      SSL_set_tlsext_host_name(session, name_.c_str());
    }
    return session;
  }
  bool shows_certificate() const { return SSL_CTX_get0_certificate(native_) != nullptr; }
  const std::string& server_name() const { return name_; }

 private:
  explicit TlsContext(const std::string& server_name)
      : name_(server_name), native_(SSL_CTX_new(TLS_client_method())) {
    if (!native_) throw std::bad_alloc();
    SSL_CTX_set_min_proto_version(native_, TLS1_2_VERSION);
    SSL_CTX_set_verify(native_, SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_session_cache_mode(native_, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(native_, SSL_MODE_RELEASE_BUFFERS);
    const unsigned char names[] = {2, 'h', '2'};
    SSL_CTX_set_alpn_protos(native_, names, sizeof names);
  }

  bool is_address() const {
    in6_addr room;
    return inet_pton(AF_INET, name_.c_str(), &room) || inet_pton(AF_INET6, name_.c_str(), &room);
  }

  static PemText text_of(const std::string& pem) {
    PemText text(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    if (!text) throw std::bad_alloc();
    return text;
  }

  // Gives each certificate of a text to `take`; false, with the reason, unless all can be read.
  template <typename Take>
  static bool for_each_certificate(const std::string& pem, std::string* reason, Take&& take) {
    const PemText text = text_of(pem);
    for (bool has_one = false;; has_one = true) {
      Certificate one(PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr));
      if (!one) {
        const bool is_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
        if (has_one && is_end) return ERR_clear_error(), true;
        *reason = is_end ? "no BEGIN CERTIFICATE was found" : tls_reason();
        return false;
      }
      take(one.get());
    }
  }

  bool believe(const std::string& authorities, Fault* fault) {
    *fault = {"ca", "the system's authorities can't be read"};
    if (authorities.empty()) return SSL_CTX_set_default_verify_paths(native_) == 1;
    X509_STORE* store = SSL_CTX_get_cert_store(native_);
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);  // in the middle of a chain, too
    return for_each_certificate(authorities, &fault->reason,
                                [store](X509* one) { X509_STORE_add_cert(store, one); });
  }

  bool show(const std::string& certificates, const std::string& key, Fault* fault) {
    if (certificates.empty() && key.empty()) return true;
    fault->part = certificates.empty() ? "cert" : "key";
    if (certificates.empty() || key.empty()) {
      fault->reason = "a certificate is shown with its key: one of them is missing";
      return false;
    }
    fault->part = "cert";
    const bool are_read = for_each_certificate(certificates, &fault->reason, [this](X509* one) {
      SSL_CTX_get0_certificate(native_) ? SSL_CTX_add1_chain_cert(native_, one)
                                        : SSL_CTX_use_certificate(native_, one);
    });
    if (!are_read) return false;
    fault->part = "key";
    const PemText text = text_of(key);
    const auto ask_nobody = [](char*, int, int, void*) { return -1; };
    const PrivateKey read(PEM_read_bio_PrivateKey(text.get(), nullptr, ask_nobody, nullptr));
    if (read && SSL_CTX_use_PrivateKey(native_, read.get()) == 1) return true;
    const bool is_locked = ERR_GET_REASON(ERR_peek_error()) == PEM_R_BAD_PASSWORD_READ ||
                           key.find("ENCRYPTED") != std::string::npos;
    fault->reason = is_locked ? "the key is encrypted with a pass phrase" : tls_reason();
    return false;
  }

  const std::string name_;
  SSL_CTX* const native_;
};

// One connection's encryption: bytes of the socket in and out, bytes of the caller out and in.
class TlsSession {
 public:
  explicit TlsSession(const TlsContext& context) : context_(context), ssl_(context.new_session()) {
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    if (!ssl_ || !in_ || !out_) throw std::bad_alloc();
    BIO_set_mem_eof_return(in_, -1);
    SSL_set_bio(ssl_, in_, out_);
    shake_hands();
  }
  ~TlsSession() { SSL_free(ssl_); }
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // True from the end of the handshake on: then bytes can be sent.
  bool is_open() const { return is_open_; }
  // Why it failed, for people.
  const std::string& why() const { return why_; }

  // Bytes came from the socket; false: that was the end of it.
  bool receive(const char* bytes, std::size_t size) {
    std::size_t taken = 0;
    if (BIO_write_ex(in_, bytes, size, &taken) != 1) throw std::bad_alloc();
    return is_open_ || shake_hands();
  }

  // Decrypted bytes of what came, `room` at most; 0: there are no more for now; -1: it has ended.
  std::int64_t take(char* into, std::size_t room) {
    if (!is_open_) return 0;
    ERR_clear_error();
    std::size_t got = 0;
    const int done = SSL_read_ex(ssl_, into, room, &got);
    if (done == 1) return static_cast<std::int64_t>(got);
    const int error = SSL_get_error(ssl_, done);
    if (error == SSL_ERROR_WANT_READ) return 0;
    if (error == SSL_ERROR_ZERO_RETURN) {
      why_ = "the server closed the connection";
    } else {
      fail();
    }
    return -1;
  }

  // Encrypts bytes; false where that fails.
  bool send(std::string_view bytes) {
    ERR_clear_error();
    std::size_t taken = 0;
    return SSL_write_ex(ssl_, bytes.data(), bytes.size(), &taken) == 1 || fail();
  }

  // Whether there are encrypted bytes for the socket; adds them to `wire`.
  bool has_output() const { return BIO_ctrl_pending(out_) > 0; }
  void give(std::string* wire) {
    const std::size_t size = BIO_ctrl_pending(out_);
    const std::size_t before = wire->size();
    wire->resize(before + size);
    std::size_t given = 0;
    BIO_read_ex(out_, wire->data() + before, size, &given);
    wire->resize(before + given);
  }

 private:
  bool shake_hands() {
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl_);
    if (done != 1) return SSL_get_error(ssl_, done) == SSL_ERROR_WANT_READ || fail();
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_, &name, &size);
    is_open_ = std::string_view(reinterpret_cast<const char*>(name), size) == "h2";
    if (!is_open_) why_ = kNoHttp2;
    return is_open_;
  }

  // In OpenSSL's words, but for what they would not tell who runs a load.
  bool fail() {
    const unsigned long code = ERR_peek_error();
    why_ = "TLS failed: " + tls_reason();
    if (ERR_GET_LIB(code) == ERR_LIB_SSL) {
      switch (ERR_GET_REASON(code)) {
        case SSL_R_CERTIFICATE_VERIFY_FAILED:
          why_ = "the server's certificate is refused: ";
          why_ += X509_verify_cert_error_string(SSL_get_verify_result(ssl_));
          why_ += " (the server was to be " + context_.server_name() + ")";
          break;
        case SSL_R_WRONG_VERSION_NUMBER:
          why_ = "the server speaks no TLS";
          break;
        case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
          why_ = kNoHttp2;
          break;
        case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
          why_ = "the server asks for a certificate of this client";
          break;
        default:
          if (ERR_GET_REASON(code) > SSL_AD_REASON_OFFSET) {
            why_ = "the server ended TLS: " + tls_reason();
            why_ += context_.shows_certificate() ? "; it may not accept the certificate shown"
                                                 : "; it may ask for a certificate of this client";
          }
      }
    }
    ERR_clear_error();
    return false;
  }

  static constexpr const char* kNoHttp2 = "the server does not speak HTTP/2 over TLS (ALPN h2)";

  const TlsContext& context_;
  SSL* const ssl_;
  BIO* in_;   // both of ssl_
  BIO* out_;
  bool is_open_ = false;
  std::string why_;
};

}  // namespace atp::load
