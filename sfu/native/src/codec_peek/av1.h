// AV1: the dependency descriptor when the packet carries one, else the aggregation header and its OBUs.
// Thread: any, one object at a time. Source: RTP Payload Format for AV1 (AOMedia) section 4, appendix A.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "../bytes.h"
#include "obu.h"
#include "payload_info.h"

namespace parley {

inline constexpr std::size_t kMaxDecodeTargets = 32;
inline constexpr std::size_t kMaxTemplates = 64;

// The template structure that keyframes carry and later packets refer to; one per encoding.
struct DependencyStructure {
  struct Template {
    std::uint8_t spatial = 0;
    std::uint8_t temporal = 0;
    std::uint32_t switch_targets = 0;   // decode targets for which the indication is "switch"
    std::uint32_t present_targets = 0;  // any indication but "not present"
  };
  struct Target {
    std::uint8_t spatial = 0;
    std::uint8_t temporal = 0;
  };
  std::uint8_t id_offset = 0;
  std::uint8_t template_count = 0;
  std::uint8_t target_count = 0;
  std::array<Template, kMaxTemplates> templates{};
  std::array<Target, kMaxDecodeTargets> targets{};
  std::uint16_t height = 0;  // of the highest spatial layer, 0: not told
};

struct DependencyDescriptor {
  bool start_of_frame = false;
  bool end_of_frame = false;
  bool has_structure = false;
  std::uint16_t frame_number = 0;
  std::uint8_t spatial = 0;
  std::uint8_t temporal = 0;
  std::uint32_t switch_targets = 0;
  std::uint32_t present_targets = 0;
};

// Reads dependency descriptors of one encoding, in any order of arrival; keeps the last structure.
class DependencyReader {
 public:
  // Nothing when malformed, or when no structure has arrived yet.
  std::optional<DependencyDescriptor> read(Bytes extension);
  [[nodiscard]] const DependencyStructure* structure() const { return has_structure_ ? &structure_ : nullptr; }

 private:
  DependencyStructure structure_;
  bool has_structure_ = false;
};

// What the dependency descriptor tells by itself, of any codec; nothing without one that can be read.
[[nodiscard]] std::optional<PayloadInfo> peek_descriptor(bool marker, Bytes dependency_descriptor,
                                                         DependencyReader& reader);

// Adds the temporal layer to what a codec's own payload told.
void add_temporal_layer(Bytes dependency_descriptor, DependencyReader& reader, PayloadInfo& info);

// Adds the frame's number, which needs no structure to be read.
void add_frame_number(Bytes dependency_descriptor, PayloadInfo& info);

// What one packet of an encoding tells of the next.
struct Av1State {
  DependencyReader descriptors;
  ObuReader obus;
};

// `dependency_descriptor`: the extension's bytes, empty when the packet has none.
[[nodiscard]] PayloadInfo peek_av1(Bytes payload, bool marker, Bytes dependency_descriptor, Av1State& state);

}  // namespace parley
