// An eventfd that is written once per sleep of its reader, however many events come.
// Thread: notify from any; clear from the one reader.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

#include "unique_fd.h"

namespace parley {

class Wake {
 public:
  Wake() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool is_valid() const { return fd_.is_open(); }

  // Once nobody can notify any more.
  void close() { fd_.reset(); }

  // After the work was published.
  void notify() {
    if (!notified_.exchange(true)) {
      const std::uint64_t one = 1;
      (void)!write(fd_.get(), &one, sizeof one);
    }
  }
  // Before looking for work: whoever publishes afterwards writes again.
  void clear() {
    std::uint64_t count = 0;
    (void)!read(fd_.get(), &count, sizeof count);
    notified_.exchange(false);
  }

 private:
  UniqueFd fd_;
  std::atomic<bool> notified_{false};
};

}  // namespace parley
