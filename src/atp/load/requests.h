// Requests of atp.v1 as bytes: each kind is encoded once, and what differs from call to call (ids,
// SKU, customer, address) is written over it at places of fixed width. Owns the names that a load
// uses; chooses none of them (draws say which) and knows nothing of HTTP/2.
#pragma once
#include <cstdint>
#include <cstring>
#include <protozero/pbf_writer.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace atp::load {

// Which of the SKUs, customers and addresses one command is about.
struct Draw {
  std::int32_t sku;
  std::int32_t customer;
  std::int32_t address;
};

struct Names {
  std::string request_id;  // begins every one; the rest is a number, up to kIdBytes in all
  std::string sku;         // begins every SKU; then its number, in sku_digits
  int sku_digits;
  std::int64_t ttl_seconds;  // 0: none is told
  bool brief;                // asks for brief answers to batches
};

inline constexpr std::size_t kIdBytes = 36;
inline constexpr int kCustomerDigits = 8;
inline constexpr std::string_view kCustomer = "customer-";
inline constexpr std::string_view kAddress = "10.100.100.100";

inline void put_digits(char* at, int width, std::uint64_t number) {
  for (int place = width - 1; place >= 0; --place, number /= 10) {
    at[place] = static_cast<char>('0' + number % 10);
  }
}

class Requests {
 public:
  explicit Requests(const Names& names) : names_(names) {
    const std::string sku = names.sku + std::string(names.sku_digits, '0');
    make_reserve(sku);
    protozero::pbf_writer asking(availability_);
    asking.add_string(1, sku);
    std::string command;
    protozero::pbf_writer(command).add_message(1, reserve_.bytes);
    protozero::pbf_writer(in_batch_.bytes).add_message(1, command);
    const std::size_t before = in_batch_.bytes.size() - reserve_.bytes.size();
    in_batch_.id_at = reserve_.id_at + before;
    in_batch_.sku_at = reserve_.sku_at + before;
    in_batch_.address_at = reserve_.address_at + before;
    in_batch_.customer_at = reserve_.customer_at + before;
  }

  // Each appends a message. A number stands for one request and must be used once.
  void add_reserve(std::string* out, const Draw& draw, std::uint64_t number) const {
    add(out, reserve_, draw, number);
  }
  void add_availability(std::string* out, const Draw& draw) const {
    out->append(availability_);
    put_digits(out->data() + out->size() - names_.sku_digits, names_.sku_digits,
               static_cast<std::uint64_t>(draw.sku));
  }
  void add_commit(std::string* out, std::string_view reservation_id) const {
    protozero::pbf_writer(*out).add_string(1, reservation_id.data(), reservation_id.size());
  }
  // Append one command to a batch.
  void add_reserve_to_batch(std::string* out, const Draw& draw, std::uint64_t number) const {
    add(out, in_batch_, draw, number);
  }
  void add_commit_to_batch(std::string* out, std::string_view reservation_id) const {
    protozero::pbf_writer batch(*out);
    protozero::pbf_writer command(batch, 1);
    protozero::pbf_writer commit(command, 2);
    commit.add_string(1, reservation_id.data(), reservation_id.size());
  }
  void end_batch(std::string* out) const {
    if (names_.brief) protozero::pbf_writer(*out).add_bool(2, true);
  }

 private:
  struct Template {
    std::string bytes;
    std::size_t id_at = 0, sku_at = 0, address_at = 0, customer_at = 0;
  };

  void make_reserve(const std::string& sku) {
    protozero::pbf_writer reserve(reserve_.bytes);
    reserve.add_string(1, names_.request_id + std::string(id_digits(), '0'));
    reserve_.id_at = reserve_.bytes.size() - id_digits();
    {
      protozero::pbf_writer line(reserve, 2);
      line.add_string(1, sku);
      line.add_int64(2, 1);
    }
    reserve_.sku_at = reserve_.bytes.size() - 2 - names_.sku_digits;  // before tag and quantity
    reserve.add_string(3, std::string(kAddress));
    reserve_.address_at = reserve_.bytes.size() - kAddress.size();
    reserve.add_string(4, std::string(kCustomer) + std::string(kCustomerDigits, '0'));
    reserve_.customer_at = reserve_.bytes.size() - kCustomerDigits;
    if (names_.ttl_seconds > 0) {
      protozero::pbf_writer ttl(reserve, 6);
      ttl.add_int64(1, names_.ttl_seconds);
    }
  }

  std::size_t id_digits() const { return kIdBytes - names_.request_id.size(); }

  void add(std::string* out, const Template& from, const Draw& draw, std::uint64_t number) const {
    const std::size_t begin = out->size();
    out->append(from.bytes);
    char* at = out->data() + begin;
    put_digits(at + from.id_at, static_cast<int>(id_digits()), number);
    put_digits(at + from.sku_at, names_.sku_digits, static_cast<std::uint64_t>(draw.sku));
    put_digits(at + from.customer_at, kCustomerDigits, static_cast<std::uint64_t>(draw.customer));
    // 10.1xx.1xx.1xx: a million addresses, all equally long.
    char* address = at + from.address_at;
    put_digits(address + 12, 2, static_cast<std::uint64_t>(draw.address % 100));
    put_digits(address + 8, 2, static_cast<std::uint64_t>(draw.address / 100 % 100));
    put_digits(address + 4, 2, static_cast<std::uint64_t>(draw.address / 10000 % 100));
  }

  Names names_;
  Template reserve_;
  Template in_batch_;
  std::string availability_;
};

}  // namespace atp::load
