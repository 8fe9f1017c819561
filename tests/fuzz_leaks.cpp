// The hunt for leaks on the command line: what is allocated before each turn on stdin, and the bytes
// that each turn left as the answer, once enough was seen; "more" when there were too few turns.
#include <cstdio>

#include "../tools/fuzz_front/leaks.h"

int main() {
  atp::fuzz::LeakHunt hunt;
  long long allocated = 0;
  while (std::scanf("%lld", &allocated) == 1) {
    if (hunt.goes_on(allocated)) continue;
    std::printf("%lld\n", static_cast<long long>(hunt.each_turn()));
    return 0;
  }
  std::printf("more\n");
}
