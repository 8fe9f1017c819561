// The segments of a journal as they are written: the one in use, its spare, and the mark of what
// was synced. Owns opening, going on, sealing and making durable; starts no thread. Every call says
// how it went; after a failure nothing further may be called durable.
#pragma once
#include <sys/mman.h>

#include "files.h"

namespace atp {

class Segments {
 public:
  Segments(const std::string& folder, const std::uint8_t* store_id, std::size_t segment_bytes)
      : spare(folder, segment_bytes), folder_(folder), segment_bytes_(segment_bytes) {
    std::memcpy(store_id_, store_id, sizeof store_id_);
  }
  ~Segments() {
    for (int fd : {folder_fd_, mark_fd_, fd_}) {
      if (fd >= 0) close(fd);
    }
  }
  Segments(const Segments&) = delete;
  Segments& operator=(const Segments&) = delete;

  Spare spare;
  Fault fault;  // of the call that answered kFailed

  // Opens the folder, and the last segment if there is one (`first_sequence` > 0). What is in it is
  // made durable, and the names in the folder too, because whoever read them may tell of it.
  // `next_sequence` is that of the next record.
  Done open(std::int64_t first_sequence, std::int64_t next_sequence, std::int64_t now) {
    folder_fd_ = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd_ < 0) return failed(&fault, "open", folder_);
    mark_path_ = folder_ + "/synced";
    mark_fd_ = ::open(mark_path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (mark_fd_ < 0) return failed(&fault, "open", mark_path_);
    if (fsync(folder_fd_)) return failed(&fault, "sync", folder_);
    Done done = Done::kYes;
    if (first_sequence > 0) done = go_on(first_sequence, next_sequence);
    if (done == Done::kYes && fd_ < 0) done = rotate(next_sequence, now);
    return done == Done::kYes ? mark_synced(next_sequence - 1) : done;
  }

  // Bytes that the segment in use has left.
  std::size_t room() const { return size_ > used_ ? size_ - used_ : 0; }
  std::size_t used() const { return used_; }
  bool is_empty() const { return used_ == sizeof(SegmentHeader); }
  const std::string& path() const { return path_; }

  // Whole records, at the end of the segment in use. When the disk is full nothing counts as
  // written, and the same records are written again at the same place.
  Done write(const char* bytes, std::size_t size) {
    const Done done = write_at(fd_, bytes, size, used_, path_, &fault);
    if (done == Done::kYes) used_ += size;
    return done;
  }

  Done sync() { return fdatasync(fd_) ? failed(&fault, "sync", path_) : Done::kYes; }

  // Never synced itself: a floor that may be older than the truth, never newer.
  Done mark_synced(std::int64_t sequence) {
    const SyncedMark mark = synced_mark(store_id_, sequence);
    const char* bytes = reinterpret_cast<const char*>(&mark);
    const Done done = write_at(mark_fd_, bytes, sizeof mark, 0, mark_path_, &fault);
    return done == Done::kFull ? Done::kYes : done;
  }

  // Seals the segment in use, whose records are durable then, and goes on in the spare one, or in
  // one made at once. kFull: none could be made, and nothing changed.
  Done rotate(std::int64_t first_sequence, std::int64_t now) {
    Done done = spare.make(&fault);
    if (done != Done::kYes) return done;
    int next_fd = -1;
    std::string next_path;
    spare.take(&next_fd, &next_path);
    done = begin(next_fd, next_path, first_sequence, now);
    if (done == Done::kYes) done = seal();
    if (done != Done::kYes) {
      close(next_fd);
      unlink(next_path.c_str());
      return done;
    }
    fd_ = next_fd;
    path_ = folder_ + "/" + segment_name(first_sequence);
    used_ = sizeof(SegmentHeader);
    size_ = segment_bytes_;
    if (rename(next_path.c_str(), path_.c_str())) return failed(&fault, "rename", next_path);
    return fsync(folder_fd_) ? failed(&fault, "sync", folder_) : Done::kYes;
  }

  // Goes on with the spare's zeros, in memory that the sealed segment had. For the thread that
  // keeps the spare, at any time.
  Done write_zeros(bool* all, Fault* problem) {
    sealed_.let_go();
    return spare.write_zeros(all, problem);
  }

  // Bytes that are free for us on the disk.
  std::int64_t free_bytes() const {
    struct statvfs disk;
    if (fstatvfs(folder_fd_, &disk)) return INT64_MAX;
    return static_cast<std::int64_t>(disk.f_bavail) * static_cast<std::int64_t>(disk.f_frsize);
  }

 private:
  Done wrong(const std::string& what) {
    fault = Fault{0, what, path_};
    return Done::kFailed;
  }

  // A segment gets its name when its header is durable, so that what has a name has a header.
  Done begin(int fd, const std::string& path, std::int64_t first_sequence, std::int64_t now) {
    const SegmentHeader header = segment_header(store_id_, first_sequence, now);
    const char* bytes = reinterpret_cast<const char*>(&header);
    const Done done = write_at(fd, bytes, sizeof header, 0, path, &fault);
    if (done == Done::kYes && fsync(fd)) return failed(&fault, "sync", path);
    return done;
  }

  // Ends the segment in use, if there is one, with its last record, and makes it durable.
  Done seal() {
    if (fd_ < 0) return Done::kYes;
    if (ftruncate(fd_, static_cast<off_t>(used_))) return failed(&fault, "cut the end of", path_);
    if (fsync(fd_)) return failed(&fault, "sync", path_);
    sealed_.keep(fd_);
    fd_ = -1;
    return Done::kYes;
  }

  // Opens the last segment at the end of its records. What follows them must be zeros: cutting is
  // for recovery, which keeps a copy. What is damaged in it may be known otherwise: then it is left
  // as it is, and another segment is begun.
  Done go_on(std::int64_t first_sequence, std::int64_t next_sequence) {
    path_ = folder_ + "/" + segment_name(first_sequence);
    fd_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
    struct stat about;
    if (fd_ < 0 || fstat(fd_, &about)) return failed(&fault, "open", path_);
    size_ = static_cast<std::size_t>(about.st_size);
    if (size_ < sizeof(SegmentHeader)) return wrong("is too short for a segment");
    void* mapped = mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd_, 0);
    if (mapped == MAP_FAILED) return failed(&fault, "read", path_);
    const Done done = go_on_in(static_cast<const char*>(mapped), first_sequence, next_sequence);
    munmap(mapped, size_);
    if (done != Done::kYes || fd_ < 0 || size_ >= segment_bytes_) return done;
    if (posix_fallocate(fd_, 0, static_cast<off_t>(segment_bytes_)) == 0) size_ = segment_bytes_;
    return Done::kYes;
  }

  Done go_on_in(const char* bytes, std::int64_t first_sequence, std::int64_t next_sequence) {
    if (!is_sound_header(bytes, store_id_, first_sequence)) {
      return wrong("has a header that is damaged, or of another store");
    }
    std::int64_t next = 0;
    std::size_t unsure = 0;
    const bool clean = find_end(bytes, first_sequence, &next, &unsure);
    if (next > next_sequence) {
      return wrong("has records after sequence " + std::to_string(next_sequence - 1));
    }
    if (!clean && next == next_sequence) {
      return wrong("has no zeros after its last record, at " + std::to_string(used_));
    }
    const Done done = write_anew(bytes, unsure, clean ? used_ : size_);
    if (done != Done::kYes || next == next_sequence) return done;
    // The changes between the last record and the next one are known otherwise.
    if (clean) return seal();
    close(fd_);
    fd_ = -1;
    return Done::kYes;
  }

  // Records that no sync is known to have covered are written once more. The sync of them may have
  // failed in another process; the system calls their pages clean since, and a sync would pass them
  // over, although the disk does not have them.
  Done write_anew(const char* bytes, std::size_t at, std::size_t end) {
    std::string copy;
    for (; at < end; at += copy.size()) {
      copy.assign(bytes + at, std::min(end - at, std::size_t{1} << 20));
      const Done done = write_at(fd_, copy.data(), copy.size(), at, path_, &fault);
      if (done != Done::kYes) return failed(&fault, "write anew", path_);
    }
    return fsync(fd_) ? failed(&fault, "sync", path_) : Done::kYes;
  }

  // The last change that the mark knows to have been durable; 0 when it tells nothing.
  std::int64_t marked() const {
    SyncedMark mark;
    if (pread(mark_fd_, &mark, sizeof mark, 0) != ssize_t{sizeof mark}) return 0;
    const SyncedMark sound = synced_mark(store_id_, mark.sequence);
    return std::memcmp(&mark, &sound, sizeof mark) == 0 ? mark.sequence : 0;
  }

  // Where the records end, from where on it is not known that they were synced, and whether only
  // zeros follow.
  bool find_end(const char* bytes, std::int64_t first_sequence, std::int64_t* next,
                std::size_t* unsure) {
    const std::int64_t known = marked();
    *next = first_sequence;
    used_ = *unsure = sizeof(SegmentHeader);
    RecordHead head;
    while (std::size_t whole = sound_record(bytes + used_, size_ - used_, &head)) {
      if (head.sequence != *next) break;
      used_ += whole;
      if (*next <= known) *unsure = used_;
      ++*next;
    }
    // Compared with itself, one byte further: all are as the first.
    const std::size_t left = size_ - used_;
    return left == 0 || (bytes[used_] == 0 &&
                         std::memcmp(bytes + used_, bytes + used_ + 1, left - 1) == 0);
  }

  Sealed sealed_;
  const std::string folder_;
  std::string mark_path_;
  std::uint8_t store_id_[16];
  const std::size_t segment_bytes_;
  int folder_fd_ = -1;
  int mark_fd_ = -1;
  int fd_ = -1;
  std::string path_;
  std::size_t used_ = 0;  // bytes of the segment in use, header included
  std::size_t size_ = 0;  // bytes that are preallocated
};

}  // namespace atp
