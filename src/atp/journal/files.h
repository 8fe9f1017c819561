// What a journal's files begin with, and the spare segment that is made before it is needed. Owns
// the headers (docs/journal-format.md has every byte) and writing all of something; decides nothing
// about what is durable.
#pragma once
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <string>

#include "record.h"

namespace atp {

constexpr char kSegmentMagic[9] = "ATPSEGMT";
constexpr char kSyncedMagic[9] = "ATPSYNCD";
constexpr std::uint32_t kSegmentVersion = 1;

struct SegmentHeader {
  char magic[8];
  std::uint32_t version;
  std::uint32_t zero;
  std::uint8_t store_id[16];
  std::int64_t first_sequence;
  std::int64_t create_time;  // ns since the Unix epoch
  std::uint64_t zeros;
  std::uint64_t checksum;  // XXH3-64 of the bytes before
};
static_assert(sizeof(SegmentHeader) == 64 && offsetof(SegmentHeader, checksum) == 56);

struct SyncedMark {
  char magic[8];
  std::uint8_t store_id[16];
  std::int64_t sequence;
  std::uint64_t checksum;  // XXH3-64 of the bytes before
};
static_assert(sizeof(SyncedMark) == 40 && offsetof(SyncedMark, checksum) == 32);

enum class Done { kYes, kFull, kFailed };

// What went wrong: a system's error number, or 0 for a file that is not as it must be.
struct Fault {
  int number = 0;
  std::string doing;
  std::string path;
};

// No more open files is no room, too: it passes, and nothing that was written is in doubt.
inline bool means_full(int number) {
  return number == ENOSPC || number == EDQUOT || number == EFBIG || number == EMFILE ||
         number == ENFILE;
}

inline Done failed(Fault* fault, const char* doing, const std::string& path) {
  *fault = Fault{errno, doing, path};
  return Done::kFailed;
}
inline Done full_or_failed(Fault* fault, const char* doing, const std::string& path) {
  return means_full(errno) ? Done::kFull : failed(fault, doing, path);
}

// Short writes are gone on with.
inline Done write_at(int fd, const char* bytes, std::size_t size, std::size_t at,
                     const std::string& path, Fault* fault) {
  while (size) {
    const ssize_t written = pwrite(fd, bytes, size, static_cast<off_t>(at));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return full_or_failed(fault, "write", path);
    bytes += written;
    at += static_cast<std::size_t>(written);
    size -= static_cast<std::size_t>(written);
  }
  return Done::kYes;
}

inline std::string segment_name(std::int64_t first_sequence) {
  char name[64];
  std::snprintf(name, sizeof name, "%020lld.segment", static_cast<long long>(first_sequence));
  return name;
}

inline SegmentHeader segment_header(const std::uint8_t* store_id, std::int64_t first_sequence,
                                    std::int64_t now) {
  SegmentHeader header{};
  std::memcpy(header.magic, kSegmentMagic, sizeof header.magic);
  header.version = kSegmentVersion;
  std::memcpy(header.store_id, store_id, sizeof header.store_id);
  header.first_sequence = first_sequence;
  header.create_time = now;
  header.checksum = hash64(&header, offsetof(SegmentHeader, checksum));
  return header;
}

inline bool is_sound_header(const char* bytes, const std::uint8_t* store_id,
                            std::int64_t first_sequence) {
  SegmentHeader header;
  std::memcpy(&header, bytes, sizeof header);
  return std::memcmp(header.magic, kSegmentMagic, sizeof header.magic) == 0 &&
         header.version <= kSegmentVersion && header.first_sequence == first_sequence &&
         std::memcmp(header.store_id, store_id, sizeof header.store_id) == 0 &&
         header.checksum == hash64(&header, offsetof(SegmentHeader, checksum));
}

inline SyncedMark synced_mark(const std::uint8_t* store_id, std::int64_t sequence) {
  SyncedMark mark{};
  std::memcpy(mark.magic, kSyncedMagic, sizeof mark.magic);
  std::memcpy(mark.store_id, store_id, sizeof mark.store_id);
  mark.sequence = sequence;
  mark.checksum = hash64(&mark, offsetof(SyncedMark, checksum));
  return mark;
}

// The segment that was sealed last, until the system has let go of its pages: nobody reads them
// here, and the zeros of the next segment take them, instead of memory that is new to the machine.
class Sealed {
 public:
  Sealed() = default;
  ~Sealed() { keep(-1); }
  Sealed(const Sealed&) = delete;
  Sealed& operator=(const Sealed&) = delete;

  // Closes it later; one before it that is still here, at once.
  void keep(int fd) {
    const int older = fd_.exchange(fd);
    if (older >= 0) close(older);
  }
  // Takes milliseconds: not for who writes records.
  void let_go() {
    const int fd = fd_.exchange(-1);
    if (fd < 0) return;
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
  }

 private:
  std::atomic<int> fd_{-1};
};

// A segment without a name or records, preallocated, and by and by filled with zeros: that makes
// the syncs of the records that take their place faster. Any thread may make it, one takes it,
// however far the zeros are.
class Spare {
 public:
  Spare(const std::string& folder, std::size_t bytes) : folder_(folder), bytes_(bytes) {}
  ~Spare() {
    if (fd_ < 0) return;
    close(fd_);
    unlink(path_.c_str());
  }
  Spare(const Spare&) = delete;
  Spare& operator=(const Spare&) = delete;

  // Never waits: who writes records asks.
  bool is_there() const { return fd_ >= 0; }

  // Makes it if it isn't there. What takes long is not under the lock that taking it needs.
  Done make(Fault* fault) {
    std::lock_guard<std::mutex> making(making_);
    if (is_there()) return Done::kYes;
    const std::string path = folder_ + "/spare-" + std::to_string(++made_) + ".part";
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) return full_or_failed(fault, "make", path);
    errno = posix_fallocate(fd, 0, static_cast<off_t>(bytes_));
    if (errno) {
      const Done done = full_or_failed(fault, "make room in", path);
      close(fd);
      unlink(path.c_str());
      return done;
    }
    std::lock_guard<std::mutex> held(lock_);
    path_ = path;
    zeroed_ = 0;
    fd_ = fd;
    return Done::kYes;
  }

  // Writes a few of the zeros that are missing and makes them durable; `*all`: there are no more,
  // or nothing to write them to. Little at a time, so that syncs of records wait for little.
  Done write_zeros(bool* all, Fault* fault) {
    int fd = -1;
    std::string path;
    {
      std::lock_guard<std::mutex> held(lock_);
      *all = fd_ < 0 || zeroed_ >= bytes_;
      if (*all) return Done::kYes;
      const std::size_t size = std::min(sizeof kZeros, bytes_ - zeroed_);
      const Done done = write_at(fd_, kZeros, size, zeroed_, path_, fault);
      if (done != Done::kYes) return done;
      zeroed_ += size;
      path = path_;
      fd = fcntl(fd_, F_DUPFD_CLOEXEC, 0);  // it may be taken and closed meanwhile
    }
    if (fd < 0) return full_or_failed(fault, "open", path);
    const Done done = fdatasync(fd) ? failed(fault, "sync", path) : Done::kYes;
    close(fd);
    return done;
  }

  // Hands it over; it must be there. No zero is written from now on.
  void take(int* fd, std::string* path) {
    std::lock_guard<std::mutex> held(lock_);
    ATP_CHECK(fd_ >= 0);
    *fd = fd_;
    path->swap(path_);
    fd_ = -1;
  }

 private:
  static constexpr char kZeros[std::size_t{1} << 19] = {};

  const std::string folder_;
  const std::size_t bytes_;
  std::mutex making_;  // before lock_
  std::int64_t made_ = 0;
  std::mutex lock_;
  std::atomic<int> fd_{-1};  // written under it, looked at without
  std::string path_;
  std::size_t zeroed_ = 0;
};

}  // namespace atp
