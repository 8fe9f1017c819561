// The caps of a sale as the engine reads them: an immutable table, replaced whole with every shard
// locked. Owns look-ups by SKU and by subject; decides nothing.
#pragma once
#include <tsl/robin_map.h>

#include <memory>
#include <string_view>

#include "layout.h"

namespace atp {

struct BytesHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view bytes) const {
    return hash64(bytes.data(), bytes.size());
  }
};
struct BytesEqual {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const { return a == b; }
};
template <class Value>
using ByBytes = tsl::robin_map<std::string, Value, BytesHash, BytesEqual>;

constexpr std::int64_t kNoLimit = INT64_MAX;

struct CapStatistics {
  std::int64_t refused = 0;
  std::int64_t shadow_refused = 0;
};

// One cap, compiled. Subject and mode are numbers of words.pxd.
struct Rule {
  std::string cap_id;
  std::string definition;  // as an atp.v1.Cap message
  std::int64_t update_time = 0;
  std::int64_t set_sequence = 0;
  std::uint32_t uid = 0;               // of its counters; another one when counting starts anew
  std::uint32_t since_generation = 0;  // counts holds granted from this generation of caps on
  std::uint8_t subject = 0;
  std::uint8_t mode = 0;
  bool per_sku = false;
  bool has_skus = false;
  bool has_overrides = false;
  std::uint8_t prefix4 = 0;
  std::uint8_t prefix6 = 0;
  std::int64_t limit = kNoLimit;
  std::int64_t window = 0;  // 0: none
  std::int64_t step = 0;
  std::uint32_t home_shard = 0;  // of the one counter of a cap on everyone together
  ByBytes<std::int64_t> overrides;      // customers, or prefix lengths with addresses
  std::vector<std::uint8_t> prefixes4;  // prefix lengths that occur in overrides, longest first
  std::vector<std::uint8_t> prefixes6;
  std::shared_ptr<CapStatistics> statistics = std::make_shared<CapStatistics>();

  void add_override(const std::string& subject, std::int64_t other) {
    overrides[subject] = other;
    has_overrides = true;
  }
};

// Clears the bits beyond the prefix.
inline void mask_address(std::uint8_t* bytes, unsigned size, unsigned prefix) {
  for (unsigned i = 0; i < size; ++i) {
    const unsigned kept = prefix <= i * 8 ? 0 : prefix - i * 8 >= 8 ? 8 : prefix - i * 8;
    bytes[i] = static_cast<std::uint8_t>(bytes[i] & (0xff00u >> kept));
  }
}

struct CapTable {
  std::vector<Rule> rules;                         // in order of cap id
  std::vector<std::uint32_t> for_all;              // rules without SKUs of their own
  ByBytes<std::vector<std::uint32_t>> for_some;    // rules by SKU, in order

  void add_for_some(const std::string& sku, std::uint32_t rule) { for_some[sku].push_back(rule); }

  const std::vector<std::uint32_t>* rules_of(const char* sku, std::size_t size,
                                             std::uint64_t hash) const noexcept {
    if (for_some.empty()) return nullptr;
    const auto found = for_some.find(std::string_view(sku, size), hash);
    return found == for_some.end() ? nullptr : &found->second;
  }

  // The limit of one subject under one rule: an exact customer, or the longest prefix that holds
  // the whole subject (`most` is the subject's own prefix length).
  static std::int64_t limit_of(const Rule& rule, const std::uint8_t* subject, unsigned size,
                               bool is_address, unsigned most) noexcept {
    if (rule.overrides.empty()) return rule.limit;
    if (!is_address) {
      const auto found = rule.overrides.find(
          std::string_view(reinterpret_cast<const char*>(subject), size));
      return found == rule.overrides.end() ? rule.limit : found->second;
    }
    for (const std::uint8_t prefix : size == 4 ? rule.prefixes4 : rule.prefixes6) {
      if (prefix > most) continue;
      std::uint8_t range[17];
      range[0] = prefix;
      std::memcpy(range + 1, subject, size);
      mask_address(range + 1, size, prefix);
      const auto found =
          rule.overrides.find(std::string_view(reinterpret_cast<char*>(range), size + 1));
      if (found != rule.overrides.end()) return found->second;
    }
    return rule.limit;
  }
};

inline void swap_tables(CapTable& a, CapTable& b) noexcept { std::swap(a, b); }

// What a command must know of the caps before it holds a lock: which subjects have counters.
// Written with every shard locked; read without a lock and checked against the generation
// afterwards.
struct CapPlan {
  std::int64_t generation = 1;
  std::int64_t counts_addresses = 0;
  std::int64_t counts_customers = 0;
  std::int64_t everyone_shards = 0;  // a mask
  std::int64_t subnet_count = 0;
  std::int64_t subnets[8] = {};  // IPv4 prefix length * 256 + IPv6 prefix length
  // Counters worth fetching ahead: uids of caps over all SKUs together, first those on customers,
  // then those on addresses.
  std::int64_t customer_hints = 0;
  std::int64_t hint_count = 0;
  std::int64_t hints[4] = {};
};

}  // namespace atp
