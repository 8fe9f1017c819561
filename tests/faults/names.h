// The calls that give files their names and take them away, and those that ask how much room there
// is. Owns no more than these; included by shim.c, which has the rest.
#pragma once

static int held_file(const char* path) {
  struct stat is;
  if (fstatat(AT_FDCWD, path, &is, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(is.st_mode)) return -1;
  return raw_open(AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
}

static int watch_rename(int at, const char* from, int to_at, const char* to, unsigned flags) {
  struct place source, target;
  const bool ours = find_path(to_at, to, &target);
  if (!find_path(at, from, &source) || !ours) {
    if (ours || find_path(at, from, &source)) give_up("a rename over the border: %s, %s", from, to);
    return raw_rename(at, from, to_at, to, flags);
  }
  if (flags & ~1u) give_up("renameat2 with flags %u is not watched", flags);
  const struct verdict verdict = ask(RENAME, &source, target.path, 0);
  if (verdict.error) return refuse(verdict.error);
  pthread_mutex_lock(&disk_lock);
  const int held = held_file(target.full);
  const int result = raw_rename(at, from, to_at, to, flags);
  const int error = errno;
  const struct stat folder = folder_of(&target);
  if (result == 0) keep_entry(RENAMED, source.full, target.full, &folder, held);
  else if (held >= 0) raw_close(held);
  pthread_mutex_unlock(&disk_lock);
  afterwards(&verdict);
  errno = error;
  return result;
}
int rename(const char* from, const char* to) {
  return watch_rename(AT_FDCWD, from, AT_FDCWD, to, 0);
}
int renameat(int at, const char* from, int to_at, const char* to) {
  return watch_rename(at, from, to_at, to, 0);
}
int renameat2(int at, const char* from, int to_at, const char* to, unsigned flags) {
  return watch_rename(at, from, to_at, to, flags);
}

static int watch_unlink(int at, const char* path, int flags) {
  struct place place;
  if (!find_path(at, path, &place)) return raw_unlink(at, path, flags);
  const struct verdict verdict = ask(UNLINK, &place, NULL, 0);
  if (verdict.error) return refuse(verdict.error);
  pthread_mutex_lock(&disk_lock);
  const int held = held_file(place.full);
  const int result = raw_unlink(at, path, flags);
  const int error = errno;
  const struct stat folder = folder_of(&place);
  const enum entry_kind kind = flags & AT_REMOVEDIR ? REMOVED_DIRECTORY : REMOVED;
  if (result == 0) keep_entry(kind, place.full, NULL, &folder, held);
  else if (held >= 0) raw_close(held);
  pthread_mutex_unlock(&disk_lock);
  afterwards(&verdict);
  errno = error;
  return result;
}
int unlink(const char* path) { return watch_unlink(AT_FDCWD, path, 0); }
int unlinkat(int at, const char* path, int flags) { return watch_unlink(at, path, flags); }
int rmdir(const char* path) { return watch_unlink(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char* path) {
  const int result = watch_unlink(AT_FDCWD, path, 0);
  return result != 0 && errno == EISDIR ? rmdir(path) : result;
}

static int watch_mkdir(int at, const char* path, mode_t mode) {
  struct place place;
  if (!find_path(at, path, &place)) return raw_mkdir(at, path, mode);
  const struct verdict verdict = ask(MKDIR, &place, NULL, 0);
  if (verdict.error) return refuse(verdict.error);
  if (verdict.full) return refuse(ENOSPC);
  pthread_mutex_lock(&disk_lock);
  const int result = raw_mkdir(at, path, mode);
  const int error = errno;
  const struct stat folder = folder_of(&place);
  // The data directory itself is not ours to lose.
  if (result == 0 && strcmp(place.path, ".") != 0)
    keep_entry(MADE_DIRECTORY, place.full, NULL, &folder, -1);
  pthread_mutex_unlock(&disk_lock);
  afterwards(&verdict);
  errno = error;
  return result;
}
int mkdir(const char* path, mode_t mode) { return watch_mkdir(AT_FDCWD, path, mode); }
int mkdirat(int at, const char* path, mode_t mode) { return watch_mkdir(at, path, mode); }

int linkat(int at, const char* from, int to_at, const char* to, int flags) {
  struct place place;
  if (!find_path(to_at, to, &place)) return (int)syscall(SYS_linkat, at, from, to_at, to, flags);
  const struct verdict verdict = ask(LINK, &place, NULL, 0);
  if (verdict.error) return refuse(verdict.error);
  pthread_mutex_lock(&disk_lock);
  const int result = (int)syscall(SYS_linkat, at, from, to_at, to, flags);
  const int error = errno;
  const struct stat folder = folder_of(&place);
  if (result == 0) keep_entry(MADE, place.full, NULL, &folder, -1);
  pthread_mutex_unlock(&disk_lock);
  afterwards(&verdict);
  errno = error;
  return result;
}
int link(const char* from, const char* to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

// How much room there is. A disk that is full by plan says so when asked.

static bool is_full(void) {
  for (int i = 0; i < rule_count; ++i)
    if (rules[i].action == FULL && (rules[i].when == NULL || exists(rules[i].when))) return true;
  return false;
}
#define ASKS_ROOM(NAME, FIRST, STATS, OURS)                                             \
  int NAME(FIRST, struct STATS* room) {                                                 \
    static int (*real)(FIRST, struct STATS*);                                           \
    if (real == NULL) *(void**)&real = dlsym(RTLD_NEXT, #NAME);                         \
    const int result = real(subject, room);                                             \
    struct place place;                                                                 \
    if (result == 0 && rule_count && OURS && is_full()) room->f_bfree = room->f_bavail = 0; \
    return result;                                                                      \
  }
ASKS_ROOM(statvfs, const char* subject, statvfs, find_path(AT_FDCWD, subject, &place))
ASKS_ROOM(statvfs64, const char* subject, statvfs64, find_path(AT_FDCWD, subject, &place))
ASKS_ROOM(fstatvfs, int subject, statvfs, find_fd(subject, &place))
ASKS_ROOM(fstatvfs64, int subject, statvfs64, find_fd(subject, &place))
