// What Python lends a worker so that it answers a settled peer's connectivity checks by itself: credentials, and a
// memory of what was answered. Pure: no I/O.
// Thread: the worker that owns the transport. Source: RFC 8489 sections 14.2, 14.5 and 14.7, RFC 8445 section 7.3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "bytes.h"
#include "check_memory.h"
#include "endpoint.h"
#include "hmac.h"
#include "stun_probe.h"
#include "units.h"

namespace parley {

class CheckLease {
 public:
  static constexpr std::size_t kMaxAnswer = 80;

  // Empty credentials: nothing is answered from now on; what was answered stays known, until others are lent.
  void lend(std::string ufrag, std::string pwd) {
    if (!pwd.empty() && pwd != lent_) {
      answered_ = {};
      lent_ = pwd;
    }
    ufrag_ = std::move(ufrag);
    pwd_ = std::move(pwd);
  }

  // Writes the answer to a plain check with these credentials and returns its size; 0: Python judges it (other or wrong
  // credentials, another role, attributes that nobody here understands).
  std::size_t answer(const HmacTable& hmac, Bytes check, const StunProbe& probe, const Endpoint& remote, TimeNs now,
                     MutableBytes out);
  // A check that was answered before: from elsewhere it is a copy by somebody who overheard it.
  [[nodiscard]] bool has_answered(const StunProbe& probe) const;
  // A check was answered since the last `forget_heard`.
  [[nodiscard]] bool is_heard() const { return heard_ != 0; }
  [[nodiscard]] TimeNs heard() const { return heard_; }
  void forget_heard() { heard_ = 0; }

 private:
  std::string ufrag_;
  std::string pwd_;
  std::string lent_;  // the last password that there was
  CheckMemory answered_;
  TimeNs heard_ = 0;
};

}  // namespace parley
