// ICE-TCP through whole engines: streams accepted on one port, led to the worker that owns the transport, bounded.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <thread>
#include <vector>

#include "check.h"
#include "frame_reader.h"
#include "loopback.h"
#include "neighbours.h"

using namespace parley;
using test::Data;
using test::House;

namespace {

// A peer behind a TCP connection; speaks the test cipher in RFC 4571 frames.
class Stream {
 public:
  explicit Stream(const Endpoint& to, int receive_bytes = 0) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_bytes != 0) {
      setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    }
    sockaddr_storage name{};
    const socklen_t length = to.write(name);
    connected = connect(fd_.get(), as_sockaddr(name), length) == 0;
    socklen_t size = sizeof name;
    getsockname(fd_.get(), as_sockaddr(name), &size);
    address_ = Endpoint::from(name);
    fcntl(fd_.get(), F_SETFL, O_NONBLOCK);
  }

  [[nodiscard]] PathId path() const { return {.socket = 0, .remote = address_, .kind = PathKind::kTcp}; }
  TestCipher& cipher() { return cipher_; }

  void send_bytes(Bytes data) { (void)!::send(fd_.get(), data.data(), data.size(), MSG_NOSIGNAL); }
  void send_frame(const Data& datagram) {
    Data out;
    test::put_u16(out, static_cast<std::uint32_t>(datagram.size()));
    out.insert(out.end(), datagram.begin(), datagram.end());
    send_bytes(out);
  }
  void send_rtp(Data data) {
    int size = static_cast<int>(data.size());
    data.resize(data.size() + kMaxSrtpTrailer);
    TestCipher::table().protect(&cipher_, data.data(), &size);
    data.resize(static_cast<std::size_t>(size));
    send_frame(data);
  }

  // Takes what waits; decrypted RTP in `rtp`, everything else in `others`.
  void collect() {
    for (;;) {
      const MutableBytes room = frames_.room();
      const ssize_t got = recv(fd_.get(), room.data(), room.size(), 0);
      if (got <= 0) {
        is_closed = is_closed || got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
        return;
      }
      frames_.added(static_cast<std::size_t>(got));
      while (const auto frame = frames_.next()) {
        int size = static_cast<int>(frame->size());
        if (frame->size() > 12 && ((*frame)[0] >> 6) == 2 && ((*frame)[1] < 192 || (*frame)[1] > 223) &&
            TestCipher::table().unprotect(&cipher_, frame->data(), &size) == 0) {
          rtp.emplace_back(frame->begin(), frame->begin() + size);
        } else {
          others.emplace_back(frame->begin(), frame->end());
        }
      }
    }
  }
  bool ends() {
    return test::until([&] {
      collect();
      return is_closed;
    });
  }

  bool connected = false;
  bool is_closed = false;
  std::vector<Data> rtp;
  std::vector<Data> others;

 private:
  static sockaddr* as_sockaddr(sockaddr_storage& address) {
    return static_cast<sockaddr*>(static_cast<void*>(&address));
  }

  UniqueFd fd_;
  Endpoint address_;
  TestCipher cipher_;
  FrameReader frames_;
};

EngineConfig with_tcp() {
  EngineConfig config;
  config.tcp = {{"127.0.0.1", 0}};
  return config;
}

struct TcpHouse : House {
  explicit TcpHouse(std::size_t workers = 1) : House(with_tcp(), workers) {}

  [[nodiscard]] Endpoint tcp() const { return engine->tcp_addresses()[0]; }

  // As Python does: a check arrives, its path is bound, keys follow.
  void join_tcp(std::uint32_t transport, Stream& stream, std::size_t worker) {
    CHECK_EQ(run(AddTransport{worker, transport, {"ufrag" + std::to_string(transport)}}), "");
    stream.send_frame(test::stun_check("ufrag" + std::to_string(transport)));
    CHECK(test::until([&] {
      poll();
      return std::ranges::any_of(network, [&](const NetworkEvent& event) {
        return event.transport == transport && event.path == stream.path();
      });
    }));
    CHECK_EQ(run(BindPath{transport, stream.path(), true}), "");
    run(SetSrtp{transport, &stream.cipher(), &stream.cipher(), *SrtpProfile::by_name("AEAD_AES_128_GCM")});
  }
};

}  // namespace

TEST(a_call_goes_over_tcp_whichever_worker_owns_it) {
  std::vector<std::unique_ptr<Stream>> streams;
  TcpHouse house(3);
  CHECK_EQ(house.error, "");
  for (std::uint32_t worker = 0; worker < 3; ++worker) {
    streams.push_back(std::make_unique<Stream>(house.tcp()));
    house.join_tcp(1 + worker, *streams.back(), worker);
  }
  house.publish_audio(10, 1, 0x11);
  CHECK_EQ(house.forward(20, 10, 2, 0x900), "");
  CHECK_EQ(house.forward(21, 10, 3, 0x900), "");
  for (std::uint16_t seq = 1; seq <= 30; ++seq) {
    streams[0]->send_rtp(test::opus_packet(seq, 0x11));
  }
  for (const std::size_t viewer : {1U, 2U}) {
    CHECK(test::until([&] {
      streams[viewer]->collect();
      return streams[viewer]->rtp.size() == 30;
    }));
  }
}

TEST(tcp_and_udp_peers_hear_each_other) {
  test::Peer viewer;
  std::unique_ptr<Stream> speaker;
  TcpHouse house;
  speaker = std::make_unique<Stream>(house.tcp());
  house.join_tcp(1, *speaker, 0);
  house.join(2, viewer);
  house.publish_audio(10, 1, 0x11);
  house.forward(20, 10, 2, 0x900);
  speaker->send_rtp(test::opus_packet(1, 0x11));
  CHECK(test::until([&] {
    viewer.collect();
    return viewer.rtp.size() == 1;
  }));
  house.engine->close();
}

TEST(a_datagram_of_python_goes_out_as_one_frame) {
  TcpHouse house;
  Stream stream(house.tcp());
  house.join_tcp(1, stream, 0);
  house.engine->command(SendDatagram{0, stream.path(), {20, 1, 2, 3}});
  CHECK(test::until([&] {
    stream.collect();
    return !stream.others.empty();
  }));
  CHECK(stream.others[0] == (Data{20, 1, 2, 3}));
  house.engine->close();
}

TEST(a_first_frame_that_is_no_known_check_ends_the_connection) {
  TcpHouse house(2);
  house.run(AddTransport{1, 1, {"ufrag1"}});
  Stream unknown(house.tcp());
  unknown.send_frame(test::stun_check("nobody"));
  Stream media(house.tcp());
  media.send_frame(Data(40, 0x80));
  Stream web(house.tcp());
  const Data request = {'G', 'E', 'T', ' ', '/', ' ', 'H', 'T', 'T', 'P'};
  web.send_bytes(request);
  for (Stream* stream : {&unknown, &media, &web}) {
    CHECK(stream->ends());
  }
  CHECK_EQ(house.counter("drop_tcp_unknown"), 2);
  CHECK_EQ(house.counter("drop_tcp_malformed"), 1);
  CHECK_EQ(house.counter("tcp_closed"), 3);
}

TEST(whoever_connects_and_proves_nothing_is_closed_within_seconds) {
  TcpHouse house;
  house.run(AddTransport{0, 1, {"ufrag1"}});
  Stream silent(house.tcp());
  Stream unproven(house.tcp());
  Stream dripping(house.tcp());
  unproven.send_frame(test::stun_check("ufrag1"));
  // A frame that never ends keeps nothing open, however often a byte of it comes.
  dripping.send_bytes(Data{0x04, 0x00});
  int polls = 0;
  CHECK(test::until([&] {
    if (++polls % 50 == 0) {
      dripping.send_bytes(Data{0});
    }
    dripping.collect();
    return dripping.is_closed;
  }));
  CHECK(silent.ends());
  CHECK(unproven.ends());
  CHECK_EQ(house.counter("drop_tcp_unbound"), 3);
}

TEST(connections_from_one_address_are_capped_and_their_end_makes_room) {
  TcpHouse house;
  std::vector<std::unique_ptr<Stream>> streams;
  for (std::size_t i = 0; i < TcpAdmission::kMaxPerAddress + 5; ++i) {
    streams.push_back(std::make_unique<Stream>(house.tcp()));
  }
  CHECK(test::until([&] { return house.counter("drop_tcp_refused") == 5; }));
  std::size_t open = 0;
  for (const auto& stream : streams) {
    stream->collect();
    open += stream->is_closed ? 0U : 1U;
  }
  CHECK_EQ(open, TcpAdmission::kMaxPerAddress);
  streams.clear();
  CHECK(test::until(
      [&] { return house.counter("tcp_closed") == static_cast<std::int64_t>(TcpAdmission::kMaxPerAddress); }));
  Stream again(house.tcp());
  house.join_tcp(1, again, 0);
  house.engine->close();
}

TEST(whoever_has_proved_a_connection_leaves_the_room_of_its_address_to_others) {
  TcpHouse house;
  Stream proved(house.tcp());
  house.join_tcp(1, proved, 0);
  std::vector<std::unique_ptr<Stream>> strangers;
  const auto fill = [&] {
    while (strangers.size() < TcpAdmission::kMaxPerAddress) {
      strangers.push_back(std::make_unique<Stream>(house.tcp()));
    }
    for (const auto& stream : strangers) {
      stream->collect();
    }
    std::erase_if(strangers, [](const auto& stream) { return stream->is_closed; });
    return strangers.size() == TcpAdmission::kMaxPerAddress;
  };
  CHECK(test::until(fill));
  proved.collect();
  CHECK(!proved.is_closed);
  house.engine->close();
}

TEST(the_end_of_a_connection_is_told_and_takes_its_path_along) {
  auto stream = std::make_unique<Stream>(Endpoint{});
  TcpHouse house(2);
  stream = std::make_unique<Stream>(house.tcp());
  house.join_tcp(1, *stream, 1);
  const PathId path = stream->path();
  stream.reset();
  CHECK(test::until([&] { return house.count<PathClosedEvent>() == 1; }));
  for (const ControlEvent& event : house.control) {
    if (const auto* closed = std::get_if<PathClosedEvent>(&event)) {
      CHECK_EQ(closed->transport, 1U);
      CHECK(closed->path == path);
    }
  }
  CHECK_EQ(house.run(BindPath{1, path, true}), "no such connection");
  house.engine->close();
}

TEST(a_slow_reader_loses_whole_packets_and_costs_nobody_else) {
  Stream slow_stream(Endpoint{});
  std::unique_ptr<Stream> slow;
  test::Peer publisher;
  test::Peer quick;
  TcpHouse house;
  slow = std::make_unique<Stream>(house.tcp(), 2048);
  house.join(1, publisher);
  house.join(3, quick);
  house.join_tcp(2, *slow, 0);
  house.publish_video(10, 1, 0x22);
  house.forward(20, 10, 2, 0x900);
  house.forward(21, 10, 3, 0x900);
  std::uint16_t seq = 0;
  // Nobody reads: first the kernel's buffers fill, then ours, then packets drop.
  CHECK(test::until([&] {
    for (int i = 0; i < 50; ++i) {
      ++seq;
      publisher.send_rtp(house.address(), test::video_packet(seq, 0x22, seq == 1));
    }
    quick.collect();
    return house.counter("drop_tcp_full") > 100;
  }));
  CHECK(test::until([&] {
    quick.collect();
    return quick.rtp.size() > seq * 9U / 10U;  // loopback UDP may lose some on a busy machine
  }));
  // What comes out then is whole frames still.
  CHECK(test::until([&] {
    slow->collect();
    return slow->rtp.size() > 500;
  }));
  CHECK(slow->others.size() < 50);  // reports
  slow->rtp.clear();
  publisher.send_rtp(house.address(), test::video_packet(++seq, 0x22, true));
  CHECK(test::until([&] {
    slow->collect();
    return !slow->rtp.empty();
  }));
  house.engine->close();
}

TEST(streams_come_and_go_while_the_engine_ends) {
  for (int round = 0; round < 5; ++round) {
    TcpHouse house(2);
    house.run(AddTransport{1, 1, {"ufrag1"}});
    std::vector<std::unique_ptr<Stream>> streams;
    for (int i = 0; i < 20; ++i) {
      streams.push_back(std::make_unique<Stream>(house.tcp()));
      streams.back()->send_frame(test::stun_check("ufrag1"));
    }
    house.engine->close();
  }
}
