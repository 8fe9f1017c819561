// What a disk would have lost: every change that no sync has covered, with what was there before.
// Owns the pre-images, and undoing them when the power goes. Knows nothing of when that is.
//
// The model is the strict one of POSIX: the bytes and the size of a file are safe after fsync or
// fdatasync of it, a name after fsync of its directory, and nothing else is. A sync that failed
// does not count, and what it should have covered is not covered by a later one either, unless it
// was written anew: the kernel has marked those pages clean.
#pragma once
#include <dirent.h>

#include "plan.h"

enum change_kind { BYTES, SIZE };
struct change {
  enum change_kind kind;
  bool doomed;       // a sync of it failed
  off_t offset;      // of the bytes
  size_t size;       // of the bytes; of a SIZE: those that a truncation cut off
  off_t size_before;  // of the file
  char* bytes;       // as they were
  uint64_t number;
};
struct file {
  dev_t device;
  ino_t inode;
  int fd;  // our own: the file can be put right even when it has no name any more
  char* path;
  struct change* changes;  // oldest first
  size_t count, room;
};
enum entry_kind { MADE, RENAMED, REMOVED, MADE_DIRECTORY, REMOVED_DIRECTORY };
struct entry {
  enum entry_kind kind;
  char* path;  // absolute; of a rename: where from
  char* to;
  dev_t device;  // the directory's
  ino_t inode;
  int held;  // the file that lost its name by this, or -1
  uint64_t number;
};

static pthread_mutex_t disk_lock = PTHREAD_MUTEX_INITIALIZER;
static struct file* files;
static size_t file_count;
static struct entry* entries;
static size_t entry_count;
static uint64_t change_number;
static char root[PATH_MAX];  // of the data directory, without a slash at its end
static size_t root_size;

// The path within the data directory, or NULL: it lies elsewhere.
static const char* within(const char* path) {
  if (root_size == 0 || strncmp(path, root, root_size) != 0) return NULL;
  if (path[root_size] == 0) return ".";
  return path[root_size] == '/' ? path + root_size + 1 : NULL;
}

static int own_handle(int fd) {
  char name[64];
  snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
  const int own = raw_open(AT_FDCWD, name, O_RDWR | O_CLOEXEC, 0);
  if (own < 0) give_up("can't open %s to keep what it was: %s", name, strerror(errno));
  return own;
}

static struct file* file_of(int fd, const struct stat* is, const char* path) {
  for (size_t i = 0; i < file_count; ++i)
    if (files[i].device == is->st_dev && files[i].inode == is->st_ino) return &files[i];
  files = grow(files, (file_count + 1) * sizeof *files);
  files[file_count] = (struct file){is->st_dev, is->st_ino, own_handle(fd), copy_text(path),
                                    NULL, 0, 0};
  return &files[file_count++];
}

static struct change* add_change(struct file* file, struct change change) {
  if (file->count == file->room) {
    file->room = 2 * file->room + 16;
    file->changes = grow(file->changes, file->room * sizeof *file->changes);
  }
  change.number = ++change_number;
  file->changes[file->count] = change;
  return &file->changes[file->count++];
}

static char* read_part(int fd, off_t offset, size_t size) {
  char* bytes = grow(NULL, size);
  memset(bytes, 0, size);  // past the end there are zeros
  for (size_t done = 0; done < size;) {
    const ssize_t got = raw_pread(fd, bytes + done, size - done, offset + (off_t)done);
    if (got < 0) give_up("can't read what will be overwritten: %s", strerror(errno));
    if (got == 0) break;
    done += (size_t)got;
  }
  return bytes;
}

// Before bytes are written.
static void keep_bytes(int fd, const struct stat* is, const char* path, off_t offset, size_t size) {
  if (size == 0) return;
  struct file* file = file_of(fd, is, path);
  if (offset + (off_t)size > is->st_size)
    add_change(file, (struct change){.kind = SIZE, .size_before = is->st_size});
  char* bytes = read_part(file->fd, offset, size);
  add_change(file, (struct change){.kind = BYTES, .offset = offset, .size = size, .bytes = bytes});
}

// Before a file gets another size.
static void keep_size(int fd, const struct stat* is, const char* path, off_t size) {
  if (size == is->st_size) return;
  struct file* file = file_of(fd, is, path);
  struct change change = {.kind = SIZE, .size_before = is->st_size};
  if (size < is->st_size) {
    change.size = (size_t)(is->st_size - size);
    change.bytes = read_part(file->fd, size, change.size);
  }
  add_change(file, change);
}

static void keep_entry(enum entry_kind kind, const char* path, const char* to,
                       const struct stat* directory, int held) {
  entries = grow(entries, (entry_count + 1) * sizeof *entries);
  entries[entry_count++] = (struct entry){
      kind, copy_text(path), to ? copy_text(to) : NULL, directory->st_dev, directory->st_ino, held,
      ++change_number};
}

static void drop_change(struct change* change) { free(change->bytes); }

static bool written_anew(const struct file* file, size_t old, uint64_t number) {
  const struct change* doomed = &file->changes[old];
  for (size_t i = old + 1; i < file->count; ++i) {
    const struct change* newer = &file->changes[i];
    if (newer->doomed || newer->number > number || newer->kind != BYTES) continue;
    if (doomed->kind == SIZE) return true;
    if (newer->offset <= doomed->offset &&
        newer->offset + (off_t)newer->size >= doomed->offset + (off_t)doomed->size)
      return true;
  }
  return false;
}

// A sync that began at change `number` has ended. A failed one dooms what it should have covered.
static void file_synced(const struct stat* is, uint64_t number, bool ok) {
  for (size_t i = 0; i < file_count; ++i) {
    struct file* file = &files[i];
    if (file->device != is->st_dev || file->inode != is->st_ino) continue;
    size_t left = 0;
    bool* goes = grow(NULL, file->count * sizeof *goes);
    for (size_t j = 0; j < file->count; ++j) {
      struct change* change = &file->changes[j];
      goes[j] = ok && change->number <= number &&
                (!change->doomed || written_anew(file, j, number));
      if (!ok && change->number <= number) change->doomed = true;
    }
    for (size_t j = 0; j < file->count; ++j) {
      if (goes[j]) drop_change(&file->changes[j]);
      else file->changes[left++] = file->changes[j];
    }
    free(goes);
    file->count = left;
  }
}

static void directory_synced(const struct stat* is, uint64_t number) {
  size_t left = 0;
  for (size_t i = 0; i < entry_count; ++i) {
    struct entry* entry = &entries[i];
    if (entry->device == is->st_dev && entry->inode == is->st_ino && entry->number <= number) {
      if (entry->held >= 0) raw_close(entry->held);
      free(entry->path);
      free(entry->to);
    } else {
      entries[left++] = *entry;
    }
  }
  entry_count = left;
}

// The power goes.

static void put_back(int fd, off_t offset, const char* bytes, size_t size) {
  struct stat is;
  if (fstat(fd, &is) != 0) give_up("fstat: %s", strerror(errno));
  if (offset >= is.st_size) return;  // what lies beyond the end that was left is gone anyway
  if (offset + (off_t)size > is.st_size) size = (size_t)(is.st_size - offset);
  if (raw_pwrite(fd, bytes, size, offset) != (ssize_t)size) give_up("can't undo a write");
}

static void undo_size(int fd, const struct change* change) {
  if (raw_truncate(fd, change->size_before) != 0) give_up("can't undo a change of size");
  if (change->size)
    put_back(fd, change->size_before - (off_t)change->size, change->bytes, change->size);
}

static bool by_chance(double rate) { return (double)(draw() >> 11) * 0x1p-53 < rate; }

// For each piece of the file by chance how many of its changes, newest first, were never written: a
// disk may write them in any order, and not all of them.
static void lose_some(struct file* file, const struct rule* rule) {
  const double rates[] = {0.03, 0.3, 0.5, 0.9};
  const double rate = rates[draw_below(4)];
  size_t pieces = 0, sizes = 0, touched = 0, lost = 0;
  for (size_t i = 0; i < file->count; ++i) {
    const struct change* change = &file->changes[i];
    const size_t end = (size_t)((change->offset + (off_t)change->size) / rule->piece) + 1;
    if (change->kind == BYTES && end > pieces) pieces = end;
    sizes += change->kind == SIZE;
  }
  uint32_t* undo = grow(NULL, pieces * sizeof *undo);
  memset(undo, 0, pieces * sizeof *undo);
  for (size_t i = 0; i < file->count; ++i) {
    const struct change* change = &file->changes[i];
    if (change->kind != BYTES) continue;
    const off_t last = (change->offset + (off_t)change->size - 1) / rule->piece;
    for (off_t piece = change->offset / rule->piece; piece <= last; ++piece) ++undo[piece];
  }
  for (size_t i = 0; i < pieces; ++i) {
    touched += undo[i] > 0;
    undo[i] = undo[i] && by_chance(rate) ? 1 + (uint32_t)draw_below(undo[i]) : 0;
    lost += undo[i] > 0;
  }
  size_t undo_sizes = sizes && by_chance(rate) ? 1 + draw_below(sizes) : 0;
  note("cut: %s: %zu of %zu pieces lost, %zu of %zu sizes", file->path, lost, touched, undo_sizes,
       sizes);
  for (size_t i = file->count; i-- > 0;) {
    const struct change* change = &file->changes[i];
    if (change->kind == SIZE) {
      if (undo_sizes > 0) --undo_sizes, undo_size(file->fd, change);
      continue;
    }
    const off_t end = change->offset + (off_t)change->size;
    for (off_t from = change->offset; from < end;) {
      const off_t piece = from / rule->piece;
      const off_t to = (piece + 1) * rule->piece < end ? (piece + 1) * rule->piece : end;
      if (undo[piece] > 0) {
        --undo[piece];
        put_back(file->fd, from, change->bytes + (from - change->offset), (size_t)(to - from));
      }
      from = to;
    }
  }
  free(undo);
}

static void lose_all(struct file* file) {
  if (file->count) note("cut: %s: all of %zu changes lost", file->path, file->count);
  for (size_t i = file->count; i-- > 0;) {
    const struct change* change = &file->changes[i];
    if (change->kind == SIZE) undo_size(file->fd, change);
    else put_back(file->fd, change->offset, change->bytes, change->size);
  }
}

static void give_back_name(const char* path, int held) {
  if (held < 0) return;
  const int fd = raw_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) give_up("can't bring back %s: %s", path, strerror(errno));
  char part[65536];
  off_t offset = 0;
  for (ssize_t got; (got = raw_pread(held, part, sizeof part, offset)) > 0; offset += got)
    if (raw_pwrite(fd, part, (size_t)got, offset) != got) give_up("can't bring back %s", path);
  raw_close(fd);
}

// Whatever is in a directory goes with its name.
static void remove_tree(const char* path) {
  DIR* folder = opendir(path);
  for (struct dirent* one; folder && (one = readdir(folder));) {
    char inner[PATH_MAX];
    if (strcmp(one->d_name, ".") == 0 || strcmp(one->d_name, "..") == 0) continue;
    if (snprintf(inner, sizeof inner, "%s/%s", path, one->d_name) >= PATH_MAX) give_up("%s", path);
    if (raw_unlink(AT_FDCWD, inner, 0) != 0) remove_tree(inner);
  }
  if (folder) closedir(folder);
  raw_unlink(AT_FDCWD, path, AT_REMOVEDIR);
}

static void undo_entry(const struct entry* entry) {
  static const char* const names[] = {"made", "renamed", "removed", "made directory",
                                      "removed directory"};
  note("cut: undone: %s %s", names[entry->kind], entry->to ? entry->to : entry->path);
  switch (entry->kind) {
    case MADE: raw_unlink(AT_FDCWD, entry->path, 0); break;
    case RENAMED:
      raw_rename(AT_FDCWD, entry->to, AT_FDCWD, entry->path, 0);
      give_back_name(entry->to, entry->held);
      break;
    case REMOVED: give_back_name(entry->path, entry->held); break;
    case MADE_DIRECTORY: remove_tree(entry->path); break;
    case REMOVED_DIRECTORY: raw_mkdir(AT_FDCWD, entry->path, 0755); break;
  }
}

static bool is_kept(const struct rule* rule, const char* path) {
  return rule->keep && path && fnmatch(rule->keep, path, 0) == 0;
}

// Undoes what was not synced. The lock is held, and is never given back: nothing may change after.
static void lose_unsynced(const struct rule* rule) {
  for (size_t i = 0; i < file_count; ++i) {
    if (is_kept(rule, files[i].path)) continue;
    if (!rule->lose_some) lose_all(&files[i]);
    else if (files[i].count) lose_some(&files[i], rule);
  }
  // A file system keeps its names in order, so that some are the newest ones.
  size_t kept = rule->lose_some ? draw_below(entry_count + 1) : 0;
  for (size_t i = entry_count; i-- > kept;) {
    const struct entry* entry = &entries[i];
    const char* to = entry->to ? within(entry->to) : NULL;
    if (!is_kept(rule, within(entry->path)) && !is_kept(rule, to)) undo_entry(entry);
  }
}
