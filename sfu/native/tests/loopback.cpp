#include "loopback.h"

#include <sys/mman.h>
#include <unistd.h>

#include <thread>
#include <utility>

#include "crc32.h"

namespace parley::test {

TimeNs monotonic() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

bool until(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

UniqueFd make_page(std::uint32_t slots) {
  UniqueFd fd(memfd_create("gates", MFD_CLOEXEC));
  (void)!ftruncate(fd.get(), static_cast<off_t>(slots * sizeof(std::uint64_t)));
  return fd;
}

Endpoint loopback(std::uint16_t port) { return *Endpoint::parse("127.0.0.1", port); }

Peer::Peer() {
  std::string error;
  socket_ = UdpSocket::open("127.0.0.1", 0, false, error);
}

void Peer::send_raw(const Endpoint& to, Data data) {
  const Train train{to, data.data(), static_cast<std::uint32_t>(data.size()), static_cast<std::uint16_t>(data.size()),
                    1};
  socket_->send(std::span(&train, 1), counters_);
}

void Peer::send_rtp(const Endpoint& to, Data data) { send_raw(to, seal(std::move(data), TestCipher::table().protect)); }

void Peer::send_rtcp(const Endpoint& to, Data data) {
  send_raw(to, seal(std::move(data), TestCipher::table().protect_rtcp));
}

void Peer::collect() {
  for (;;) {
    socket_->receive(batch_, counters_);
    if (batch_.size() == 0) {
      return;
    }
    for (std::size_t i = 0; i < batch_.size(); ++i) {
      take(batch_[i].data);
    }
  }
}

Data Peer::seal(Data data, SrtpFunction protect) {
  int size = static_cast<int>(data.size());
  data.resize(data.size() + kMaxSrtpTrailer);
  protect(&rx_, data.data(), &size);
  data.resize(static_cast<std::size_t>(size));
  return data;
}

void Peer::take(MutableBytes datagram) {
  const bool is_rtcp = datagram.size() > 1 && datagram[1] >= 192 && datagram[1] <= 223;
  int size = static_cast<int>(datagram.size());
  const auto unprotect = is_rtcp ? TestCipher::table().unprotect_rtcp : TestCipher::table().unprotect;
  if (unprotect(&rx_, datagram.data(), &size) != 0) {
    ++unreadable;
    return;
  }
  (is_rtcp ? rtcp : rtp).emplace_back(datagram.begin(), datagram.begin() + size);
}

House::House(EngineConfig config, std::size_t workers) : page_(make_page(kSlots)) {
  config.sockets.assign(workers, {{"127.0.0.1", 0}});
  config.gate_fd = page_.get();
  config.gate_slots = kSlots;
  config.srtp = TestCipher::table();
  config.seed = 7;
  engine = Engine::start(std::move(config), error);
}

template <typename Body>
std::string House::run(Body body) {
  const auto ack = engine->command(std::move(body));
  if (!ack) {
    return "queue full";
  }
  until([&] {
    poll();
    return acks.contains(*ack);
  });
  return acks[*ack];
}

template std::string House::run(AddTransport);
template std::string House::run(AddInjectedTransport);
template std::string House::run(SetUfrags);
template std::string House::run(BindPath);
template std::string House::run(UnbindPath);
template std::string House::run(SendDatagram);
template std::string House::run(SetSrtp);
template std::string House::run(SetExtensions);
template std::string House::run(SetWanted);
template std::string House::run(RemoveTransport);
template std::string House::run(AddTrack);
template std::string House::run(RemoveTrack);
template std::string House::run(SetTrackEnabled);
template std::string House::run(SetStage);
template std::string House::run(RequestKeyframe);
template std::string House::run(AddForward);
template std::string House::run(SetForward);
template std::string House::run(SetForwardSource);
template std::string House::run(SetForwardGate);
template std::string House::run(RemoveForward);
template std::string House::run(AddSink);
template std::string House::run(RemoveSink);
template std::string House::run(AddTap);
template std::string House::run(SetTapGate);
template std::string House::run(RemoveTap);
template std::string House::run(Fence);
template std::string House::run(QueryStats);
template std::string House::run(AddClientTransport);
template std::string House::run(AddGenerator);
template std::string House::run(RemoveGenerator);

void House::poll() {
  engine->poll(
      4096,
      [this](std::size_t, const ControlEvent& event) {
        if (const auto* ack = std::get_if<AckEvent>(&event)) {
          acks[ack->ack] = ack->error;
        } else if (const auto* stats_event = std::get_if<StatsEvent>(&event)) {
          stats = *stats_event;
          acks[stats_event->ack] = "";
        } else {
          control.push_back(event);
        }
      },
      [this](std::size_t, const NetworkEvent& event) { network.push_back(event); });
}

std::int64_t House::counter(std::string_view name, std::size_t worker) {
  run(QueryStats{worker});
  for (const auto& [key, value] : stats.worker) {
    if (key == name) {
      return value;
    }
  }
  return -1;
}

void House::join(std::uint32_t transport, Peer& peer, std::size_t worker) {
  run(AddTransport{worker, transport, {"ufrag" + std::to_string(transport)}});
  run(BindPath{transport, {.socket = 0, .remote = peer.address()}, true});
  run(SetSrtp{transport, &peer.rx(), &peer.rx(), *SrtpProfile::by_name("AEAD_AES_128_GCM")});
}

void House::publish_audio(std::uint32_t track, std::uint32_t transport, std::uint32_t ssrc) {
  run(AddTrack{track, transport, false, "a" + std::to_string(track), {kOpus}, {{"", ssrc, 0}}, false, false});
}

void House::publish_video(std::uint32_t track, std::uint32_t transport, std::uint32_t ssrc) {
  run(AddTrack{track, transport, true, "v" + std::to_string(track), {kVp8}, {{"", ssrc, ssrc + 1}}, true, false});
}

std::string House::forward(std::uint32_t id, std::uint32_t track, std::uint32_t transport, std::uint32_t ssrc,
                           GatePosition gate) {
  return run(AddForward{
      id, track, transport, ssrc, ssrc + 1, "0", {{Codec::kOpus, 100, -1}, {Codec::kVp8, 120, 121}}, gate, false});
}

Data opus_packet(std::uint16_t seq, std::uint32_t ssrc) {
  return rtp({.pt = 111, .seq = seq, .timestamp = seq * 960U, .ssrc = ssrc, .payload = Data(60, 0x5c)});
}

Data video_packet(std::uint16_t seq, std::uint32_t ssrc, bool keyframe) {
  Data payload = vp8({.keyframe = keyframe, .start = true, .picture_id = seq});
  payload.resize(200, static_cast<std::uint8_t>(seq));
  return rtp({.pt = 96, .marker = true, .seq = seq, .timestamp = seq * 3000U, .ssrc = ssrc, .payload = payload});
}

Data stun_check(const std::string& ufrag) {
  std::string name = ufrag + ":remote";
  Data attributes;
  put_u16(attributes, 0x0006);
  put_u16(attributes, static_cast<std::uint32_t>(name.size()));
  attributes.insert(attributes.end(), name.begin(), name.end());
  while (attributes.size() % 4 != 0) {
    attributes.push_back(0);
  }
  Data message;
  put_u16(message, 0x0001);
  put_u16(message, static_cast<std::uint32_t>(attributes.size() + 8));
  put_u32(message, 0x2112A442);
  message.resize(20, 0x11);
  message.insert(message.end(), attributes.begin(), attributes.end());
  const std::uint32_t fingerprint = crc32(message) ^ 0x5354554EU;
  put_u16(message, 0x8028);
  put_u16(message, 4);
  put_u32(message, fingerprint);
  return message;
}

}  // namespace parley::test
