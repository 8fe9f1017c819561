// The system calls themselves, past every watcher, and small words for the rest of the shim. Owns
// no state but the log and chance. A call made through here is neither counted nor spoilt.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int raw_open(int at, const char* path, int flags, mode_t mode) {
  return (int)syscall(SYS_openat, at, path, flags, mode);
}
static ssize_t raw_writev(int fd, const struct iovec* parts, int count) {
  return syscall(SYS_writev, fd, parts, count);
}
static ssize_t raw_pwritev(int fd, const struct iovec* parts, int count, off_t offset, int flags) {
  return syscall(SYS_pwritev2, fd, parts, count, offset, 0L, flags);
}
static ssize_t raw_pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  return syscall(SYS_pwrite64, fd, bytes, size, offset);
}
static ssize_t raw_pread(int fd, void* bytes, size_t size, off_t offset) {
  return syscall(SYS_pread64, fd, bytes, size, offset);
}
static int raw_truncate(int fd, off_t size) { return (int)syscall(SYS_ftruncate, fd, size); }
static int raw_rename(int at, const char* from, int to_at, const char* to, unsigned flags) {
  return (int)syscall(SYS_renameat2, at, from, to_at, to, flags);
}
static int raw_unlink(int at, const char* path, int flags) {
  return (int)syscall(SYS_unlinkat, at, path, flags);
}
static int raw_mkdir(int at, const char* path, mode_t mode) {
  return (int)syscall(SYS_mkdirat, at, path, mode);
}
static void raw_close(int fd) { syscall(SYS_close, fd); }
static bool exists(const char* path) { return syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0; }

static int log_fd = -1;

// Appends one line to the log, whole; without a log it says nothing.
__attribute__((format(printf, 1, 2))) static void note(const char* format, ...) {
  if (log_fd < 0) return;
  char line[2 * PATH_MAX + 256];
  va_list words;
  va_start(words, format);
  int size = vsnprintf(line, sizeof line - 1, format, words);
  va_end(words);
  if (size > (int)sizeof line - 2) size = (int)sizeof line - 2;
  line[size++] = '\n';
  struct iovec whole = {line, (size_t)size};
  if (raw_writev(log_fd, &whole, 1) < 0) log_fd = -1;
}

// The shim can't go on, or the process does what it can't watch: a test must not pass by that.
__attribute__((format(printf, 1, 2), noreturn)) static void give_up(const char* format, ...) {
  char line[2 * PATH_MAX + 256];
  va_list words;
  va_start(words, format);
  vsnprintf(line, sizeof line, format, words);
  va_end(words);
  note("gave up: %s", line);
  dprintf(STDERR_FILENO, "faults: %s\n", line);
  abort();
}

static void* grow(void* bytes, size_t size) {
  void* more = realloc(bytes, size ? size : 1);
  if (more == NULL) give_up("out of memory");
  return more;
}
static char* copy_text(const char* text) {
  const size_t size = strlen(text) + 1;
  return memcpy(grow(NULL, size), text, size);
}

// Chance that is the same for the same seed: splitmix64.
static uint64_t chance_state = 1;
static uint64_t mixed(uint64_t number) {
  number += 0x9e3779b97f4a7c15u;
  number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9u;
  number = (number ^ (number >> 27)) * 0x94d049bb133111ebu;
  return number ^ (number >> 31);
}
static uint64_t draw(void) {
  return mixed(__atomic_add_fetch(&chance_state, 0x9e3779b97f4a7c15u, __ATOMIC_RELAXED));
}
static uint64_t draw_below(uint64_t bound) { return bound ? draw() % bound : 0; }
