// What a port speaks TLS with: certificate, key, and the authorities of its clients, from PEM text.
// Owns what is offered (TLS 1.2 and 1.3, HTTP/2 alone, forward-secret AEAD ciphers) and the one
// line that says why a text can't be used. Reads no file; a context never changes once it is made.
#pragma once
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <cstring>
#include <ctime>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace atp {

enum TlsPart : int { kTlsCert, kTlsKey, kTlsClientCa };

// Why a context can't be made.
struct TlsFault {
  int part = kTlsCert;
  std::string reason;
};

// What a person wants to know of the certificate in use; times in seconds since the Unix epoch.
struct TlsFacts {
  std::string names;
  std::int64_t not_before = 0;
  std::int64_t not_after = 0;
};

// What OpenSSL last said on this thread, in its words but in lower case and without its numbers.
inline std::string tls_reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* said = code ? ERR_reason_error_string(code) : nullptr;
  std::string reason = said ? said : "no reason was given";
  for (char& letter : reason) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  return reason;
}

namespace tls_detail {

template <auto give_back>
struct GiveBack {
  template <typename Kind>
  void operator()(Kind* owned) const { give_back(owned); }
};
using Certificate = std::unique_ptr<X509, GiveBack<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, GiveBack<EVP_PKEY_free>>;
using Text = std::unique_ptr<BIO, GiveBack<BIO_free>>;
using Native = std::unique_ptr<SSL_CTX, GiveBack<SSL_CTX_free>>;

constexpr char kSuites13[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr char kSuites12[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
// Finite fields are left out: a client could ask for one that costs the server a hundredfold.
constexpr char kGroups[] = "X25519:P-256:P-384";
constexpr long kCertificateBytesMax = 32 * 1024;  // a client's whole chain
constexpr unsigned char kContextName[] = "atp";

inline Text text_of(std::string_view pem) {
  return Text(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

// Nobody is there to type a pass phrase; that one was wanted is remembered.
inline int no_pass_phrase(char*, int, int, void* wanted) {
  *static_cast<bool*>(wanted) = true;
  return -1;
}

inline bool is_end_of_text() {
  const unsigned long code = ERR_peek_last_error();
  return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

// Hands each certificate of the text to `take` (which returns false when OpenSSL refuses it), in
// order. False with a reason when there is none or one can't be read.
template <typename Take>
bool each_certificate(std::string_view pem, std::string* reason, Take take) {
  const Text text = text_of(pem);
  bool wanted = false;
  for (int count = 0;; ++count) {
    ERR_clear_error();
    const Certificate one(PEM_read_bio_X509(text.get(), nullptr, no_pass_phrase, &wanted));
    if (!one && count && is_end_of_text()) return ERR_clear_error(), true;
    if (one && take(one.get(), count)) continue;
    if (one) {
      *reason = tls_reason();
    } else if (is_end_of_text()) {
      *reason = "no BEGIN CERTIFICATE was found";
    } else {
      *reason = "a certificate can't be read: " + tls_reason();
    }
    return ERR_clear_error(), false;
  }
}

// The ALPN names that a client offers are looked through for h2, the only one spoken here.
inline int choose_h2(SSL*, const unsigned char** chosen, unsigned char* size,
                     const unsigned char* offered, unsigned offered_size, void*) {
  for (unsigned at = 0; at < offered_size; at += 1u + offered[at]) {
    if (offered[at] == 2 && at + 2 < offered_size && !std::memcmp(offered + at + 1, "h2", 2)) {
      *chosen = offered + at + 1;
      *size = 2;
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// OpenSSL asks choose_h2 only where names were offered at all.
inline int want_names(SSL* ssl, int* alert, void*) {
  const unsigned char* names;
  std::size_t size;
  constexpr unsigned kNames = TLSEXT_TYPE_application_layer_protocol_negotiation;
  if (SSL_client_hello_get0_ext(ssl, kNames, &names, &size)) return SSL_CLIENT_HELLO_SUCCESS;
  *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
  return SSL_CLIENT_HELLO_ERROR;
}

inline std::int64_t seconds_of(const ASN1_TIME* time) {
  std::tm parts{};
  return ASN1_TIME_to_tm(time, &parts) ? timegm(&parts) : 0;
}

// The DNS names that the certificate is for, at most four; without any its subject.
inline std::string names_of(X509* certificate) {
  std::string names;
  auto* all = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  int count = 0;
  for (int i = 0; i < sk_GENERAL_NAME_num(all) && count < 4; ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(all, i);
    if (name->type != GEN_DNS) continue;
    if (count++) names += ", ";
    names.append(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                 static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
  }
  GENERAL_NAMES_free(all);
  if (names.empty()) {
    char subject[256] = "";
    X509_NAME_oneline(X509_get_subject_name(certificate), subject, sizeof subject);
    names = subject;
  }
  return names;
}

}  // namespace tls_detail

class TlsContext {
 public:
  // All three are PEM; the chain begins with the server's own certificate; without `client_ca`
  // clients are asked for no certificate. Empty: see `fault`.
  static std::shared_ptr<const TlsContext> make(std::string_view chain, std::string_view key,
                                                std::string_view client_ca, TlsFault* fault) {
    auto made = std::shared_ptr<TlsContext>(new TlsContext);
    ERR_clear_error();
    if (!made->native_) {
      *fault = {kTlsCert, "OpenSSL can't begin: " + tls_reason()};
      return nullptr;
    }
    made->offer(!client_ca.empty());
    const bool done = made->show(chain, fault) && made->prove(key, fault) &&
                      (client_ca.empty() || made->ask_clients(client_ca, fault));
    ERR_clear_error();
    return done ? made : nullptr;
  }

  SSL_CTX* native() const { return native_.get(); }
  const TlsFacts& facts() const { return facts_; }

 private:
  TlsContext() : native_(SSL_CTX_new(TLS_server_method())) {}

  void offer(bool asks_clients) {
    SSL_CTX* native = native_.get();
    // The machine's configuration may want more.
    if (SSL_CTX_get_min_proto_version(native) < TLS1_2_VERSION) {
      SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
    }
    SSL_CTX_set_max_proto_version(native, TLS1_3_VERSION);
    SSL_CTX_set_options(native, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    // 10,000 idle connections keep no buffer; and what is sent is what the file has.
    SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_cipher_list(native, tls_detail::kSuites12);
    SSL_CTX_set_ciphersuites(native, tls_detail::kSuites13);
    SSL_CTX_set1_groups_list(native, tls_detail::kGroups);
    SSL_CTX_set_max_cert_list(native, tls_detail::kCertificateBytesMax);
    SSL_CTX_set_alpn_select_cb(native, tls_detail::choose_h2, nullptr);
    SSL_CTX_set_client_hello_cb(native, tls_detail::want_names, nullptr);
    // What a resumed session needs is in its ticket, under keys that this context alone has. A
    // client that must show a certificate shows it each time: a ticket would outlive it.
    SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(native, tls_detail::kContextName, 3);
    SSL_CTX_set_num_tickets(native, asks_clients ? 0 : 1);
    if (asks_clients) SSL_CTX_set_options(native, SSL_OP_NO_TICKET);
  }

  bool show(std::string_view chain, TlsFault* fault) {
    fault->part = kTlsCert;
    return tls_detail::each_certificate(chain, &fault->reason, [this](X509* one, int index) {
      if (index) return SSL_CTX_add1_chain_cert(native_.get(), one) == 1;
      facts_ = {tls_detail::names_of(one), tls_detail::seconds_of(X509_get0_notBefore(one)),
                tls_detail::seconds_of(X509_get0_notAfter(one))};
      return SSL_CTX_use_certificate(native_.get(), one) == 1;
    });
  }

  bool prove(std::string_view pem, TlsFault* fault) {
    fault->part = kTlsKey;
    bool wanted = false;
    const tls_detail::Text text = tls_detail::text_of(pem);
    const tls_detail::Key key(
        PEM_read_bio_PrivateKey(text.get(), nullptr, tls_detail::no_pass_phrase, &wanted));
    if (wanted) return fault->reason = "the key is encrypted with a pass phrase", false;
    if (!key) {
      const bool none = pem.find("PRIVATE KEY-----") == pem.npos;
      fault->reason = none ? "no BEGIN PRIVATE KEY was found"
                           : "the key can't be read: " + tls_reason();
      return false;
    }
    ERR_clear_error();
    X509* certificate = SSL_CTX_get0_certificate(native_.get());
    if (X509_check_private_key(certificate, key.get()) == 1 &&
        SSL_CTX_use_PrivateKey(native_.get(), key.get()) == 1) {
      return true;
    }
    return fault->reason = tls_reason(), false;
  }

  bool ask_clients(std::string_view authorities, TlsFault* fault) {
    fault->part = kTlsClientCa;
    X509_STORE* store = SSL_CTX_get_cert_store(native_.get());
    // What is named is trusted, be it a root or not: as on the control plane.
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
    SSL_CTX_set_verify(native_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    return tls_detail::each_certificate(authorities, &fault->reason, [&](X509* one, int) {
      return X509_STORE_add_cert(store, one) == 1 && SSL_CTX_add_client_CA(native_.get(), one) == 1;
    });
  }

  tls_detail::Native native_;
  TlsFacts facts_;
};

// The context that new connections take; those that are open keep the one they began with.
class TlsSlot {
 public:
  std::shared_ptr<const TlsContext> get() const {
    const std::lock_guard<std::mutex> held(mutex_);
    return context_;
  }
  void set(std::shared_ptr<const TlsContext> context) {
    const std::lock_guard<std::mutex> held(mutex_);
    context_.swap(context);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const TlsContext> context_;
};

}  // namespace atp
