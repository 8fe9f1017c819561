// Requests of atp.v1 as bytes. What a basket asks for never changes, so it is encoded once, before
// the load; a request is that after its id. Owns the baskets; chooses none of them, and knows
// nothing of HTTP/2.
#pragma once
#include <algorithm>
#include <cstdint>
#include <protozero/pbf_writer.hpp>
#include <protozero/varint.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "errands.h"

namespace atp::load {

// How a shopper's visit ends once units are held.
enum class End : std::uint8_t { kAbandon, kCommit, kRelease, kExtendAndCommit };

// One shopper: what is wanted, and what is done in which order.
struct Basket {
  std::size_t first_line = 0, lines = 0;
  std::int32_t customer = -1, address = -1;  // -1: none
  bool looks = false;                        // asks what is there first
  bool reserves = true;
  bool repeats = false;  // asks for the same again, with the same request id
  End end = End::kAbandon;
  std::int64_t think_ns = 0;  // before what ends it
};

struct BasketLine {
  std::int32_t sku;
  std::int64_t quantity;
};

// Texts that baskets name by number, and what all requests share.
struct Names {
  std::vector<std::string> skus, customers, addresses;
  std::string request_id;        // begins every one; the rest is a number, up to kIdBytes in all
  std::int64_t ttl_seconds = 0;  // 0: none is told
  bool brief = false;            // asks for brief answers to batches
};

inline constexpr std::size_t kIdBytes = 36;

class Requests {
 public:
  Requests(Names names, std::vector<Basket> baskets, const std::vector<BasketLine>& lines)
      : names_(std::move(names)), baskets_(std::move(baskets)) {
    reserves_.reserve(baskets_.size() + 1);
    for (const Basket& basket : baskets_) {
      reserves_.push_back(bodies_.size());
      if (basket.reserves) encode_reserve(basket, lines);
      looks_.push_back(bodies_.size());
      if (basket.looks) encode_look(basket, lines);
      bytes_most_ = std::max(bytes_most_, bodies_.size() - reserves_.back());
    }
    reserves_.push_back(bodies_.size());
    bytes_most_ += kIdBytes + kHeadBytesMost;
  }

  const Basket& basket(std::uint32_t number) const { return baskets_[number]; }
  std::size_t baskets() const { return baskets_.size(); }
  // No unary request has more.
  std::size_t bytes_most() const { return bytes_most_; }

  // Appends the message of an errand.
  void add(std::string* out, const Errand& errand) const {
    switch (errand.kind) {
      case Kind::kReserve:
        add_id(out, 1, errand.number);
        out->append(bodies_, reserves_[errand.basket],
                    looks_[errand.basket] - reserves_[errand.basket]);
        return;
      case Kind::kLook:
        out->append(bodies_, looks_[errand.basket],
                    reserves_[errand.basket + 1] - looks_[errand.basket]);
        return;
      case Kind::kCommit:
      case Kind::kRelease:
        protozero::pbf_writer(*out).add_string(1, errand.hold);
        return;
      case Kind::kExtend:
        protozero::pbf_writer(*out).add_string(1, errand.hold);
        if (names_.ttl_seconds > 0) add_ttl(out, 3);
        add_id(out, 4, errand.number);
        return;
    }
  }

  // Appends an errand as a command of a batch; a look can't be one.
  void add_to_batch(std::string* out, const Errand& errand, std::string* room) const {
    room->clear();
    add(room, errand);
    char head[24];
    char* at = head;
    *at++ = static_cast<char>((static_cast<int>(errand.kind) + 1) << 3 | 2);
    at += protozero::add_varint_to_buffer(at, room->size());
    const std::size_t size = static_cast<std::size_t>(at - head);
    char outer[12];
    outer[0] = 1 << 3 | 2;
    const auto outer_size = protozero::add_varint_to_buffer(outer + 1, size + room->size());
    out->append(outer, 1 + static_cast<std::size_t>(outer_size)).append(head, size).append(*room);
  }
  void end_batch(std::string* out) const {
    if (names_.brief) protozero::pbf_writer(*out).add_bool(2, true);
  }

 private:
  static constexpr std::size_t kHeadBytesMost = 128;  // of fields besides a body, and a hold's name

  void encode_reserve(const Basket& basket, const std::vector<BasketLine>& lines) {
    protozero::pbf_writer reserve(bodies_);
    std::string line;
    for (std::size_t at = basket.first_line; at < basket.first_line + basket.lines; ++at) {
      line.clear();
      protozero::pbf_writer writer(line);
      writer.add_string(1, names_.skus[static_cast<std::size_t>(lines[at].sku)]);
      writer.add_int64(2, lines[at].quantity);
      reserve.add_message(2, line);
    }
    if (basket.address >= 0) {
      reserve.add_string(3, names_.addresses[static_cast<std::size_t>(basket.address)]);
    }
    if (basket.customer >= 0) {
      reserve.add_string(4, names_.customers[static_cast<std::size_t>(basket.customer)]);
    }
    if (names_.ttl_seconds > 0) add_ttl(&bodies_, 6);
  }

  // Each SKU once.
  void encode_look(const Basket& basket, const std::vector<BasketLine>& lines) {
    std::vector<std::int32_t> seen;
    for (std::size_t at = basket.first_line; at < basket.first_line + basket.lines; ++at) {
      if (std::find(seen.begin(), seen.end(), lines[at].sku) != seen.end()) continue;
      seen.push_back(lines[at].sku);
      protozero::pbf_writer(bodies_).add_string(
          1, names_.skus[static_cast<std::size_t>(lines[at].sku)]);
    }
  }

  void add_ttl(std::string* out, protozero::pbf_tag_type field) const {
    std::string ttl;
    protozero::pbf_writer(ttl).add_int64(1, names_.ttl_seconds);
    protozero::pbf_writer(*out).add_message(field, ttl);
  }

  void add_id(std::string* out, int field, std::uint64_t number) const {
    char id[2 + kIdBytes];
    id[0] = static_cast<char>(field << 3 | 2);
    id[1] = kIdBytes;
    names_.request_id.copy(id + 2, kIdBytes);
    for (std::size_t place = 1 + kIdBytes; place > 1 + names_.request_id.size(); --place) {
      id[place] = static_cast<char>('0' + number % 10);
      number /= 10;
    }
    out->append(id, sizeof id);
  }

  Names names_;
  std::vector<Basket> baskets_;
  std::string bodies_;                 // of every basket: its reserve, then its look
  std::vector<std::size_t> reserves_;  // where each begins
  std::vector<std::size_t> looks_;
  std::size_t bytes_most_ = 0;
};

}  // namespace atp::load
