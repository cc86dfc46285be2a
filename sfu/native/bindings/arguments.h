// What Python gives, as the core takes it. A value that cannot be is a ValueError that says what is wrong.
// Thread: any Python thread.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "codec.h"
#include "endpoint.h"
#include "extension_ids.h"
#include "path_id.h"
#include "srtp.h"

namespace parley {

namespace nb = nanobind;

using AddressList = std::vector<std::pair<std::string, std::uint16_t>>;
using CodecTuple = std::tuple<int, std::string, std::uint32_t, int>;
using EncodingTuple = std::tuple<std::string, std::uint32_t, std::uint32_t>;

// A fixed seed for tests; an empty one is random.
std::uint64_t seed_from(const nb::bytes& secret);
Endpoint endpoint_from(const std::string& ip, std::uint16_t port);
PathId path_from(std::uint32_t socket, const std::string& ip, std::uint16_t port, const std::string& kind);
AddressList list_from(const std::vector<Endpoint>& endpoints);
Codec codec_from(const std::string& name);
std::uint8_t payload_type_from(int pt);
std::int16_t rtx_payload_type_from(int pt);
ExtensionIds extension_ids_from(const std::unordered_map<std::string, int>& ids);
bool is_video_from(const std::string& kind);
// Of AES-128-GCM, key and salt each; empty ones leave a direction to libsrtp.
SrtpCiphers ciphers_from(const nb::bytes& rx_master, const nb::bytes& tx_master, std::uint64_t seed);

}  // namespace parley
