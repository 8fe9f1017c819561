// Speaks to a loop's estimate of its delay: a line of commands in, a line of 0 and 1 out.
// Commands: wait NOW, found NOW, end NOW, late READ_BEFORE NOW LEFT MOST (which says 0 or 1).
#include <iostream>
#include <string>

#include "atp/front/delay.h"

int main() {
  atp::Delay delay;
  std::string word;
  std::int64_t now, read_before, left, most;
  while (std::cin >> word) {
    if (word == "late") {
      std::cin >> read_before >> now >> left >> most;
      std::cout << delay.is_late(read_before, now, left, most) << "\n";
      continue;
    }
    std::cin >> now;
    if (word == "wait") delay.begin_wait(now);
    if (word == "found") delay.end_wait(now);
    if (word == "end") delay.end_round(now);
  }
}
