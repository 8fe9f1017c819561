// Preloaded into a process, watches its calls on the files of one directory, and makes them fail,
// lie, die or lose their work as a plan says (plan.h). Owns the names that the process calls; what
// a disk would have lost is disk.h's. All is told by the environment: FAULTS_DIRECTORY (as realpath
// gives it), FAULTS_PLAN, FAULTS_SEED, FAULTS_LOG, FAULTS_TRACE, FAULTS_UNSYNCED, FAULTS_CLOCK.
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>

#include "clock.h"
#include "judge.h"

static bool tracing;

__attribute__((constructor)) static void begin(void) {
  const char* directory = getenv("FAULTS_DIRECTORY");
  const char* seed = getenv("FAULTS_SEED");
  const char* log = getenv("FAULTS_LOG");
  clock_path = getenv("FAULTS_CLOCK");
  memory_path = getenv("FAULTS_UNSYNCED");
  tracing = getenv("FAULTS_TRACE") != NULL;
  if (log) log_fd = raw_open(AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log && log_fd < 0) give_up("can't write %s: %s", log, strerror(errno));
  if (seed) chance_state = mixed(strtoull(seed, NULL, 10));
  if (directory == NULL) return;
  if (directory[0] != '/' || strlen(directory) >= sizeof root) give_up("FAULTS_DIRECTORY");
  if (getenv("FAULTS_PLAN")) read_plan(getenv("FAULTS_PLAN"));
  load_unsynced();
  strcpy(root, directory);
  root_size = strlen(root);
}

__attribute__((destructor)) static void end(void) {
  if (root_size) end_watching();
}
void _exit(int status) {
  if (root_size) end_watching();
  for (;;) syscall(SYS_exit_group, status);
}
void _Exit(int status) { _exit(status); }

static void trace(enum kind kind, const char* path, long size) {
  if (tracing) note("call %s %s %ld", kind_names[kind], path, size);
}

static struct verdict ask(enum kind kind, const struct place* place, const char* to, long size) {
  trace(kind, to ? to : place->path, size);
  return judge(kind, place->path, to, size);
}

// Opening.

static int watch_open(int at, const char* path, int flags, mode_t mode) {
  struct place place;
  if (!find_path(at, path, &place)) return raw_open(at, path, flags, mode);
  bool there = fstatat(AT_FDCWD, place.full, &place.is, AT_SYMLINK_NOFOLLOW) == 0;
  const bool makes = (flags & O_CREAT) && !there;
  const struct verdict verdict = ask(makes ? CREATE : OPEN, &place, NULL, 0);
  if (verdict.error) return refuse(verdict.error);
  if (verdict.full && makes) return refuse(ENOSPC);
  pthread_mutex_lock(&disk_lock);
  there = fstatat(AT_FDCWD, place.full, &place.is, AT_SYMLINK_NOFOLLOW) == 0;
  if (there && (flags & O_TRUNC) && S_ISREG(place.is.st_mode) && place.is.st_size > 0) {
    const int fd = raw_open(AT_FDCWD, place.full, O_RDWR | O_CLOEXEC, 0);
    if (fd >= 0) keep_size(fd, &place.is, place.path, 0), raw_close(fd);
  }
  const int fd = raw_open(at, path, flags, mode);
  const int error = errno;
  if (fd >= 0 && makes && !there) {
    const struct stat folder = folder_of(&place);
    keep_entry(MADE, place.full, NULL, &folder, -1);
  }
  pthread_mutex_unlock(&disk_lock);
  afterwards(&verdict);
  errno = error;
  return fd;
}

static mode_t mode_in(int flags, va_list words) {
  return flags & (O_CREAT | O_TMPFILE) ? va_arg(words, mode_t) : 0;
}
#define OPENS(NAME)                                  \
  int NAME(const char* path, int flags, ...) {       \
    va_list words;                                   \
    va_start(words, flags);                          \
    const mode_t mode = mode_in(flags, words);       \
    va_end(words);                                   \
    return watch_open(AT_FDCWD, path, flags, mode);  \
  }
#define OPENS_AT(NAME)                                 \
  int NAME(int at, const char* path, int flags, ...) { \
    va_list words;                                     \
    va_start(words, flags);                            \
    const mode_t mode = mode_in(flags, words);         \
    va_end(words);                                     \
    return watch_open(at, path, flags, mode);          \
  }
OPENS(open)
OPENS(open64)
OPENS_AT(openat)
OPENS_AT(openat64)
int __open_2(const char* path, int flags) { return watch_open(AT_FDCWD, path, flags, 0); }
int __open64_2(const char* path, int flags) { return watch_open(AT_FDCWD, path, flags, 0); }
int __openat_2(int at, const char* path, int flags) { return watch_open(at, path, flags, 0); }
int __openat64_2(int at, const char* path, int flags) { return watch_open(at, path, flags, 0); }
int creat(const char* path, mode_t mode) {
  return watch_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
int creat64(const char* path, mode_t mode) { return creat(path, mode); }

// Reading. What a recovery does is mostly this, and it may be killed at any of it.

static bool may_read(int fd, long size, struct verdict* verdict) {
  struct place place;
  *verdict = (struct verdict){0};
  if (find_fd(fd, &place)) *verdict = ask(READ, &place, NULL, size);
  return !verdict->error;
}
#define READS(NAME, RESULT, SIZE, CALL, ...)                 \
  RESULT NAME(__VA_ARGS__) {                                 \
    struct verdict verdict;                                  \
    if (!may_read(fd, SIZE, &verdict)) return refuse(verdict.error); \
    const ssize_t got = CALL;                                \
    afterwards(&verdict);                                    \
    return got;                                              \
  }
READS(read, ssize_t, (long)size, syscall(SYS_read, fd, into, size), int fd, void* into, size_t size)
READS(pread, ssize_t, (long)size, raw_pread(fd, into, size, at), int fd, void* into, size_t size,
      off_t at)
READS(pread64, ssize_t, (long)size, raw_pread(fd, into, size, at), int fd, void* into, size_t size,
      off64_t at)
READS(readv, ssize_t, count, syscall(SYS_readv, fd, parts, count), int fd,
      const struct iovec* parts, int count)

#define MAPS(NAME)                                                                       \
  void* NAME(void* where, size_t size, int protection, int flags, int fd, off_t offset) { \
    struct place place;                                                                  \
    struct verdict verdict = {0};                                                        \
    if (fd >= 0 && find_fd(fd, &place)) {                                                \
      if ((flags & MAP_SHARED) && (protection & PROT_WRITE))                             \
        give_up("%s is mapped to be written: that can't be watched", place.path);        \
      verdict = ask(MAP, &place, NULL, (long)size);                                      \
      if (verdict.error) return refuse(verdict.error), MAP_FAILED;                       \
    }                                                                                    \
    void* mapped = (void*)syscall(SYS_mmap, where, size, protection, flags, fd, offset); \
    afterwards(&verdict);                                                                \
    return mapped;                                                                       \
  }
MAPS(mmap)
MAPS(mmap64)

// Writing.

static size_t size_of(const struct iovec* parts, int count) {
  size_t size = 0;
  for (int i = 0; i < count; ++i) size += parts[i].iov_len;
  return size;
}

// The first `size` bytes of the parts; `into` has room for all parts.
static int first_of(const struct iovec* parts, int count, size_t size, struct iovec* into) {
  int used = 0;
  for (; used < count && size > 0; ++used) {
    into[used] = parts[used];
    if (into[used].iov_len > size) into[used].iov_len = size;
    size -= into[used].iov_len;
  }
  return used;
}

static off_t position_of(int fd, const struct stat* is) {
  const int flags = fcntl(fd, F_GETFL);
  return flags & O_APPEND ? is->st_size : lseek(fd, 0, SEEK_CUR);
}

// `offset` -1: at the position.
static ssize_t watch_write(int fd, const struct iovec* parts, int count, off_t offset, int flags) {
  struct place place;
  if (!find_fd(fd, &place) || count > IOV_MAX)
    return offset < 0 ? raw_writev(fd, parts, count) : raw_pwritev(fd, parts, count, offset, flags);
  const size_t size = size_of(parts, count);
  const struct verdict verdict = ask(WRITE, &place, NULL, (long)size);
  if (verdict.error) return refuse(verdict.error);
  const size_t part = verdict.short_bytes ? (size_t)verdict.short_bytes : size;
  struct iovec cut[IOV_MAX];
  const int used = first_of(parts, count, part, cut);
  pthread_mutex_lock(&disk_lock);
  if (fstat(fd, &place.is) != 0) give_up("fstat: %s", strerror(errno));
  const off_t at = offset < 0 ? position_of(fd, &place.is) : offset;
  if (verdict.full && !has_room(&place.is, at + (off_t)part)) {
    pthread_mutex_unlock(&disk_lock);
    return refuse(ENOSPC);
  }
  keep_bytes(fd, &place.is, place.path, at, part);
  const ssize_t written =
      offset < 0 ? raw_writev(fd, cut, used) : raw_pwritev(fd, cut, used, offset, flags);
  const int error = errno;
  pthread_mutex_unlock(&disk_lock);
  afterwards(&verdict);
  errno = error;
  return written;
}

ssize_t write(int fd, const void* bytes, size_t size) {
  const struct iovec whole = {(void*)bytes, size};
  return watch_write(fd, &whole, 1, -1, 0);
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  const struct iovec whole = {(void*)bytes, size};
  return watch_write(fd, &whole, 1, offset, 0);
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t offset) {
  return pwrite(fd, bytes, size, offset);
}
ssize_t writev(int fd, const struct iovec* parts, int count) {
  return watch_write(fd, parts, count, -1, 0);
}
ssize_t pwritev(int fd, const struct iovec* parts, int count, off_t offset) {
  return watch_write(fd, parts, count, offset, 0);
}
ssize_t pwritev64(int fd, const struct iovec* parts, int count, off64_t offset) {
  return watch_write(fd, parts, count, offset, 0);
}
ssize_t pwritev2(int fd, const struct iovec* parts, int count, off_t offset, int flags) {
  return watch_write(fd, parts, count, offset, flags);
}
ssize_t pwritev64v2(int fd, const struct iovec* parts, int count, off64_t offset, int flags) {
  return watch_write(fd, parts, count, offset, flags);
}

// A copy within the kernel, done by hand so that it is a write like any other.
static ssize_t watch_copy(int out, off_t* to, int in, off_t* from, size_t size) {
  char bytes[65536];
  if (size > sizeof bytes) size = sizeof bytes;
  const ssize_t got = from ? raw_pread(in, bytes, size, *from) : syscall(SYS_read, in, bytes, size);
  if (got <= 0) return got;
  const struct iovec whole = {bytes, (size_t)got};
  const ssize_t put = watch_write(out, &whole, 1, to ? *to : -1, 0);
  if (put < 0 || put < got) {
    if (from == NULL) lseek(in, (put < 0 ? 0 : put) - got, SEEK_CUR);
    if (put < 0) return put;
  }
  if (from) *from += put;
  if (to) *to += put;
  return put;
}
ssize_t sendfile(int out, int in, off_t* from, size_t size) {
  struct place place;
  if (!find_fd(out, &place)) return syscall(SYS_sendfile, out, in, from, size);
  return watch_copy(out, NULL, in, from, size);
}
ssize_t sendfile64(int out, int in, off64_t* from, size_t size) {
  return sendfile(out, in, from, size);
}
ssize_t copy_file_range(int in, off64_t* from, int out, off64_t* to, size_t size, unsigned flags) {
  struct place place;
  if (!find_fd(out, &place)) return syscall(SYS_copy_file_range, in, from, out, to, size, flags);
  return watch_copy(out, to, in, from, size);
}

// Syncing.

static int watch_sync(int fd, long number) {
  struct place place;
  if (!find_fd(fd, &place)) return (int)syscall(number, fd);
  const bool folder = S_ISDIR(place.is.st_mode);
  const struct verdict verdict = ask(folder ? SYNCDIR : SYNC, &place, NULL, 0);
  if (verdict.lie) return 0;
  pthread_mutex_lock(&disk_lock);
  const uint64_t covered = change_number;
  pthread_mutex_unlock(&disk_lock);
  int error = verdict.error;
  if (!error && syscall(number, fd) != 0) error = errno;
  pthread_mutex_lock(&disk_lock);
  if (!folder) file_synced(&place.is, covered, !error);
  else if (!error) directory_synced(&place.is, covered);
  pthread_mutex_unlock(&disk_lock);
  afterwards(&verdict);
  return error ? refuse(error) : 0;
}
int fsync(int fd) { return watch_sync(fd, SYS_fsync); }
int fdatasync(int fd) { return watch_sync(fd, SYS_fdatasync); }

// Makes nothing durable: it says nothing of sizes, names and the disk's own cache.
int sync_file_range(int fd, off64_t offset, off64_t size, unsigned flags) {
  struct place place;
  struct verdict verdict = {0};
  if (find_fd(fd, &place)) verdict = ask(RANGE, &place, NULL, size);
  if (verdict.error) return refuse(verdict.error);
  const int result = (int)syscall(SYS_sync_file_range, fd, offset, size, flags);
  afterwards(&verdict);
  return result;
}
int syncfs(int fd) {
  struct place place;
  if (find_fd(fd, &place)) give_up("syncfs is not watched");
  return (int)syscall(SYS_syncfs, fd);
}

// Sizes.

static int watch_truncate(int fd, off_t size) {
  struct place place;
  if (!find_fd(fd, &place)) return raw_truncate(fd, size);
  const struct verdict verdict = ask(TRUNCATE, &place, NULL, size);
  if (verdict.error) return refuse(verdict.error);
  pthread_mutex_lock(&disk_lock);
  if (fstat(fd, &place.is) == 0) keep_size(fd, &place.is, place.path, size);
  const int result = raw_truncate(fd, size);
  const int error = errno;
  pthread_mutex_unlock(&disk_lock);
  afterwards(&verdict);
  errno = error;
  return result;
}
int ftruncate(int fd, off_t size) { return watch_truncate(fd, size); }
int ftruncate64(int fd, off64_t size) { return watch_truncate(fd, size); }
int truncate(const char* path, off_t size) {
  const int fd = watch_open(AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int result = watch_truncate(fd, size);
  raw_close(fd);
  return result;
}
int truncate64(const char* path, off64_t size) { return truncate(path, size); }

static int watch_allocate(int fd, int mode, off_t offset, off_t size) {
  struct place place;
  if (!find_fd(fd, &place)) return (int)syscall(SYS_fallocate, fd, mode, offset, size);
  const struct verdict verdict = ask(ALLOCATE, &place, NULL, size);
  if (verdict.error) return refuse(verdict.error);
  enum { KEEP_SIZE = 1, PUNCH = 2, ZERO = 16 };
  if (mode & ~(KEEP_SIZE | PUNCH | ZERO)) give_up("fallocate mode %d is not watched", mode);
  pthread_mutex_lock(&disk_lock);
  if (fstat(fd, &place.is) != 0) give_up("fstat: %s", strerror(errno));
  int result = -1, error = ENOSPC;
  if (!verdict.full || has_room(&place.is, offset + size)) {
    if (mode & (PUNCH | ZERO)) keep_bytes(fd, &place.is, place.path, offset, (size_t)size);
    else if (!(mode & KEEP_SIZE) && offset + size > place.is.st_size)
      keep_size(fd, &place.is, place.path, offset + size);
    result = (int)syscall(SYS_fallocate, fd, mode, offset, size);
    error = errno;
  }
  pthread_mutex_unlock(&disk_lock);
  afterwards(&verdict);
  errno = error;
  return result;
}
int fallocate(int fd, int mode, off_t offset, off_t size) {
  return watch_allocate(fd, mode, offset, size);
}
int fallocate64(int fd, int mode, off64_t offset, off64_t size) {
  return watch_allocate(fd, mode, offset, size);
}
int posix_fallocate(int fd, off_t offset, off_t size) {
  const int error_before = errno;
  const int error = watch_allocate(fd, 0, offset, size) == 0 ? 0 : errno;
  errno = error_before;
  return error;
}
int posix_fallocate64(int fd, off64_t offset, off64_t size) {
  return posix_fallocate(fd, offset, size);
}

#include "names.h"
