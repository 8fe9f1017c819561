// The guards of a connection on the command line: one call a line on stdin, one word a line back.
// Owns nothing but the translation, so that tests in Python tell what frames came when.
#include <cstdio>
#include <cstring>

#include "atp/front/guards.h"

int main() {
  using namespace atp;
  Guards guards(kGuardSecond);
  char word[16];
  long long a = 0, b = 0, c = 0, now = 0, times = 0;
  while (std::scanf("%15s %lld %lld %lld %lld %lld", word, &a, &b, &c, &now, &times) == 6) {
    Guard found = kFine;
    int field = 0;
    long long done = 0;
    for (; done < times && found == kFine && field < 2; ++done) {
      if (!std::strcmp(word, "frame")) {
        found = guards.frame(static_cast<std::uint8_t>(a), static_cast<std::uint8_t>(b),
                             static_cast<std::size_t>(c), now);
      } else if (!std::strcmp(word, "header")) {
        field = static_cast<int>(guards.header(static_cast<std::size_t>(a),
                                               static_cast<std::size_t>(b),
                                               static_cast<std::size_t>(c)));
        found = field == 2 ? kHeaders : kFine;
      } else if (!std::strcmp(word, "fault")) {
        found = guards.fault(now);
      } else if (!std::strcmp(word, "answered")) {
        guards.answered();
      } else if (!std::strcmp(word, "refused")) {
        guards.refused();
      } else if (!std::strcmp(word, "sent")) {
        guards.data_sent();
      } else if (!std::strcmp(word, "output")) {
        guards.output(a, b, now);
      } else if (!std::strcmp(word, "overdue")) {
        found = guards.overdue(now, a != 0);
      } else {
        return 2;
      }
    }
    std::printf("%s %lld\n", field == 1 ? "refuse" : guard_name(found), done);
    std::fflush(stdout);
  }
}
