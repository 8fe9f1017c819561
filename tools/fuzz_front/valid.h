// Valid requests over a small world, so that ids, SKUs, customers and holds meet: what every
// mutation starts from. Owns the world's names.
#pragma once
#include "protobuf.h"

namespace atp::fuzz {

inline constexpr int kMethods = 7;  // numbered as the front numbers them; Execute is the last
inline constexpr int kExecute = 6;
inline constexpr std::size_t kRemembered = 64;

struct World {
  std::vector<std::string> reservations;  // named in answers, the newest ones
  std::int64_t now = 0;                   // ns

  void remember(const std::string& reservation, Dice& dice) {
    if (reservations.size() < kRemembered) {
      reservations.push_back(reservation);
    } else {
      reservations[dice.below(kRemembered)] = reservation;
    }
  }
};

inline std::string a_sku(Dice& dice) {
  static const std::string kSkus[] = {
      "apple", "pear", "plum", "fig", "\xc3\xa9t\xc3\xa9", std::string(64, 's'),
      std::string(1, '\0'), "unknown"};
  return dice.of(kSkus);
}

inline std::string a_request_id(Dice& dice) {
  if (dice.one_in(6)) return "r" + std::to_string(dice.below(50));
  return "q" + std::to_string(dice.next() % 1000000);
}

inline std::string a_reservation(const World& world, Dice& dice) {
  if (world.reservations.empty() || dice.one_in(12)) return std::string(32, '0');
  return dice.of(world.reservations);
}

inline std::string a_line(Dice& dice) {
  const std::uint64_t quantity = dice.one_in(10) ? 1 + dice.below(1000) : 1 + dice.below(3);
  return put_together({bytes_piece(1, a_sku(dice)), number_piece(2, quantity)});
}

inline void add_lines(std::vector<Piece>& pieces, std::size_t count, Dice& dice) {
  for (std::size_t i = 0; i < count; ++i) pieces.push_back(bytes_piece(2, a_line(dice)));
}

// A Timestamp or a Duration as the field `number` or the one after it, or nothing.
inline void add_end(std::vector<Piece>& pieces, std::uint32_t number, const World& world,
                    Dice& dice) {
  const std::int64_t more = 1 + static_cast<std::int64_t>(dice.next() % 100'000'000'000);
  const bool is_instant = dice.one_in(3);
  if (!is_instant && dice.one_in(3)) return;
  const std::int64_t time = is_instant ? world.now + more : more;
  std::string text = put_together({number_piece(1, static_cast<std::uint64_t>(time / 1000000000)),
                                   number_piece(2, static_cast<std::uint64_t>(time % 1000000000))});
  pieces.push_back(bytes_piece(is_instant ? number : number + 1, std::move(text)));
}

inline std::string valid_reserve(const World& world, Dice& dice) {
  static const std::string kAddresses[] = {"10.0.0.1", "10.0.0.2", "::ffff:10.0.0.1",
                                           "2001:db8::1"};
  static const std::string kCustomers[] = {"ann", "bob", "\xe4\xb8\xad"};
  std::vector<Piece> pieces = {bytes_piece(1, a_request_id(dice))};
  add_lines(pieces, dice.one_in(50) ? dice.below(200) : 1 + dice.below(3), dice);
  if (dice.one_in(2)) pieces.push_back(bytes_piece(3, dice.of(kAddresses)));
  if (dice.one_in(2)) pieces.push_back(bytes_piece(4, dice.of(kCustomers)));
  add_end(pieces, 5, world, dice);
  if (dice.one_in(3)) pieces.push_back(number_piece(7, 1));
  if (dice.one_in(8)) pieces.push_back(bytes_piece(8, a_reservation(world, dice)));
  return put_together(pieces);
}

inline std::string valid_change(const World& world, Dice& dice) {
  std::vector<Piece> pieces = {bytes_piece(1, a_reservation(world, dice))};
  const bool has_lines = dice.one_in(3);
  if (has_lines) add_lines(pieces, 1 + dice.below(2), dice);
  if (has_lines || dice.one_in(2)) pieces.push_back(bytes_piece(3, a_request_id(dice)));
  return put_together(pieces);
}

inline std::string valid_extend(const World& world, Dice& dice) {
  std::vector<Piece> pieces = {bytes_piece(1, a_reservation(world, dice))};
  add_end(pieces, 2, world, dice);
  if (dice.one_in(2)) pieces.push_back(bytes_piece(4, a_request_id(dice)));
  return put_together(pieces);
}

std::string valid_request(int method, const World& world, Dice& dice);

inline std::string valid_batch(const World& world, Dice& dice) {
  std::vector<Piece> commands;
  const std::size_t count = dice.one_in(100) ? dice.below(300) : 1 + dice.below(5);
  for (std::size_t i = 0; i < count; ++i) {
    const int method = static_cast<int>(dice.below(4));
    std::string request = valid_request(method, world, dice);
    const auto number = static_cast<std::uint32_t>(method + 1);
    commands.push_back(bytes_piece(1, put_together({bytes_piece(number, std::move(request))})));
  }
  if (dice.one_in(4)) commands.push_back(number_piece(2, 1));
  return put_together(commands);
}

inline std::string valid_request(int method, const World& world, Dice& dice) {
  std::vector<Piece> pieces;
  switch (method) {
    case 0:
      return valid_reserve(world, dice);
    case 1:
    case 2:
      return valid_change(world, dice);
    case 3:
      return valid_extend(world, dice);
    case 4:
      return put_together({bytes_piece(1, a_reservation(world, dice))});
    case 5:
      for (std::size_t i = 0; i <= dice.below(6); ++i) {
        pieces.push_back(bytes_piece(1, a_sku(dice)));
      }
      return put_together(pieces);
    default:
      return valid_batch(world, dice);
  }
}

}  // namespace atp::fuzz
