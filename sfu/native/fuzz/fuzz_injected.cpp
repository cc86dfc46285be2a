// Any datagram of a local process: records are taken whole, inside the datagram, until it ends or is malformed.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "injected_record.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace parley;
  std::vector<std::uint8_t> bytes(data, data + size);
  MutableBytes rest(bytes);
  while (!rest.empty()) {
    const std::size_t before = rest.size();
    const auto record = take_record(rest);
    if (!record) {
      return 0;
    }
    if (rest.size() + TapSink::kHeaderBytes + record->body.size() != before) {
      std::abort();
    }
    (void)record->report();
  }
  return 0;
}
