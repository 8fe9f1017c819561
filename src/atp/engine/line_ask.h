// A line of a basket as asked: what every reader of requests fills in and the engine judges. Owns
// nothing, the SKU's bytes neither.
#pragma once
#include <cstdint>

namespace atp {

struct LineAsk {
  const char* sku;
  std::int64_t quantity;
  std::uint64_t hash;  // of the SKU; 0: not known yet
  std::uint32_t sku_size;
};

}  // namespace atp
