// Files as memory, and the names of things as 16 bytes. Owns every mapping that the audit reads
// from: views into them stay good until it ends. Reads only; a file that can't be read is told.
#pragma once
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace atp::audit {

using Text = std::string_view;

// Input that can't be judged: said to whoever asked, who has to do something about it.
struct Unusable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// XXH3-128 of a name, as the journal has it.
struct Key {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  bool operator==(const Key&) const = default;
};

struct KeyHash {
  std::size_t operator()(const Key& key) const { return key.low; }
};

inline Key key_of(Text name) {
  const XXH128_hash_t hash = XXH3_128bits(name.data(), name.size());
  return {hash.high64, hash.low64};
}

// The 16 bytes of a key in a journal record, big-endian.
inline Key key_from(Text bytes) {
  std::uint64_t halves[2];
  std::memcpy(halves, bytes.data(), 16);
  return {__builtin_bswap64(halves[0]), __builtin_bswap64(halves[1])};
}

// Of each character; 255: it is none.
constexpr std::array<std::uint8_t, 256> kHexDigits = [] {
  std::array<std::uint8_t, 256> digits{};
  digits.fill(255);
  for (std::uint8_t i = 0; i < 16; ++i) {
    digits[static_cast<unsigned char>("0123456789abcdef"[i])] = i;
  }
  return digits;
}();

// The key that a reservation's id spells; false when it is no such id.
inline bool key_from_hex(Text text, Key* key) {
  if (text.size() != 32) return false;
  std::uint64_t halves[2] = {0, 0};
  std::uint8_t bad = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    const std::uint8_t digit = kHexDigits[static_cast<unsigned char>(text[i])];
    bad |= digit;
    halves[i / 16] = halves[i / 16] << 4 | digit;
  }
  if (bad > 15) return false;
  *key = {halves[0], halves[1]};
  return true;
}

// An address in network order; an IPv4-mapped IPv6 address is an IPv4 address.
struct Address {
  std::uint8_t size = 0;  // 0: none, or no address
  std::uint8_t bytes[16] = {};
  Text view() const { return {reinterpret_cast<const char*>(bytes), size}; }
};

inline Address unmapped(Address address) {
  constexpr std::uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (address.size == 16 && std::memcmp(address.bytes, mapped, 12) == 0) {
    std::memmove(address.bytes, address.bytes + 12, 4);
    std::memset(address.bytes + 4, 0, 12);
    address.size = 4;
  }
  return address;
}

// Of 4 or 16 bytes, or none.
inline Address address_of(Text bytes) {
  Address address;
  address.size = static_cast<std::uint8_t>(bytes.size());
  std::memcpy(address.bytes, bytes.data(), bytes.size());
  return address;
}

inline Address address_from(Text text) {
  Address address;
  char shown[64];
  if (text.empty() || text.size() >= sizeof shown) return address;
  std::memcpy(shown, text.data(), text.size());
  shown[text.size()] = 0;
  if (inet_pton(AF_INET, shown, address.bytes) == 1) {
    address.size = 4;
  } else if (inet_pton(AF_INET6, shown, address.bytes) == 1) {
    address.size = 16;
  }
  return unmapped(address);
}

inline void keep_bits(Address* address, int bits) {
  for (int i = 0; i < address->size; ++i) {
    const int left = bits - 8 * i;
    if (left <= 0) {
      address->bytes[i] = 0;
    } else if (left < 8) {
      address->bytes[i] &= static_cast<std::uint8_t>(0xff00u >> left);
    }
  }
}

// A file that is open to be read, and its size when it was opened.
class File {
 public:
  explicit File(const std::string& path)
      : path_(path), number_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat facts;
    if (number_ >= 0 && fstat(number_, &facts) == 0) {
      size_ = static_cast<std::size_t>(facts.st_size);
      return;
    }
    const int problem = errno;
    if (number_ >= 0) close(number_);
    errno = problem;
    fail();
  }
  ~File() { close(number_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  // Says what the system has just refused.
  [[noreturn]] void fail() const { throw Unusable(path_ + ": " + std::strerror(errno)); }
  int number() const { return number_; }
  std::size_t size() const { return size_; }

 private:
  const std::string path_;
  const int number_;
  std::size_t size_ = 0;
};

// A whole file in memory, for as long as this lives.
class Mapping {
 public:
  explicit Mapping(const std::string& path) : path_(path) {
    const File file(path);
    size_ = file.size();
    if (size_ == 0) return;
    void* at = mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.number(), 0);
    if (at == MAP_FAILED) file.fail();
    at_ = static_cast<const char*>(at);
    madvise(at, size_, MADV_SEQUENTIAL);
  }
  ~Mapping() {
    if (at_ != nullptr) munmap(const_cast<char*>(at_), size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  Text bytes() const { return {at_, size_}; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  const char* at_ = nullptr;
  std::size_t size_ = 0;
};

// A file that somebody may write to, and cut, meanwhile: what it had when it was read.
class Copy {
 public:
  explicit Copy(const std::string& path) : file_(path), bytes_(file_.size()) { read_from(0); }
  Text bytes() const { return {bytes_.data(), bytes_.size()}; }

  // Reads everything from there on once more; views into it stay.
  void read_from(std::size_t at) {
    while (at < bytes_.size()) {
      const ssize_t taken =
          pread(file_.number(), bytes_.data() + at, bytes_.size() - at, static_cast<off_t>(at));
      if (taken < 0 && errno == EINTR) continue;
      if (taken < 0) file_.fail();
      if (taken == 0) break;  // it was cut to its records
      at += static_cast<std::size_t>(taken);
    }
    std::fill(bytes_.begin() + static_cast<std::ptrdiff_t>(at), bytes_.end(), '\0');
  }

 private:
  const File file_;
  std::vector<char> bytes_;
};

template <class T>
inline T number_at(const char* at) {
  T number;
  std::memcpy(&number, at, sizeof number);
  return number;
}

// Memory for large tables, in pages of 2 MiB where the system has them: the audit looks at places
// far apart, and each small page would have to be found first.
template <class T>
struct Roomy {
  using value_type = T;
  static constexpr std::size_t kPage = 2 * 1024 * 1024;
  Roomy() = default;
  template <class Other>
  Roomy(const Roomy<Other>&) {}
  T* allocate(std::size_t count) {
    std::size_t bytes = count * sizeof(T);
    const bool is_large = bytes >= 2 * kPage;
    if (is_large) bytes = (bytes + kPage - 1) / kPage * kPage;
    void* at = is_large ? std::aligned_alloc(kPage, bytes) : std::malloc(bytes);
    if (at == nullptr) throw std::bad_alloc();
    if (is_large) madvise(at, bytes, MADV_HUGEPAGE);
    return static_cast<T*>(at);
  }
  void deallocate(T* at, std::size_t) { std::free(at); }
  bool operator==(const Roomy&) const { return true; }
};
template <class T>
using Table = std::vector<T, Roomy<T>>;

// Takes the pages for so many rows more of a table from the system at once, which whoever writes to
// them first would have to wait for. Where the system has no call for that, it does nothing.
template <class T>
inline void fill_room(Table<T>& table, std::size_t count) {
#ifdef MADV_POPULATE_WRITE
  constexpr std::uintptr_t kSmallPage = 4096;
  const auto at = reinterpret_cast<std::uintptr_t>(table.data() + table.size());
  const std::size_t rows = std::min(count, table.capacity() - table.size());
  const std::uintptr_t begin = (at + kSmallPage - 1) / kSmallPage * kSmallPage;
  const std::uintptr_t end = (at + rows * sizeof(T)) / kSmallPage * kSmallPage;
  if (end > begin) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_POPULATE_WRITE);
#endif
}

template <class Many>
inline std::int64_t bytes_of(const Many& many) {
  return static_cast<std::int64_t>(many.capacity() * sizeof(typename Many::value_type));
}

}  // namespace atp::audit
