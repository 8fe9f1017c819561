// What becomes of one call: finds its file, asks the plan, and carries out what can be done before
// the call and after it. Owns the end of the process.
#pragma once
#include "memory.h"

struct place {
  char full[PATH_MAX];
  const char* path;  // within the data directory
  struct stat is;
};
struct verdict {
  int error;
  bool lie, full, within;
  long short_bytes;    // 0: whole
  const struct rule* after;
};

__attribute__((noreturn)) static void die(void) {
  for (;;) kill(getpid(), SIGKILL), pause();
}
__attribute__((noreturn)) static void kill_now(void) {
  pthread_mutex_lock(&disk_lock);
  save_unsynced();
  die();
}
// The process ends by itself: the machine runs on all the same.
static void end_watching(void) {
  pthread_mutex_lock(&disk_lock);
  save_unsynced();
  pthread_mutex_unlock(&disk_lock);
}
__attribute__((noreturn)) static void cut_power(const struct rule* rule) {
  pthread_mutex_lock(&disk_lock);
  lose_unsynced(rule);
  note("cut: done");
  die();
}

static void pause_ms(long ms) {
  struct timespec left = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) continue;
}

static struct verdict judge(enum kind kind, const char* path, const char* to, long size) {
  const int error_before = errno;
  struct verdict verdict = {0};
  struct rule* met[MET_MOST];
  const struct call call = {kind, path, to, size};
  const int count = meet(&call, met);
  for (int i = 0; i < count; ++i) {
    const struct rule* rule = met[i];
    switch (rule->action) {
      case KILL: kill_now();
      case CUT: cut_power(rule);
      case KILL_AFTER:
      case CUT_AFTER: verdict.after = rule; break;
      case WITHIN: verdict.within = true; // fall through
      case SHORT:
        verdict.short_bytes = rule->bytes ? rule->bytes : 1 + (long)draw_below((uint64_t)size - 1);
        if (size < 2 || verdict.short_bytes >= size) verdict.short_bytes = 0;
        break;
      case ERROR: verdict.error = rule->error; break;
      case DELAY: pause_ms(rule->ms); break;
      case WAIT: while (exists(rule->when)) pause_ms(1); break;
      case LIE: verdict.lie = true; break;
      case FULL: verdict.full = true; break;
      case ACTIONS: break;
    }
  }
  errno = error_before;
  return verdict;
}

static void afterwards(const struct verdict* verdict) {
  if (verdict->within) kill_now();
  if (verdict->after == NULL) return;
  if (verdict->after->action == KILL_AFTER) kill_now();
  cut_power(verdict->after);
}

static int refuse(int error) {
  errno = error;
  return -1;
}

// Where an open file lies; false: it is none of ours.
static bool find_fd(int fd, struct place* place) {
  if (root_size == 0) return false;
  const int error_before = errno;
  char name[64];
  snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(name, place->full, sizeof place->full - 1);
  errno = error_before;
  if (size <= 0 || place->full[0] != '/') return false;
  place->full[size] = 0;
  place->path = within(place->full);
  return place->path != NULL && fstat(fd, &place->is) == 0;
}

// Where a path leads; false: it is none of ours. What it leads to need not exist, but its directory
// must.
static bool find_path(int at, const char* path, struct place* place) {
  if (root_size == 0 || path == NULL) return false;
  const int error_before = errno;
  char text[2 * PATH_MAX] = "", base[PATH_MAX] = "";
  if (path[0] != '/') {
    char name[64] = "/proc/self/cwd";
    if (at != AT_FDCWD) snprintf(name, sizeof name, "/proc/self/fd/%d", at);
    if (readlink(name, base, sizeof base - 1) < 0) base[0] = 0;
    strcat(base, "/");
  }
  snprintf(text, sizeof text, "%s%s", base, path);
  size_t size = strlen(text);
  while (size > 1 && text[size - 1] == '/') text[--size] = 0;
  char* last = strrchr(text, '/');
  char name[NAME_MAX + 1], folder[PATH_MAX];
  bool ours = last != NULL && strlen(last + 1) <= NAME_MAX;
  if (ours) {
    strcpy(name, last + 1);
    last[last == text] = 0;
    ours = strncmp(text, root, root_size - strlen(strrchr(root, '/'))) == 0 || path[0] != '/';
    ours = ours && realpath(text, folder) != NULL &&
           snprintf(place->full, sizeof place->full, "%s/%s", folder, name) < PATH_MAX;
  }
  errno = error_before;
  if (!ours) return false;
  place->path = within(place->full);
  return place->path != NULL;
}

// The directory that has a place's name.
static struct stat folder_of(const struct place* place) {
  char folder[PATH_MAX];
  strcpy(folder, place->full);
  *strrchr(folder, '/') = 0;
  struct stat is;
  if (stat(folder, &is) != 0) memset(&is, 0, sizeof is);
  return is;
}

// Does the file have all its blocks? Then overwriting it needs no room.
static bool has_room(const struct stat* is, off_t end) {
  return end <= is->st_size && (off_t)is->st_blocks * 512 >= is->st_size;
}
