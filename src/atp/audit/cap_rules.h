// What a cap says, as a Cap message puts it: whom it counts, over which SKUs, how long, and what
// each subject's limit is. Owns reading and comparing that. Counts nothing.
#pragma once
#include <algorithm>
#include <tuple>

#include "messages.h"

namespace atp::audit {

enum class Subject : std::uint8_t { kNone, kIp, kSubnet, kCustomer, kReservation, kEveryone };
enum class CapMode : std::uint8_t { kNone, kEnforce, kShadow, kOff };

constexpr std::int64_t kNoLimit = -1;

struct CapRange {
  Address address;
  int bits = 0;
  std::int64_t limit = kNoLimit;
  bool operator==(const CapRange& other) const {
    return address.view() == other.address.view() && bits == other.bits && limit == other.limit;
  }
};

// Whom a cap counts in one case.
struct Whom {
  Text bytes;    // a customer, or an address in network order; empty: everyone
  int bits = 0;  // of a subnet's prefix, or of a whole address
};

struct CapRule {
  Text id;
  Subject subject = Subject::kNone;
  CapMode mode = CapMode::kNone;
  int ipv4_bits = 0, ipv6_bits = 0;
  std::vector<Text> sku_names;      // sorted; none: all
  std::vector<std::uint32_t> skus;  // their numbers, sorted, once somebody has given them
  bool per_sku = false;
  std::int64_t limit = kNoLimit;
  std::int64_t window = 0, step = 0;  // nanoseconds; 0: as long as the cap lives
  std::vector<std::pair<Text, std::int64_t>> customers;  // sorted
  std::vector<CapRange> ranges;                          // longest prefix first

  bool concerns(std::uint32_t sku) const {
    return skus.empty() || std::binary_search(skus.begin(), skus.end(), sku);
  }
  bool counts_as(const CapRule& other) const {
    return subject == other.subject && ipv4_bits == other.ipv4_bits &&
           ipv6_bits == other.ipv6_bits && sku_names == other.sku_names &&
           per_sku == other.per_sku && window == other.window;
  }
  bool same_as(const CapRule& other) const {
    return counts_as(other) && id == other.id && mode == other.mode && limit == other.limit &&
           customers == other.customers && ranges == other.ranges;
  }
  std::int64_t step_of(std::int64_t time) const { return time / step; }
  bool still_counts(std::int64_t number, std::int64_t now) const {
    return now < (number + 1) * step + window;
  }
};

inline std::int64_t read_override(Reader reader, Text* subject) {
  std::int64_t limit = kNoLimit;
  while (reader.next()) {
    if (reader.tag() == 1) {
      *subject = text_of(reader);
    } else if (reader.tag() == 2) {
      limit = reader.get_int64();
    } else {
      reader.skip();
    }
  }
  return limit;
}

inline void add_range(CapRule* rule, Text text, std::int64_t limit) {
  CapRange range;
  const std::size_t slash = text.find('/');
  const bool was_ipv6 = text.find(':') != text.npos;
  range.address = address_from(text.substr(0, slash));
  range.bits = 8 * range.address.size;
  if (slash != text.npos) {
    range.bits = 0;
    for (const char digit : text.substr(slash + 1)) range.bits = 10 * range.bits + digit - '0';
    if (was_ipv6 && range.address.size == 4) range.bits -= 96;  // of an IPv4-mapped range
  }
  keep_bits(&range.address, range.bits);
  range.limit = limit;
  rule->ranges.push_back(range);
}

inline CapRule read_cap(Text bytes) {
  CapRule rule;
  std::vector<std::pair<Text, std::int64_t>> overrides;
  Reader reader(bytes.data(), bytes.size());
  while (reader.next()) {
    switch (reader.tag()) {
      case 1: rule.id = text_of(reader); break;
      case 2: rule.subject = static_cast<Subject>(reader.get_int32()); break;
      case 3: rule.ipv4_bits = reader.get_int32(); break;
      case 4: rule.ipv6_bits = reader.get_int32(); break;
      case 5: rule.sku_names.push_back(text_of(reader)); break;
      case 6: rule.per_sku = reader.get_bool(); break;
      case 7: rule.limit = reader.get_int64(); break;
      case 8: rule.window = nanoseconds(reader.get_message()); break;
      case 9: rule.mode = static_cast<CapMode>(reader.get_int32()); break;
      case 10: {
        Text subject;
        const std::int64_t limit = read_override(reader.get_message(), &subject);
        overrides.emplace_back(subject, limit);
        break;
      }
      default: reader.skip();
    }
  }
  auto& names = rule.sku_names;
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  if (rule.window != 0) rule.step = std::max<std::int64_t>(1, (rule.window + 255) / 256);
  if (rule.subject == Subject::kCustomer) {
    std::sort(overrides.begin(), overrides.end());
    rule.customers = std::move(overrides);
  } else {
    for (const auto& [subject, limit] : overrides) add_range(&rule, subject, limit);
    std::sort(rule.ranges.begin(), rule.ranges.end(), [](const auto& a, const auto& b) {
      return std::tuple(-a.bits, a.address.view()) < std::tuple(-b.bits, b.address.view());
    });
  }
  return rule;
}

// Whom the cap counts for this caller; false when it does not concern the caller. `room` is where a
// subnet's address is put.
inline bool whom(const CapRule& rule, Text customer, const Address& caller, Address* room,
                 Whom* told) {
  *told = Whom();
  if (rule.subject == Subject::kCustomer) {
    told->bytes = customer;
    return !customer.empty();
  }
  if (rule.subject != Subject::kIp && rule.subject != Subject::kSubnet) return true;
  if (caller.size == 0) return false;
  *room = unmapped(caller);
  told->bits = 8 * room->size;
  if (rule.subject == Subject::kSubnet) {
    told->bits = room->size == 4 ? rule.ipv4_bits : rule.ipv6_bits;
    keep_bits(room, told->bits);
  }
  told->bytes = room->view();
  return true;
}

// The limit for one subject; kNoLimit: none.
inline std::int64_t limit_of(const CapRule& rule, const Whom& whom) {
  if (rule.subject == Subject::kCustomer) {
    const auto found = std::lower_bound(
        rule.customers.begin(), rule.customers.end(), whom.bytes,
        [](const auto& entry, Text name) { return entry.first < name; });
    const bool is_named = found != rule.customers.end() && found->first == whom.bytes;
    return is_named ? found->second : rule.limit;
  }
  for (const CapRange& range : rule.ranges) {
    if (range.address.size != whom.bytes.size() || range.bits > whom.bits) continue;
    Address within;
    within.size = range.address.size;
    std::memcpy(within.bytes, whom.bytes.data(), whom.bytes.size());
    keep_bits(&within, range.bits);
    if (within.view() == range.address.view()) return range.limit;
  }
  return rule.limit;
}

}  // namespace atp::audit
