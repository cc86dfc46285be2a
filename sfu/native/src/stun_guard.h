// Limits how many STUN datagrams may wake Python: per source, per source address, and over all. O(1), no allocation.
// Buckets are shared by hash under a secret: a flood cannot aim at somebody else's.
// Thread: the worker that owns it.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "endpoint.h"
#include "token_bucket.h"
#include "units.h"

namespace parley {

class StunGuard {
 public:
  static constexpr std::int64_t kPerSource =
      50;  // checks a second from one (address, port); browsers send about 20 at most
  static constexpr std::int64_t kPerAddress = 1000;  // a site behind one NAT
  static constexpr std::int64_t kOverall = 5000;     // about an eighth of a core in Python

  explicit StunGuard(std::uint64_t seed)
      : seed_(seed),
        sources_(kSlots, TokenBucket(kPerSource, 2 * kPerSource)),
        addresses_(kSlots, TokenBucket(kPerAddress, 2 * kPerAddress)) {}

  [[nodiscard]] bool admit(const Endpoint& from, TimeNs now) {
    return sources_[from.hash(seed_) % kSlots].take(1, now) && addresses_[from.hash_ip(seed_) % kSlots].take(1, now) &&
           overall_.take(1, now);
  }

 private:
  static constexpr std::size_t kSlots = 1024;

  std::uint64_t seed_;
  std::vector<TokenBucket> sources_;
  std::vector<TokenBucket> addresses_;
  TokenBucket overall_{kOverall, kOverall};
};

}  // namespace parley
