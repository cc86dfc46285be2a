// Any datagrams into a worker with a call in it: from the publisher, the viewer and a stranger, sealed with the right
// keys or not, while time passes and gates move. Nothing may crash, and the call goes on afterwards.
//
// Input: records of `u8 what | u8 size | size bytes`. what: bits 0-1 who, bit 2 sealed, bit 3 as RTCP, bit 4 gate,
// bits 5-7 milliseconds (power of two) that pass before.
#include <unistd.h>

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "test_cipher.h"
#include "worker.h"

namespace parley {

namespace {

constexpr std::uint32_t kSlots = 8;

class Call {
 public:
  Call() {
    UniqueFd page(memfd_create("gates", MFD_CLOEXEC));
    if (ftruncate(page.get(), kSlots * sizeof(std::uint64_t)) != 0 || !gates_.map(page.get(), kSlots).empty()) {
      std::abort();
    }
    std::string error;
    std::vector<std::unique_ptr<UdpSocket>> sockets;
    sockets.push_back(UdpSocket::open("127.0.0.1", 0, true, error));
    // A socket that nobody reads: what the worker sends ends there.
    drain_ = UdpSocket::open("127.0.0.1", 0, true, error);
    const int small = 1;
    (void)setsockopt(drain_->fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    worker_ = std::make_unique<Worker>(WorkerConfig{.coalesce = kMillisecond, .idle = kSecond, .seed = 5},
                                       std::move(sockets), gates_, TestCipher::table(), wake_, neighbours_);
    gates_.open(1, 1);
    for (std::uint32_t transport = 1; transport <= 2; ++transport) {
      run(AddTransport{0, transport, {"ufrag" + std::to_string(transport)}});
      run(BindPath{transport, {.socket = 0, .remote = address(transport)}, true});
      run(SetSrtp{transport, &cipher_, &cipher_, *SrtpProfile::by_name("AEAD_AES_128_GCM")});
      ExtensionIds ids;
      ids.set(Extension::kMid, 1);
      ids.set(Extension::kRid, 2);
      ids.set(Extension::kRrid, 3);
      ids.set(Extension::kTwcc, 4);
      ids.set(Extension::kAudioLevel, 5);
      ids.set(Extension::kDependencyDescriptor, 6);
      run(SetExtensions{transport, ids, false});
      run(SetExtensions{transport, ids, true});
    }
    const std::vector<CodecEntry> codecs = {{96, Codec::kVp8, 90'000, 97},
                                            {98, Codec::kVp9, 90'000, 99},
                                            {102, Codec::kH264, 90'000, 103},
                                            {45, Codec::kAv1, 90'000, 46}};
    run(AddTrack{10, 1, true, "v", codecs, {{"l", 0, 0}, {"h", 0, 0}}, true, true});
    run(AddTrack{11,
                 1,
                 false,
                 "a",
                 {{111, Codec::kOpus, 48'000, -1}, {63, Codec::kRed, 48'000, -1}},
                 {{"", 0x11, 0}},
                 false,
                 true});
    const std::vector<PayloadTypeEntry> types = {{Codec::kVp8, 120, 121},  {Codec::kVp9, 122, 123},
                                                 {Codec::kH264, 124, 125}, {Codec::kAv1, 126, 127},
                                                 {Codec::kOpus, 100, -1},  {Codec::kRed, 101, -1}};
    run(AddForward{20, 10, 2, 0x900, 0x901, "0", types, {1, 1}, false});
    run(AddForward{21, 11, 2, 0x902, 0, "1", types, {}, false});
  }

  void play(Bytes input) {
    while (input.size() >= 2) {
      const std::uint8_t what = input[0];
      const std::size_t size = std::min<std::size_t>(input[1], input.size() - 2);
      std::vector<std::uint8_t> data(input.begin() + 2, input.begin() + 2 + static_cast<std::ptrdiff_t>(size));
      input = input.subspan(2 + size);
      if ((what & 0x10) != 0) {
        gate_open_ = !gate_open_;
        gate_open_ ? gates_.open(1, 1) : gates_.close(1, 1);
      }
      now_ += (TimeNs{1} << (what >> 5)) * kMillisecond;
      worker_->tick_for_test(now_);
      if ((what & 4) != 0 && data.size() >= 12) {
        seal(data, (what & 8) != 0);
      }
      worker_->receive_for_test(0, address(what & 3U), data, now_);
      drain();
    }
    now_ += 20 * kMillisecond;
    worker_->tick_for_test(now_);
    drain();
  }

 private:
  // 1 publisher, 2 viewer, others strangers; all of them share a host that does not answer.
  [[nodiscard]] Endpoint address(std::uint32_t who) const {
    Endpoint endpoint = drain_->local();
    endpoint.ip[15] = static_cast<std::uint8_t>(1 + who);  // 127.0.0.x
    return endpoint;
  }
  void seal(std::vector<std::uint8_t>& data, bool is_rtcp) {
    int size = static_cast<int>(data.size());
    data.resize(data.size() + kMaxSrtpTrailer);
    (is_rtcp ? TestCipher::table().protect_rtcp : TestCipher::table().protect)(&cipher_, data.data(), &size);
    data.resize(static_cast<std::size_t>(size));
  }
  template <typename Body>
  void run(Body body) {
    Command command{1, CommandBody(std::move(body))};
    worker_->run_command_for_test(command, now_);
    while (const ControlEvent* event = worker_->outbox().control().front()) {
      if (const auto* ack = std::get_if<AckEvent>(event); ack != nullptr && !ack->error.empty()) {
        std::abort();
      }
      worker_->outbox().control().release();
    }
  }
  void drain() {
    while (worker_->outbox().control().front() != nullptr) {
      worker_->outbox().control().release();
    }
    while (worker_->outbox().network().front() != nullptr) {
      worker_->outbox().network().release();
    }
  }

  GatePage gates_;
  Wake wake_;
  Neighbours neighbours_{1};
  TestCipher cipher_;
  std::unique_ptr<UdpSocket> drain_;
  std::unique_ptr<Worker> worker_;
  TimeNs now_ = 100 * kSecond;
  bool gate_open_ = true;
};

}  // namespace

}  // namespace parley

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // One call for many inputs: what they leave behind is part of the test. Made anew now and then, so that a find can be
  // repeated from few inputs.
  static std::unique_ptr<parley::Call> call;
  static std::size_t uses = 0;
  if (call == nullptr || ++uses % 256 == 0) {
    call = std::make_unique<parley::Call>();
  }
  call->play(parley::Bytes(data, size));
  return 0;
}
