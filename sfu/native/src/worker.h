// One thread with its sockets: datagrams in, datagrams out, commands and timers between. Everything that it owns is
// touched by this thread alone; the queue and the outbox are the only doors.
// Thread: start, stop, submit, outbox and addresses from the control side; the rest runs on the worker's own thread.
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "check_answerer.h"
#include "command_queue.h"
#include "commands.h"
#include "departures.h"
#include "event_outbox.h"
#include "fanout.h"
#include "feedback.h"
#include "generator.h"
#include "keyframe_requests.h"
#include "registry.h"
#include "resender.h"
#include "rtcp_receiver.h"
#include "rtp_receiver.h"
#include "stun_guard.h"
#include "tcp_listener.h"
#include "track_links.h"
#include "udp_socket.h"
#include "wake.h"
#include "worker_context.h"
#include "worker_door.h"

namespace parley {

class Worker : private Registry::Watcher {
 public:
  static constexpr std::size_t kMaxCommands = 8192;
  static constexpr std::size_t kCommandsPerLoop = 256;
  static constexpr std::size_t kBatchesPerLoop = 4;
  static constexpr TimeNs kHandshakeStep = 500 * kMillisecond;  // from one datagram of a handshake to the next

  Worker(const WorkerConfig& config, std::vector<std::unique_ptr<UdpSocket>> sockets, const GatePage& gates,
         const SrtpTable& srtp, Wake& event_wake, Neighbours& neighbours,
         std::vector<std::unique_ptr<TcpListener>> listeners = {});
  ~Worker() override;
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Why the thread could not be started; empty when it runs.
  std::string start(std::size_t index);
  // Ends the thread. Idempotent.
  void stop();
  // Closes sockets and sinks, once no thread can touch them; the outbox can still be read. Idempotent.
  void release();

  // False when the queue is full.
  bool submit(Command&& command);
  // The same without waking the worker; `wake` follows.
  bool enqueue(Command&& command) { return commands_.push(std::move(command)); }
  void wake() { door_.wake.notify(); }
  // Commands that `submit` takes for sure.
  [[nodiscard]] std::size_t room() const { return commands_.room(); }
  [[nodiscard]] EventOutbox& outbox() { return context_.events; }
  [[nodiscard]] const std::vector<Endpoint>& addresses() const { return addresses_; }

  // One datagram as if a socket had received it: the door for fuzzing. The thread must not run.
  void receive_for_test(std::uint32_t socket, const Endpoint& from, MutableBytes data, TimeNs now);
  void run_command_for_test(Command& command, TimeNs now) { execute(command, now); }
  void tick_for_test(TimeNs now);

 private:
  void run();
  void loop_once();
  void receive(std::uint32_t socket, TimeNs now);
  void receive_message(std::uint32_t socket, const ReceiveBatch::Message& message, TimeNs now);
  void receive_datagram(const PathId& path, Transport* transport, MutableBytes datagram, TimeNs now);
  void receive_stun(const PathId& path, Transport* bound, Bytes datagram, TimeNs now);
  void receive_dtls(const PathId& path, Transport* bound, Bytes datagram, TimeNs now);
  void expect_handshake(const Transport& transport, TimeNs now);
  // TCP (worker_tcp.cpp)
  void accept(std::uint32_t listener, TimeNs now);
  void take_arrivals(TimeNs now);
  void receive_stream(std::uint32_t id, std::uint32_t events, TimeNs now);
  bool receive_frames(TcpConnection& connection, TimeNs now);
  bool settle(TcpConnection& connection, Bytes first);
  void close(TcpConnection& connection);
  void close_strangers(TimeNs now);
  void run_commands(TimeNs now);
  void execute(Command& command, TimeNs now);
  void tick(TimeNs now);
  [[nodiscard]] TimeNs deadline(TimeNs now) const;
  void sink_hung_up(std::uint32_t sink);
  void receive_injected(std::uint32_t sink, TimeNs now);
  void take_injected(Transport& transport, MutableBytes datagram, TimeNs now);
  [[nodiscard]] StatsEvent collect_stats(std::uint64_t ack);

  void forget(Transport& transport) override;
  void forget(const Track& track) override;
  void sink_added(Sink& sink) override;
  void sink_changed(Sink& sink) override;

  std::vector<std::unique_ptr<UdpSocket>> sockets_;
  std::vector<std::unique_ptr<TcpListener>> listeners_;
  std::vector<Endpoint> addresses_;
  WorkerContext context_;
  Registry registry_;
  KeyframeRequests keyframes_;
  Departures departures_;
  TapWriter taps_;
  Fanout fanout_;
  Resender resender_;
  TrackLinks links_;
  Feedback feedback_;
  RtpReceiver rtp_;
  RtcpReceiver rtcp_;
  CheckAnswerer checks_;
  StunGuard stun_guard_;
  Generators generators_;
  ReceiveBatch batch_;
  std::vector<std::uint8_t> injected_;  // one datagram; allocated when somebody injects

  CommandQueue<Command> commands_{kMaxCommands};
  WorkerDoor& door_;
  TimeNs next_sweep_ = 0;
  TimeNs handshakes_until_ = 0;  // somebody's keys are being agreed on
  UniqueFd epoll_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace parley
