// What control threads ask of a worker: plain structs, one handler each (worker_commands.cpp).
// Thread: made on a control thread, moved through the queue, consumed by the worker.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "bytes.h"
#include "codec.h"
#include "endpoint.h"
#include "extension_ids.h"
#include "gate_page.h"
#include "path_id.h"
#include "srtp.h"
#include "unique_fd.h"

namespace parley {

struct AddTransport {
  std::size_t worker = 0;
  std::uint32_t transport = 0;
  std::vector<std::string> ufrags;
};
// A transport without a path: a local process writes its packets to the sink's other end.
struct AddInjectedTransport {
  std::size_t worker = 0;
  std::uint32_t transport = 0;
  std::uint32_t sink = 0;
};
struct SetUfrags {
  std::uint32_t transport = 0;
  std::vector<std::string> ufrags;
};
// The worker answers plain checks with these on the selected path; empty: no more.
struct LendCredentials {
  std::uint32_t transport = 0;
  std::string ufrag;
  std::string pwd;
};
struct BindPath {
  std::uint32_t transport = 0;
  PathId path;
  bool selected = false;
};
struct UnbindPath {
  std::uint32_t transport = 0;
  PathId path;
};
struct SendDatagram {
  std::size_t worker = 0;
  PathId path;
  std::vector<std::uint8_t> data;
};
struct SetSrtp {
  std::uint32_t transport = 0;
  void* rx = nullptr;
  void* tx = nullptr;
  SrtpProfile profile;
  SrtpCiphers ciphers{};
};
struct SetExtensions {
  std::uint32_t transport = 0;
  ExtensionIds ids;
  bool is_send = false;
};
struct SetWanted {
  std::uint32_t transport = 0;
  std::uint64_t bps = 0;  // what all that it is to get would take: how far probing its path is worth while
};
struct RemoveTransport {
  std::uint32_t transport = 0;
};

struct CodecEntry {
  std::uint8_t pt = 0;
  Codec codec = Codec::kUnknown;
  std::uint32_t clock_hz = 0;
  std::int16_t rtx_pt = -1;
};
struct EncodingEntry {
  std::string rid;
  std::uint32_t ssrc = 0;
  std::uint32_t rtx_ssrc = 0;
};
struct AddTrack {
  std::uint32_t track = 0;
  std::uint32_t transport = 0;
  bool is_video = false;
  std::string mid;
  std::vector<CodecEntry> codecs;
  std::vector<EncodingEntry> encodings;
  bool nack = false;
  bool twcc = false;
  bool e2ee = false;        // end-to-end encrypted: nothing may be read of payloads
  bool fir = false;         // keyframes are asked for by FIR: the publisher agreed on that alone
  std::uint32_t stage = 0;  // audio: where it competes for being heard; 0: nowhere
};
struct RemoveTrack {
  std::uint32_t track = 0;
};
struct SetTrackEnabled {
  std::uint32_t track = 0;
  bool enabled = true;
};
// How many of a stage's tracks are forwarded, the loudest; 0: all.
struct SetStage {
  std::size_t worker = 0;
  std::uint32_t stage = 0;
  std::uint32_t places = 0;
};
struct RequestKeyframe {
  std::uint32_t track = 0;
};

class TrackLink;
// What the engine adds when a track's subscriber lives on another worker: the track's worker gives, the other takes.
struct ExportTrack {
  std::uint32_t track = 0;
  std::shared_ptr<TrackLink> link;
};
struct EndExport {
  std::uint32_t track = 0;
  std::shared_ptr<TrackLink> link;
};
struct ImportTrack {
  std::shared_ptr<const AddTrack> track;
  std::shared_ptr<TrackLink> link;
};

struct PayloadTypeEntry {
  Codec codec = Codec::kUnknown;
  std::uint8_t pt = 0;
  std::int16_t rtx_pt = -1;
};
struct AddForward {
  std::uint32_t forward = 0;
  std::uint32_t track = 0;
  std::uint32_t transport = 0;
  std::uint32_t ssrc = 0;
  std::uint32_t rtx_ssrc = 0;
  std::string mid;
  std::vector<PayloadTypeEntry> payload_types;
  GatePosition gate;
  bool paused = false;
};
struct SetForward {
  std::uint32_t forward = 0;
  bool paused = false;
  int spatial = -1;
  int temporal = -1;
  bool at_once = false;
};
struct SetForwardSource {
  std::uint32_t forward = 0;
  std::uint32_t track = 0;
  GatePosition gate;
};
struct SetForwardGate {
  std::uint32_t forward = 0;
  GatePosition gate;
};
struct RemoveForward {
  std::uint32_t forward = 0;
};

struct AddSink {
  std::uint32_t sink = 0;
  UniqueFd fd;
};
struct RemoveSink {
  std::uint32_t sink = 0;
};
struct AddTap {
  std::uint32_t tap = 0;
  std::uint32_t track = 0;
  std::uint32_t sink = 0;
  GatePosition gate;
};
struct SetTapGate {
  std::uint32_t tap = 0;
  GatePosition gate;
};
struct RemoveTap {
  std::uint32_t tap = 0;
};

struct Fence {
  std::size_t worker = 0;
};
struct QueryStats {
  std::size_t worker = 0;
};

struct AddClientTransport {
  std::size_t worker = 0;
  std::uint32_t transport = 0;
  std::uint32_t socket = 0;
  Endpoint remote;
  std::uint16_t loss_permille = 0;  // of the RTP that comes, thrown away as a bad network would
  std::int16_t rtx_pt = -1;         // asks for what is missing, when the peer repairs by this type
};
struct AddGenerator {
  std::uint32_t track = 0;
  std::uint32_t transport = 0;
  std::uint32_t ssrc = 0;
  std::uint8_t pt = 0;
  std::uint32_t clock_hz = 0;
  double packets_per_s = 0;
  std::uint32_t burst = 1;
  std::uint32_t size = 0;
  std::string mid;
  Codec codec = Codec::kUnknown;
  std::string rid{};         // of a simulcast encoding; empty: none
  std::uint16_t height = 0;  // that VP8 keyframes tell; 0: none
};
struct RemoveGenerator {
  std::uint32_t track = 0;
};

// A command whose ids name nothing that the engine knows: the worker answers with the reason.
struct Refused {
  std::string reason;
};

using CommandBody =
    std::variant<std::monostate, AddTransport, AddInjectedTransport, SetUfrags, LendCredentials, BindPath, UnbindPath,
                 SendDatagram, SetSrtp, SetExtensions, SetWanted, RemoveTransport, AddTrack, RemoveTrack, ExportTrack,
                 EndExport, ImportTrack, SetTrackEnabled, SetStage, RequestKeyframe, AddForward, SetForward,
                 SetForwardSource, SetForwardGate, RemoveForward, AddSink, RemoveSink, AddTap, SetTapGate, RemoveTap,
                 Fence, QueryStats, AddClientTransport, AddGenerator, RemoveGenerator, Refused>;

struct Command {
  std::uint64_t ack = 0;
  CommandBody body;
};

}  // namespace parley
