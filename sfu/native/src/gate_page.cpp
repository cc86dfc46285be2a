#include "gate_page.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

namespace parley {

GatePage::~GatePage() {
  if (words_ != nullptr) {
    munmap(words_, static_cast<std::size_t>(slots_) * sizeof(std::uint64_t));
    munmap(opened_, static_cast<std::size_t>(slots_) * sizeof(TimeNs));
  }
}

std::string GatePage::map(int fd, std::uint32_t slots) {
  if (slots == 0) {
    return "a gate page needs at least one slot";
  }
  const std::size_t bytes = static_cast<std::size_t>(slots) * sizeof(std::uint64_t);
  struct stat info{};
  if (fstat(fd, &info) != 0) {
    return std::string("gate page: ") + std::strerror(errno);
  }
  // A page shorter than the mapping would kill the process at the first touch (SIGBUS).
  if (static_cast<std::uint64_t>(info.st_size) < bytes) {
    return "gate page is shorter than its slots";
  }
  void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) {
    return std::string("gate page: ") + std::strerror(errno);
  }
  // Pages that nobody opens a gate of take no memory.
  void* times = mmap(nullptr, static_cast<std::size_t>(slots) * sizeof(TimeNs), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (times == MAP_FAILED) {
    const std::string reason = std::strerror(errno);
    munmap(mapped, bytes);
    return "gate page: " + reason;
  }
  words_ = static_cast<std::uint64_t*>(mapped);
  opened_ = static_cast<TimeNs*>(times);
  slots_ = slots;
  return {};
}

bool GatePage::open(std::uint32_t slot, std::uint64_t version, TimeNs at) {
  if (!is_valid(slot)) {
    return false;
  }
  std::atomic_ref<TimeNs>(opened_[slot]).store(at, std::memory_order_relaxed);
  word(slot).store((version << 1) | 1, std::memory_order_release);
  return true;
}

bool GatePage::close(std::uint32_t slot, std::uint64_t version) {
  if (!is_valid(slot)) {
    return false;
  }
  word(slot).store(version << 1, std::memory_order_seq_cst);
  return true;
}

}  // namespace parley
