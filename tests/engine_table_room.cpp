// Speaks to the room of hash tables: a line of commands in, a number a line out.
// Commands: take ID BYTES (says at which byte of the room, or -1), give ID (says 1 if the block
// still had what was written to it), used (says how many bytes the room has ever used).
#include <iostream>
#include <map>
#include <string>

#include "atp/engine/table_room.h"

struct Block {
  char* at;
  std::size_t bytes;
};

// At the begin of each page, but for blocks that are too large to be touched.
constexpr std::size_t kWrittenMost = std::size_t{1} << 26;

int main() {
  atp::TableRoom room;
  room.open();
  if (!room.is_open()) return 3;
  std::map<long, Block> blocks;
  std::string word;
  long id;
  while (std::cin >> word) {
    if (word == "used") {
      std::cout << room.used() - room.begin() << "\n";
      continue;
    }
    std::cin >> id;
    if (word == "take") {
      std::size_t bytes;
      std::cin >> bytes;
      char* const at = static_cast<char*>(room.take(bytes));
      std::cout << (at ? at - reinterpret_cast<char*>(room.begin()) : -1) << "\n";
      if (!at) continue;
      blocks[id] = Block{at, bytes};
      if (bytes > kWrittenMost) continue;
      for (std::size_t i = 0; i < bytes; i += atp::kPage) std::memcpy(at + i, &id, sizeof id);
    } else {
      const Block block = blocks.at(id);
      bool is_sound = true;
      for (std::size_t i = 0; i < block.bytes && block.bytes <= kWrittenMost; i += atp::kPage) {
        is_sound = is_sound && std::memcmp(block.at + i, &id, sizeof id) == 0;
      }
      std::cout << is_sound << "\n";
      room.give(block.at, block.bytes);
      blocks.erase(id);
    }
  }
}
