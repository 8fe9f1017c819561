// libuv closes sockets by a raw system call, which ThreadSanitizer can't see: a file that is given
// the same number later would seem to be used by two threads at once. Loaded before a program, this
// hands such calls on to close(), which it does see. Owns that one call; others go where they went.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { kWordsMost = 6 };

long syscall(long number, ...) {
  static long (*there)(long, ...);
  long word[kWordsMost];
  va_list words;
  va_start(words, number);
  for (int i = 0; i < kWordsMost; ++i) word[i] = va_arg(words, long);
  va_end(words);
  if (number == SYS_close) return close((int)word[0]);
  if (!there) there = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  return there(number, word[0], word[1], word[2], word[3], word[4], word[5]);
}
