// The system's clock as FAULTS_CLOCK says: the real one moved by the nanoseconds (a number in text,
// which may be negative) that this file holds at the moment of asking; no file: not at all. Only
// the time of day is moved: a steady clock stays steady.
#pragma once
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>

#include "raw.h"

static const char* clock_path;
enum { SECOND = 1000000000 };

static int real_clock(clockid_t clock, struct timespec* now) {
  static int (*real)(clockid_t, struct timespec*);
  if (real == NULL) *(void**)&real = dlsym(RTLD_NEXT, "clock_gettime");
  return real(clock, now);
}

static int64_t clock_shift(void) {
  char text[32] = "";
  const int fd = raw_open(AT_FDCWD, clock_path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return 0;
  if (raw_pread(fd, text, sizeof text - 1, 0) < 0) give_up("can't read %s", clock_path);
  raw_close(fd);
  return strtoll(text, NULL, 10);
}

static bool is_time_of_day(clockid_t clock) {
  return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
}

int clock_gettime(clockid_t clock, struct timespec* now) {
  const int result = real_clock(clock, now);
  if (clock_path == NULL || result != 0 || !is_time_of_day(clock)) return result;
  const int64_t shifted = (int64_t)now->tv_sec * SECOND + now->tv_nsec + clock_shift();
  now->tv_sec = shifted / SECOND;
  now->tv_nsec = shifted % SECOND;
  return 0;
}

int timespec_get(struct timespec* now, int base) {
  return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, now) == 0 ? base : 0;
}

int gettimeofday(struct timeval* restrict now, void* restrict zone) {
  struct timespec precise;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &precise) != 0) return -1;
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* into) {
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  if (into) *into = now.tv_sec;
  return now.tv_sec;
}
