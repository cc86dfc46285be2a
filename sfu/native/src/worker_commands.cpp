// The worker's handlers of commands: what is not the registry's alone.
#include "worker.h"

#include "client_mode.h"

namespace parley {

void Worker::run_commands(TimeNs now) {
  bool is_flushed = false;
  for (std::size_t count = 0; count < kCommandsPerLoop && context_.events.has_room_for_answer(); ++count) {
    auto command = commands_.pop();
    if (!command) {
      return;
    }
    context_.counters.add(Counter::commands);
    // Nothing gathered may outlive what it belongs to, and a fence finds every buffer empty. A datagram belongs to
    // none. What an earlier command of this round sent (a welcome) leaves before the next one, too.
    const bool is_datagram = std::holds_alternative<SendDatagram>(command->body);
    if (!is_datagram && (!is_flushed || !context_.arena.is_empty())) {
      fanout_.flush(now);
      is_flushed = true;
    }
    execute(*command, now);
  }
}

void Worker::execute(Command& command, TimeNs now) {
  struct Handler {
    Worker& worker;
    TimeNs now;

    Refusal operator()(std::monostate) const { return "empty command"; }
    Refusal operator()(const Refused& body) const { return body.reason; }
    Refusal operator()(const AddTransport& body) const {
      const Refusal refusal = worker.registry_.add_transport(body);
      if (refusal.empty()) {
        worker.expect_handshake(*worker.registry_.transport(body.transport), now);
      }
      return refusal;
    }
    Refusal operator()(const AddInjectedTransport& body) const { return worker.registry_.add_injected_transport(body); }
    Refusal operator()(const AddClientTransport& body) const { return worker.registry_.add_client_transport(body); }
    Refusal operator()(const SetUfrags& body) const { return worker.registry_.set_ufrags(body); }
    Refusal operator()(const LendCredentials& body) const { return worker.checks_.lend(body, worker.registry_); }
    Refusal operator()(const BindPath& body) const {
      const bool could_send = can_send(body.transport);
      return connect(body.transport, could_send, worker.registry_.bind_path(body));
    }
    Refusal operator()(const UnbindPath& body) const { return worker.registry_.unbind_path(body); }
    Refusal operator()(const SetSrtp& body) const {
      const bool could_send = can_send(body.transport);
      return connect(body.transport, could_send, worker.registry_.set_srtp(body));
    }
    Refusal operator()(const SetExtensions& body) const { return worker.registry_.set_extensions(body); }
    Refusal operator()(const SetWanted& body) const { return worker.registry_.set_wanted(body); }
    Refusal operator()(const RemoveTransport& body) const { return worker.registry_.remove_transport(body.transport); }
    Refusal operator()(const AddTrack& body) const { return worker.registry_.add_track(body); }
    Refusal operator()(const RemoveTrack& body) const { return worker.registry_.remove_track(body.track); }
    Refusal operator()(const ExportTrack& body) const {
      Track* track = worker.registry_.track(body.track);
      if (track == nullptr) {
        return "unknown track";
      }
      worker.links_.begin(*track, body.link);
      worker.keyframes_.request_all(*track, now);  // the other worker has nothing of it yet
      return {};
    }
    Refusal operator()(const EndExport& body) const {
      if (Track* track = worker.registry_.track(body.track)) {
        worker.links_.end(*track, *body.link);
      }
      return {};
    }
    Refusal operator()(const ImportTrack& body) const {
      const Refusal refusal = worker.registry_.import_track(body);
      if (refusal.empty()) {
        worker.links_.follow(*worker.registry_.track(body.track->track), now);
      }
      return refusal;
    }
    Refusal operator()(const SetTrackEnabled& body) const {
      const Refusal refusal = worker.registry_.set_track_enabled(body);
      Track* track = worker.registry_.track(body.track);
      if (track != nullptr && body.enabled) {
        worker.keyframes_.request_all(*track, now);
      }
      return refusal;
    }
    Refusal operator()(const SetStage& body) const { return worker.registry_.set_stage(body, now); }
    Refusal operator()(const RequestKeyframe& body) const {
      Track* track = worker.registry_.track(body.track);
      if (track == nullptr) {
        return "unknown track";
      }
      worker.keyframes_.request_all(*track, now);
      return {};
    }
    Refusal operator()(const AddForward& body) const {
      return welcome(body.forward, worker.registry_.add_forward(body));
    }
    Refusal operator()(const SetForward& body) const {
      return welcome(body.forward, worker.registry_.set_forward(body));
    }
    Refusal operator()(const SetForwardSource& body) const {
      return welcome(body.forward, worker.registry_.set_forward_source(body));
    }
    Refusal operator()(const SetForwardGate& body) const { return worker.registry_.set_forward_gate(body); }
    Refusal operator()(const RemoveForward& body) const { return worker.registry_.remove_forward(body.forward); }
    Refusal operator()(AddSink& body) const { return worker.registry_.add_sink(body); }
    Refusal operator()(const RemoveSink& body) const { return worker.registry_.remove_sink(body.sink); }
    Refusal operator()(const AddTap& body) const {
      const Refusal refusal = worker.registry_.add_tap(body);
      Track* track = worker.registry_.track(body.track);
      if (refusal.empty() && track != nullptr) {
        worker.keyframes_.request_all(*track, now);
      }
      return refusal;
    }
    Refusal operator()(const SetTapGate& body) const { return worker.registry_.set_tap_gate(body); }
    Refusal operator()(const RemoveTap& body) const { return worker.registry_.remove_tap(body.tap); }
    Refusal operator()(const Fence&) const { return {}; }  // run_commands flushed: every buffer is empty
    Refusal operator()(const QueryStats&) const { return {}; }
    Refusal operator()(const SendDatagram&) const { return {}; }
    Refusal operator()(const AddGenerator& body) const {
      return worker.generators_.add(body, worker.registry_, now, worker.context_);
    }
    Refusal operator()(const RemoveGenerator& body) const { return worker.generators_.remove(body.track); }

    // A new or resumed subscriber needs a picture to start from.
    [[nodiscard]] Refusal welcome(std::uint32_t id, Refusal refusal) const {
      Forward* forward = worker.registry_.forward(id);
      if (refusal.empty() && forward != nullptr) {
        worker.fanout_.welcome(*forward, now);
      }
      return refusal;
    }

    [[nodiscard]] bool can_send(std::uint32_t id) const {
      const Transport* transport = worker.registry_.transport(id);
      return transport != nullptr && transport->can_send();
    }

    // With the path and the keys there, what waited for them begins.
    [[nodiscard]] Refusal connect(std::uint32_t id, bool could_send, Refusal refusal) const {
      Transport* transport = worker.registry_.transport(id);
      if (could_send || !can_send(id)) {
        return refusal;
      }
      for (Forward* forward : transport->forwards) {
        worker.fanout_.welcome(*forward, now);
      }
      if (transport->client != nullptr) {
        for (auto& datagram : transport->client->take_held()) {
          worker.receive_datagram(transport->path()->id, transport, datagram, now);
        }
      }
      return refusal;
    }
  };

  if (const auto* datagram = std::get_if<SendDatagram>(&command.body)) {
    const bool is_sendable = datagram->path.kind == PathKind::kTcp || datagram->path.socket < sockets_.size();
    if (!is_sendable || datagram->data.size() > SendArena::kMaxDatagram) {
      context_.counters.add(Counter::drop_send_refused);
      return;
    }
    const MutableBytes out = context_.arena.claim();
    copy_to(out, 0, datagram->data);
    context_.arena.commit(datagram->path, datagram->data.size());
    context_.arena.flush();
    return;
  }
  if (std::holds_alternative<QueryStats>(command.body)) {
    context_.events.post(collect_stats(command.ack));
    return;
  }
  const Refusal refusal = std::visit(Handler{*this, now}, command.body);
  if (command.ack != 0) {  // else the engine's own tidying, whose answer nobody waits for
    context_.events.post(AckEvent{command.ack, std::string(refusal)});
  }
}

}  // namespace parley
