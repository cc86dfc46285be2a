#include "av1.h"

#include <algorithm>

namespace parley {

namespace {

constexpr std::uint32_t kSwitch = 2;  // decode target indication
constexpr std::uint32_t kNotPresent = 0;
constexpr std::size_t kMinDescriptor = 3;  // flags and template id, frame number

struct Indications {
  std::uint32_t switch_targets = 0;
  std::uint32_t present_targets = 0;
};

Indications read_indications(BitReader& bits, std::size_t targets) {
  Indications result;
  for (std::size_t i = 0; i < targets; ++i) {
    const std::uint32_t indication = bits.bits(2);
    if (indication != kNotPresent) {
      result.present_targets |= 1U << i;
    }
    if (indication == kSwitch) {
      result.switch_targets |= 1U << i;
    }
  }
  return result;
}

// Appendix A.8.2 template_layers(). False: more templates than the format can name.
bool read_template_layers(BitReader& bits, DependencyStructure& structure) {
  std::uint8_t spatial = 0;
  std::uint8_t temporal = 0;
  for (std::size_t count = 0; count < kMaxTemplates; ++count) {
    structure.templates[count].spatial = spatial;
    structure.templates[count].temporal = temporal;
    structure.template_count = static_cast<std::uint8_t>(count + 1);
    switch (bits.bits(2)) {
      case 1:
        ++temporal;
        break;
      case 2:
        temporal = 0;
        ++spatial;
        break;
      case 3:
        return bits.ok();
      default:
        break;
    }
    if (!bits.ok() || spatial > 7 || temporal > 7) {
      return false;
    }
  }
  return false;
}

void skip_template_differences(BitReader& bits, const DependencyStructure& structure) {
  for (std::size_t i = 0; i < structure.template_count; ++i) {
    while (bits.flag()) {
      bits.bits(4);
    }
  }
}

void skip_template_chains(BitReader& bits, const DependencyStructure& structure) {
  const std::uint32_t chains = bits.non_symmetric(structure.target_count + 1U);
  if (chains == 0) {
    return;
  }
  for (std::size_t i = 0; i < structure.target_count; ++i) {
    bits.non_symmetric(chains);
  }
  for (std::size_t i = 0; i < structure.template_count * chains && bits.ok(); ++i) {
    bits.bits(4);
  }
}

// A target's layers are the highest of the templates present in it (appendix A.8.2 decode_target_layers()).
void find_target_layers(DependencyStructure& structure) {
  for (std::size_t target = 0; target < structure.target_count; ++target) {
    DependencyStructure::Target& layers = structure.targets[target];
    for (std::size_t i = 0; i < structure.template_count; ++i) {
      const auto& tmpl = structure.templates[i];
      if (((tmpl.present_targets >> target) & 1U) != 0) {
        layers.spatial = std::max(layers.spatial, tmpl.spatial);
        layers.temporal = std::max(layers.temporal, tmpl.temporal);
      }
    }
  }
}

std::optional<DependencyStructure> read_structure(BitReader& bits) {
  DependencyStructure structure;
  structure.id_offset = static_cast<std::uint8_t>(bits.bits(6));
  structure.target_count = static_cast<std::uint8_t>(bits.bits(5) + 1);
  if (!read_template_layers(bits, structure)) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < structure.template_count; ++i) {
    const Indications indications = read_indications(bits, structure.target_count);
    structure.templates[i].switch_targets = indications.switch_targets;
    structure.templates[i].present_targets = indications.present_targets;
  }
  skip_template_differences(bits, structure);
  skip_template_chains(bits, structure);
  find_target_layers(structure);
  if (bits.flag()) {  // render resolutions
    const std::size_t spatial_layers = structure.templates[structure.template_count - 1U].spatial + 1U;
    for (std::size_t i = 0; i < spatial_layers; ++i) {
      bits.bits(16);  // width - 1
      structure.height = static_cast<std::uint16_t>(std::min<std::uint32_t>(bits.bits(16) + 1, 0xFFFF));
    }
  }
  if (!bits.ok()) {
    return std::nullopt;
  }
  return structure;
}

void apply_temporal(const DependencyDescriptor& descriptor, const DependencyStructure& structure, PayloadInfo& info) {
  info.temporal = descriptor.temporal;
  info.switch_up = descriptor.switch_targets != 0;
  for (std::size_t i = 0; i < structure.target_count; ++i) {
    const bool is_switch = ((descriptor.switch_targets >> i) & 1U) != 0;
    const auto& target = structure.targets[i];
    if (target.spatial == descriptor.spatial && target.temporal > descriptor.temporal && !is_switch) {
      info.switch_up = false;
    }
    if (target.spatial == descriptor.spatial && target.temporal == descriptor.temporal && is_switch) {
      info.temporal_sync = true;
    }
  }
}

void apply_descriptor(const DependencyDescriptor& descriptor, const DependencyStructure& structure, PayloadInfo& info) {
  info.spatial = descriptor.spatial;
  info.frame_start = descriptor.start_of_frame;
  info.frame_end = descriptor.end_of_frame;
  info.height = descriptor.has_structure ? structure.height : std::uint16_t{0};
  apply_temporal(descriptor, structure, info);
}

}  // namespace

std::optional<DependencyDescriptor> DependencyReader::read(Bytes extension) {
  if (extension.size() < kMinDescriptor) {
    return std::nullopt;
  }
  BitReader bits(extension);
  DependencyDescriptor descriptor;
  descriptor.start_of_frame = bits.flag();
  descriptor.end_of_frame = bits.flag();
  const std::uint32_t template_id = bits.bits(6);
  descriptor.frame_number = static_cast<std::uint16_t>(bits.bits(16));
  bool has_custom_indications = false;
  if (extension.size() > 3) {
    descriptor.has_structure = bits.flag();
    const bool has_active_targets = bits.flag();
    has_custom_indications = bits.flag();
    bits.bits(2);  // custom frame and chain differences: not read
    if (descriptor.has_structure) {
      const auto structure = read_structure(bits);
      if (!structure) {
        return std::nullopt;
      }
      structure_ = *structure;
      has_structure_ = true;
    }
    if (has_active_targets && has_structure_) {
      bits.bits(structure_.target_count);
    }
  }
  if (!has_structure_) {
    return std::nullopt;
  }
  const std::size_t index = (template_id + 64U - structure_.id_offset) % 64U;
  if (index >= structure_.template_count) {
    return std::nullopt;
  }
  const auto& tmpl = structure_.templates[index];
  descriptor.spatial = tmpl.spatial;
  descriptor.temporal = tmpl.temporal;
  descriptor.switch_targets = tmpl.switch_targets;
  descriptor.present_targets = tmpl.present_targets;
  if (has_custom_indications) {
    const Indications indications = read_indications(bits, structure_.target_count);
    descriptor.switch_targets = indications.switch_targets;
    descriptor.present_targets = indications.present_targets;
  }
  if (!bits.ok()) {
    return std::nullopt;
  }
  return descriptor;
}

std::optional<PayloadInfo> peek_descriptor(bool marker, Bytes dependency_descriptor, DependencyReader& reader) {
  const auto descriptor = reader.read(dependency_descriptor);
  if (!descriptor) {
    return std::nullopt;
  }
  PayloadInfo info;
  info.valid = true;
  info.keyframe_start = descriptor->start_of_frame && descriptor->spatial == 0 && descriptor->has_structure;
  apply_descriptor(*descriptor, *reader.structure(), info);
  info.frame_end = info.frame_end || marker;
  return info;
}

void add_temporal_layer(Bytes dependency_descriptor, DependencyReader& reader, PayloadInfo& info) {
  const auto descriptor = reader.read(dependency_descriptor);
  if (!descriptor) {
    return;
  }
  apply_temporal(*descriptor, *reader.structure(), info);
}

void add_frame_number(Bytes dependency_descriptor, PayloadInfo& info) {
  if (dependency_descriptor.size() < kMinDescriptor) {
    return;
  }
  info.picture.has_frame_number = true;
  info.picture.frame_number = static_cast<std::uint16_t>(dependency_descriptor[1] << 8U | dependency_descriptor[2]);
}

PayloadInfo peek_av1(Bytes payload, bool marker, Bytes dependency_descriptor, Av1State& state) {
  if (payload.size() < 2) {
    return {};  // an aggregation header without an OBU
  }
  PayloadInfo info;
  info.valid = true;
  // N: first packet of a coded video sequence. Z and N together are malformed (section 4.4).
  const bool starts_sequence = (payload[0] & 0x88U) == 0x08U;
  if (const auto descriptor = state.descriptors.read(dependency_descriptor)) {
    info.keyframe_start =
        descriptor->start_of_frame && descriptor->spatial == 0 && (descriptor->has_structure || starts_sequence);
    apply_descriptor(*descriptor, *state.descriptors.structure(), info);
    // The last packet of the whole picture carries the marker.
    info.frame_end = info.frame_end || marker;
    return info;
  }
  const ObuSummary obus = state.obus.read(payload);
  info.keyframe_start = starts_sequence || obus.has_sequence_header;
  info.frame_start = info.keyframe_start || obus.starts_frame;
  info.frame_end = marker || obus.ends_layer;
  info.spatial = obus.spatial;
  info.temporal = obus.temporal;
  return info;
}

}  // namespace parley
