#include "arguments.h"

#include <sys/random.h>

#include <stdexcept>

namespace parley {

std::uint64_t seed_from(const nb::bytes& secret) {
  std::uint64_t seed = 0;
  if (secret.size() == 0) {
    if (getrandom(&seed, sizeof seed, 0) != static_cast<ssize_t>(sizeof seed)) {
      throw std::runtime_error("getrandom failed");
    }
    return seed;
  }
  seed = 0xcbf29ce484222325ULL;
  for (std::size_t index = 0; index < secret.size(); ++index) {
    seed = (seed ^ static_cast<std::uint8_t>(secret.c_str()[index])) * 0x100000001b3ULL;
  }
  return seed;
}

Endpoint endpoint_from(const std::string& ip, std::uint16_t port) {
  const auto endpoint = Endpoint::parse(ip, port);
  if (!endpoint) {
    throw nb::value_error(("not an IP address: " + ip).c_str());
  }
  return *endpoint;
}

PathId path_from(std::uint32_t socket, const std::string& ip, std::uint16_t port, const std::string& kind) {
  const auto named = path_kind_from_name(kind);
  if (!named) {
    throw nb::value_error("a path is udp or tcp");
  }
  return PathId{.socket = socket, .remote = endpoint_from(ip, port), .kind = *named};
}

AddressList list_from(const std::vector<Endpoint>& endpoints) {
  AddressList list;
  for (const Endpoint& endpoint : endpoints) {
    list.emplace_back(endpoint.ip_text(), endpoint.port);
  }
  return list;
}

Codec codec_from(const std::string& name) {
  const Codec codec = codec_from_name(name);
  if (codec == Codec::kUnknown) {
    throw nb::value_error(("unknown codec: " + name).c_str());
  }
  return codec;
}

std::uint8_t payload_type_from(int pt) {
  if (pt < 0 || pt > 127) {
    throw nb::value_error("a payload type is 0 to 127");
  }
  return static_cast<std::uint8_t>(pt);
}

std::int16_t rtx_payload_type_from(int pt) { return pt < 0 ? std::int16_t{-1} : std::int16_t{payload_type_from(pt)}; }

ExtensionIds extension_ids_from(const std::unordered_map<std::string, int>& ids) {
  ExtensionIds result;
  for (const auto& [name, id] : ids) {
    const auto extension = extension_from_name(name);
    if (!extension) {
      throw nb::value_error(("unknown header extension: " + name).c_str());
    }
    if (id < 1 || id > 255 || !result.set(*extension, static_cast<std::uint8_t>(id))) {
      throw nb::value_error(("header extension id out of range or used twice: " + name).c_str());
    }
  }
  return result;
}

bool is_video_from(const std::string& kind) {
  if (kind != "audio" && kind != "video") {
    throw nb::value_error("a track's kind is audio or video");
  }
  return kind == "video";
}

SrtpCiphers ciphers_from(const nb::bytes& rx_master, const nb::bytes& tx_master, std::uint64_t seed) {
  const auto view = [](const nb::bytes& master) {
    if (master.size() != 0 && master.size() != GcmKeys::kMaster) {
      throw nb::value_error("a master of AES-128-GCM has 16 bytes of key and 12 of salt");
    }
    return Bytes(static_cast<const std::uint8_t*>(master.data()), master.size());
  };
  return SrtpCiphers::derive(view(rx_master), view(tx_master), seed);
}

}  // namespace parley
