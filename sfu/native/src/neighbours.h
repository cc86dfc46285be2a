// What the workers of one engine share: each other's doors, whose ufrag is whose, and how many TCP connections there
// are. Nothing of it is touched for a packet.
// Thread: any; outlives every worker.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "endpoint.h"
#include "worker_door.h"

namespace parley {

// Which worker answers for a local ufrag: the first check on a TCP connection tells whose it is.
class UfragDirectory {
 public:
  void put(const std::string& ufrag, std::size_t worker) {
    const std::lock_guard lock(mutex_);
    workers_[ufrag] = worker;
  }
  void erase(const std::string& ufrag, std::size_t worker) {
    const std::lock_guard lock(mutex_);
    if (const auto at = workers_.find(ufrag); at != workers_.end() && at->second == worker) {
      workers_.erase(at);
    }
  }
  [[nodiscard]] std::optional<std::size_t> find(std::string_view ufrag) const {
    const std::lock_guard lock(mutex_);
    const auto at = workers_.find(ufrag);
    return at == workers_.end() ? std::nullopt : std::optional(at->second);
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::size_t, std::less<>> workers_;
};

// How many TCP connections there may be, over all and from one address. Those that a peer has proved to be its own
// count over all only: many people may sit behind one NAT.
class TcpAdmission {
 public:
  static constexpr std::size_t kMax = 2048;
  static constexpr std::size_t kMaxPerAddress = 64;

  // False when there are too many; else `leave` must follow.
  bool enter(const Endpoint& remote) {
    const std::lock_guard lock(mutex_);
    if (count_ >= kMax) {
      return false;
    }
    std::size_t& here = by_address_[remote.ip];
    if (here >= kMaxPerAddress) {
      return false;
    }
    ++here;
    ++count_;
    return true;
  }
  // An authenticated check came by it: it counts for its address no more. Once for each connection.
  void vouch(const Endpoint& remote) {
    const std::lock_guard lock(mutex_);
    uncount(remote);
  }
  void leave(const Endpoint& remote, bool is_vouched) {
    const std::lock_guard lock(mutex_);
    --count_;
    if (!is_vouched) {
      uncount(remote);
    }
  }
  [[nodiscard]] std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return count_;
  }

 private:
  void uncount(const Endpoint& remote) {
    const auto at = by_address_.find(remote.ip);
    if (at != by_address_.end() && --at->second == 0) {
      by_address_.erase(at);
    }
  }

  mutable std::mutex mutex_;
  std::map<std::array<std::uint8_t, 16>, std::size_t> by_address_;
  std::size_t count_ = 0;
};

struct Neighbours {
  explicit Neighbours(std::size_t workers) {
    for (std::size_t worker = 0; worker < workers; ++worker) {
      doors.push_back(std::make_unique<WorkerDoor>());
    }
  }

  std::vector<std::unique_ptr<WorkerDoor>> doors;  // by worker
  UfragDirectory ufrags;
  TcpAdmission connections;
};

}  // namespace parley
