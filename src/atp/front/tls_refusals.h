// How many TLS connections were refused and why the latest was: what an operator needs to help a
// client whose certificate is the wrong one. Any stranger can add to it, so it keeps one line.
#pragma once
#include <uv.h>

#include <cstdint>
#include <mutex>
#include <string>

namespace atp {

class TlsRefusals {
 public:
  void note(const uv_tcp_t& client, const std::string& why) {
    sockaddr_storage address{};
    int size = sizeof address;
    char from[INET6_ADDRSTRLEN] = "an unknown address";
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    if (uv_tcp_getpeername(&client, plain, &size) == 0) uv_ip_name(plain, from, sizeof from);
    const std::lock_guard<std::mutex> held(mutex_);
    ++count_;
    latest_.assign(from).append(": ").append(why);
  }

  std::int64_t count() const {
    const std::lock_guard<std::mutex> held(mutex_);
    return count_;
  }
  // The client's address and the reason.
  std::string latest() const {
    const std::lock_guard<std::mutex> held(mutex_);
    return latest_;
  }

 private:
  mutable std::mutex mutex_;
  std::int64_t count_ = 0;
  std::string latest_;
};

}  // namespace atp
