// The OBUs of AV1 packets, for streams without dependency descriptors: where frames begin and end, and their layer.
// Thread: any, one object at a time. Source: RTP Payload Format for AV1 (AOMedia) section 4.4, AV1 specification 5.3.
#pragma once

#include <cstdint>
#include <optional>

#include "../bytes.h"

namespace parley {

struct ObuSummary {
  bool has_sequence_header = false;  // ahead of any frame
  bool starts_frame = false;
  bool ends_layer = false;  // with SVC: the last packet of this layer's frame
  std::uint8_t spatial = 0;
  std::uint8_t temporal = 0;
};

// Reads the packets of one encoding in order. Inside a fragmented OBU only its beginning tells the layer: what arrives
// out of order may be taken for its neighbour's.
class ObuReader {
 public:
  ObuSummary read(Bytes payload);

 private:
  struct Obu {
    std::uint8_t type = 0;
    bool has_layer = false;
    std::uint8_t spatial = 0;
    std::uint8_t temporal = 0;
  };
  static std::optional<Obu> header_of(Bytes obu);

  Obu open_;  // goes on in the next packet
};

}  // namespace parley
