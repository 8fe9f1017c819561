// What was not synced when a process was killed is still not synced in its next life, while the
// machine runs on. Owns the file of FAULTS_UNSYNCED, which carries it from one life to the next.
#pragma once
#include "disk.h"

static const char* memory_path;

static void put(int fd, const void* bytes, size_t size) {
  struct iovec whole = {(void*)bytes, size};
  if (size && raw_writev(fd, &whole, 1) != (ssize_t)size) give_up("can't write %s", memory_path);
}
static void get(int fd, void* bytes, size_t size) {
  for (size_t done = 0; done < size;) {
    const ssize_t got = syscall(SYS_read, fd, (char*)bytes + done, size - done);
    if (got <= 0) give_up("%s ends early", memory_path);
    done += (size_t)got;
  }
}
static void put_number(int fd, uint64_t number) { put(fd, &number, sizeof number); }
static uint64_t get_number(int fd) {
  uint64_t number;
  get(fd, &number, sizeof number);
  return number;
}
static void put_text(int fd, const char* text) {
  const size_t size = text ? strlen(text) + 1 : 0;
  put_number(fd, size);
  put(fd, text, size);
}
static char* get_text(int fd) {
  const size_t size = get_number(fd);
  char* text = size ? grow(NULL, size) : NULL;
  get(fd, text, size);
  return text;
}

static bool is_named(int fd) {
  struct stat is;
  return fstat(fd, &is) == 0 && is.st_nlink > 0;
}

// A file without a name is carried whole. One that somebody removed who was not watched (-1) has
// nothing to lose any more.
static void put_content(int fd, int file) {
  struct stat is = {0};
  if (file >= 0 && fstat(file, &is) != 0) give_up("fstat: %s", strerror(errno));
  char* bytes = read_part(file, 0, (size_t)is.st_size);
  put_number(fd, (uint64_t)is.st_size);
  put(fd, bytes, (size_t)is.st_size);
  free(bytes);
}
static int get_content(int fd) {
  const int file = (int)syscall(SYS_memfd_create, "unsynced", 1u);
  const size_t size = get_number(fd);
  char* bytes = grow(NULL, size);
  get(fd, bytes, size);
  if (file < 0 || raw_pwrite(file, bytes, size, 0) != (ssize_t)size) give_up("no memory file");
  free(bytes);
  return file;
}

static void put_file(int fd, const struct file* file) {
  char name[64], path[PATH_MAX] = "";
  snprintf(name, sizeof name, "/proc/self/fd/%d", file->fd);
  if (is_named(file->fd) && readlink(name, path, sizeof path - 1) < 0) give_up("readlink");
  put_text(fd, path);
  if (!is_named(file->fd)) put_content(fd, file->fd);
  put_number(fd, file->device);
  put_number(fd, file->inode);
  put_text(fd, file->path);
  put_number(fd, file->count);
  put(fd, file->changes, file->count * sizeof *file->changes);
  for (size_t i = 0; i < file->count; ++i) put(fd, file->changes[i].bytes, file->changes[i].size);
}
static struct file get_file(int fd) {
  char* path = get_text(fd);
  const bool named = *path;
  struct file file = {.fd = named ? raw_open(AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0)
                                  : get_content(fd)};
  free(path);
  file.device = get_number(fd);
  file.inode = get_number(fd);
  if (!named) file.inode = 0;  // a new file may have got its number
  file.path = get_text(fd);
  file.count = file.room = get_number(fd);
  file.changes = grow(NULL, file.count * sizeof *file.changes);
  get(fd, file.changes, file.count * sizeof *file.changes);
  for (size_t i = 0; i < file.count; ++i) {
    file.changes[i].bytes = grow(NULL, file.changes[i].size);
    get(fd, file.changes[i].bytes, file.changes[i].size);
  }
  if (file.fd < 0) file.count = 0;  // somebody has removed it since
  return file;
}

// What a name stood for is among the files, so that what it loses is seen by both.
static size_t place_of_held(int held) {
  struct stat is;
  if (fstat(held, &is) != 0) give_up("fstat: %s", strerror(errno));
  return (size_t)(file_of(held, &is, "") - files);
}

// The process is about to end, and the machine is not. The lock is held for good.
static void save_unsynced(void) {
  if (memory_path == NULL) return;
  const int fd = raw_open(AT_FDCWD, memory_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) give_up("can't write %s: %s", memory_path, strerror(errno));
  for (size_t i = 0; i < entry_count; ++i)
    if (entries[i].held >= 0) place_of_held(entries[i].held);
  put_number(fd, file_count);
  for (size_t i = 0; i < file_count; ++i) put_file(fd, &files[i]);
  put_number(fd, entry_count);
  for (size_t i = 0; i < entry_count; ++i) {
    const struct entry* entry = &entries[i];
    put(fd, entry, sizeof *entry);
    put_text(fd, entry->path);
    put_text(fd, entry->to);
    if (entry->held >= 0) put_number(fd, place_of_held(entry->held));
  }
  put_number(fd, change_number);
  raw_close(fd);
}

static void load_unsynced(void) {
  const int fd = memory_path ? raw_open(AT_FDCWD, memory_path, O_RDONLY | O_CLOEXEC, 0) : -1;
  if (fd < 0) return;
  file_count = get_number(fd);
  files = grow(NULL, file_count * sizeof *files);
  for (size_t i = 0; i < file_count; ++i) files[i] = get_file(fd);
  entry_count = get_number(fd);
  entries = grow(NULL, entry_count * sizeof *entries);
  for (size_t i = 0; i < entry_count; ++i) {
    get(fd, &entries[i], sizeof *entries);
    entries[i].path = get_text(fd);
    entries[i].to = get_text(fd);
    if (entries[i].held >= 0) entries[i].held = dup(files[get_number(fd)].fd);
  }
  change_number = get_number(fd);
  raw_close(fd);
  raw_unlink(AT_FDCWD, memory_path, 0);  // an end that nobody sees must not bring it up again
  note("carried over: %zu files and %zu names with unsynced changes", file_count, entry_count);
}
