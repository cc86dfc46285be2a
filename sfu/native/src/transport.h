// One peer's transport: its paths, keys, header extension ids, SSRCs, and what is published and forwarded over it.
// Thread: the worker that owns it, for life.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "check_lease.h"
#include "downlink.h"
#include "extension_ids.h"
#include "path_id.h"
#include "sender_report.h"
#include "srtp.h"
#include "ssrc_table.h"
#include "token_bucket.h"
#include "twcc_recorder.h"
#include "units.h"

namespace parley {

struct Track;
struct Forward;
struct Sink;
class ClientReceiver;

// A remote address that proved itself by an authenticated check.
struct Path {
  PathId id;
  std::uint64_t bound_order = 0;  // 0: the slot is free
};

struct Transport {
  static constexpr std::size_t kMaxPaths = 4;
  static constexpr std::size_t kMaxTracks = 32;
  static constexpr std::size_t kMaxForwards = 1024;
  static constexpr std::int64_t kDtlsPerSecond = 1000;
  static constexpr std::int64_t kInjectedPerSecond = 20'000;
  static constexpr std::int64_t kChecksPerSecond = 100;  // browsers send about 20 at most

  explicit Transport(std::uint32_t transport_id);
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  std::uint32_t id;
  std::vector<std::string> ufrags;
  std::unique_ptr<CheckLease> lease;  // null: Python answers its checks
  std::array<Path, kMaxPaths> paths{};
  int selected = -1;  // index into paths: where we send

  Srtp srtp;
  ExtensionIds receive_ids;
  ExtensionIds send_ids;

  // Receive side.
  SsrcTable ssrcs;
  TwccRecorder twcc;
  TokenBucket dtls_budget{kDtlsPerSecond, kDtlsPerSecond};
  TokenBucket check_budget{kChecksPerSecond, 2 * kChecksPerSecond};        // STUN from a bound path
  TokenBucket stray_check_budget{kChecksPerSecond, 2 * kChecksPerSecond};  // STUN that names it, from elsewhere
  std::uint32_t local_ssrc = 1;                                            // sender of our feedback
  std::uint32_t last_media_ssrc = 0;                                       // what transport-wide feedback names
  TimeNs last_authentic = 0;
  bool is_proven = false;
  bool is_idle = false;
  bool awaits_twcc = false;  // listed for the feedback timer

  // Send side.
  std::uint16_t next_twcc = 0;
  TimeNs rtt = 0;         // from the peer's report blocks and echoes, 0 unknown
  SentReports reference;  // times that we told a publisher, for it to echo
  TimeNs next_reports = 0;
  TimeNs last_bandwidth_event = 0;
  double wanted_bps = 0;               // what its forwards could use; known before there is a downlink
  std::unique_ptr<Downlink> downlink;  // null: the peer is not told transport-wide numbers

  std::vector<Track*> tracks;
  std::vector<Forward*> forwards;
  std::unordered_map<std::uint32_t, Forward*> forwards_by_ssrc;  // media and RTX
  std::vector<Forward*> pending_forwards;                        // of the batch at hand
  std::unique_ptr<ClientReceiver> client;                        // client mode only
  Sink* injector = nullptr;                                      // where its packets come from instead of a path
  TokenBucket injection_budget{kInjectedPerSecond, kInjectedPerSecond};

  std::uint64_t packets_received = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t packets_sent = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t rtcp_received = 0;
  std::uint64_t rejected = 0;  // unauthentic, replayed or too short

  [[nodiscard]] const Path* path() const { return selected < 0 ? nullptr : &paths[static_cast<std::size_t>(selected)]; }
  [[nodiscard]] bool can_send() const { return selected >= 0 && srtp.can_send(); }
};

}  // namespace parley
