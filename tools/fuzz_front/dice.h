// Chance that can be had again: a stream of numbers from a seed. Owns no state but its own.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace atp::fuzz {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}

  // SplitMix64.
  std::uint64_t next() {
    std::uint64_t mixed = state_ += 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
  }

  // 0 to count - 1; 0 when there is nothing to choose from.
  std::size_t below(std::size_t count) { return count ? next() % count : 0; }
  bool one_in(std::size_t count) { return below(count) == 0; }

  template <typename Values>
  auto& of(Values& values) {
    return values[below(std::size(values))];
  }

  std::string bytes(std::size_t size) {
    std::string drawn(size, '\0');
    for (char& byte : drawn) byte = static_cast<char>(next());
    return drawn;
  }

 private:
  std::uint64_t state_;
};

// A number of the kind that code gets wrong.
inline std::uint64_t edge(Dice& dice) {
  static constexpr std::uint64_t kEdges[] = {
      0, 1, 2, 3, 7, 16, 63, 64, 65, 127, 128, 255, 256, 4095, 4096, 4097, 16383, 16384, 65535,
      65536, 65537, 999999999, 1000000000, 1000000001, 0x7fffffff, 0x80000000, 0xffffffff,
      0x100000000, 86400, 315576000000, 315576000001, 253402300799, 253402300800, 9223372036,
      9223372037, INT64_MAX, static_cast<std::uint64_t>(INT64_MIN), UINT64_MAX, UINT64_MAX - 1};
  if (dice.one_in(4)) return dice.next() >> dice.below(64);
  return dice.of(kEdges) + (dice.one_in(8) ? dice.next() % 3 - 1 : 0);
}

// Bytes changed with no idea of what they mean. `other` is another input, to take parts from.
inline void mutate_bytes(std::string& bytes, std::string_view other, Dice& dice) {
  const std::size_t at = dice.below(bytes.size() + 1);
  const std::size_t size = 1 + dice.below(dice.one_in(4) ? 64 : 4);
  switch (dice.below(9)) {
    case 0:
      if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << dice.below(8)));
      break;
    case 1:
      if (at < bytes.size()) bytes[at] = static_cast<char>(dice.next());
      break;
    case 2:
      if (at < bytes.size()) bytes[at] = static_cast<char>(dice.one_in(2) ? 0xff : 0x00);
      break;
    case 3:
      bytes.insert(at, dice.bytes(size));
      break;
    case 4:
      bytes.erase(at, size);
      break;
    case 5:
      bytes.insert(at, bytes.substr(dice.below(bytes.size() + 1), size));
      break;
    case 6:
      bytes.resize(at);
      break;
    case 7:
      if (!other.empty()) bytes.insert(at, other.substr(dice.below(other.size()), size * 4));
      break;
    default:
      if (!other.empty()) {
        bytes.resize(at);
        bytes.append(other.substr(at % other.size()));
      }
  }
}

}  // namespace atp::fuzz
