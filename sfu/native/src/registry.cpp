// The registry's transports: their names, paths and keys.
#include "registry.h"

#include <algorithm>
#include <utility>

#include "client_mode.h"

namespace parley {

namespace {

// Whether a path goes another way through the network than the one that is sent on: not merely to another port.
bool leads_elsewhere(const Transport& transport, const PathId& path) {
  const Path* now = transport.path();
  return now == nullptr || now->id.kind != path.kind || now->id.remote.ip != path.remote.ip;
}

}  // namespace

Transport* Registry::transport_of_ufrag(std::string_view ufrag) const {
  const auto at = ufrags_.find(ufrag);
  return at == ufrags_.end() ? nullptr : at->second;
}

Transport& Registry::make_transport(std::uint32_t id) {
  auto made = std::make_unique<Transport>(id);
  Transport& transport = *made;
  transports_.emplace(id, std::move(made));
  transport_list_.push_back(&transport);
  return transport;
}

Refusal Registry::add_transport(const AddTransport& command) {
  if (transport(command.transport) != nullptr) {
    return "transport id in use";
  }
  Transport& made = make_transport(command.transport);
  const Refusal refusal = claim_ufrags(made, command.ufrags);
  if (!refusal.empty()) {
    remove_transport(command.transport);
  }
  return refusal;
}

Refusal Registry::add_injected_transport(const AddInjectedTransport& command) {
  Sink* source = sink(command.sink);
  if (transport(command.transport) != nullptr) {
    return "transport id in use";
  }
  if (source == nullptr) {
    return "unknown sink";
  }
  if (source->injected != nullptr) {
    return "the sink feeds another transport";
  }
  set_injector(make_transport(command.transport), source);
  return {};
}

void Registry::set_injector(Transport& transport, Sink* source) {
  Sink* changed = source == nullptr ? transport.injector : source;
  if (changed != nullptr) {
    transport.injector = source;
    changed->injected = source == nullptr ? nullptr : &transport;
    if (watcher_ != nullptr) {
      watcher_->sink_changed(*changed);
    }
  }
}

Refusal Registry::add_client_transport(const AddClientTransport& command) {
  if (transport(command.transport) != nullptr) {
    return "transport id in use";
  }
  if (command.socket >= context_.socket_count) {
    return "unknown socket";
  }
  Transport& made = make_transport(command.transport);
  made.client = std::make_unique<ClientReceiver>(command.loss_permille, command.rtx_pt);
  return bind_path(BindPath{command.transport, {.socket = command.socket, .remote = command.remote}, true});
}

Refusal Registry::claim_ufrags(Transport& transport, const std::vector<std::string>& ufrags) {
  if (ufrags.size() > kMaxUfrags) {
    return "too many ufrags";
  }
  for (const std::string& ufrag : ufrags) {
    const auto at = ufrags_.find(ufrag);
    if (ufrag.empty() || ufrag.size() > 256) {
      return "ufrag must have 1 to 256 characters";
    }
    if (at != ufrags_.end() && at->second != &transport) {
      return "ufrag in use";
    }
  }
  release_ufrags(transport);
  transport.ufrags = ufrags;
  for (const std::string& ufrag : ufrags) {
    ufrags_[ufrag] = &transport;
    context_.neighbours.ufrags.put(ufrag, context_.config.index);
  }
  return {};
}

void Registry::release_ufrags(Transport& transport) {
  for (const std::string& ufrag : transport.ufrags) {
    ufrags_.erase(ufrag);
    context_.neighbours.ufrags.erase(ufrag, context_.config.index);
  }
  transport.ufrags.clear();
}

Refusal Registry::set_ufrags(const SetUfrags& command) {
  Transport* known = transport(command.transport);
  return known == nullptr ? Refusal("unknown transport") : claim_ufrags(*known, command.ufrags);
}

Refusal Registry::bind_path(const BindPath& command) {
  Transport* known = transport(command.transport);
  if (known == nullptr) {
    return "unknown transport";
  }
  if (command.path.kind == PathKind::kUdp && command.path.socket >= context_.socket_count) {
    return "unknown socket";
  }
  if (command.path.kind == PathKind::kTcp && context_.tcp.find(command.path) == nullptr) {
    return "no such connection";  // closed meanwhile
  }
  std::size_t place = Transport::kMaxPaths;
  std::size_t oldest = Transport::kMaxPaths;
  for (std::size_t index = 0; index < Transport::kMaxPaths; ++index) {
    const Path& path = known->paths[index];
    if (path.bound_order != 0 && path.id == command.path) {
      place = index;
      break;
    }
    const bool is_selected = std::cmp_equal(index, known->selected);
    if (!is_selected && (oldest == Transport::kMaxPaths || path.bound_order < known->paths[oldest].bound_order)) {
      oldest = index;  // a free slot has order 0
    }
  }
  if (place == Transport::kMaxPaths) {
    place = oldest;
    release_path(*known, place);
    // The last authenticated check wins: an address that another transport once had now belongs to this one.
    Transport* before = paths_.put(command.path.local(), command.path.remote, known);
    if (before != nullptr && before != known) {
      for (std::size_t index = 0; index < Transport::kMaxPaths; ++index) {
        Path& path = before->paths[index];
        if (path.bound_order != 0 && path.id == command.path) {
          path = Path{};
          if (std::cmp_equal(index, before->selected)) {
            before->selected = -1;
          }
        }
      }
    }
  }
  known->paths[place] = Path{command.path, ++bind_order_};
  if (command.selected || known->selected < 0) {
    if (known->downlink != nullptr && leads_elsewhere(*known, command.path)) {
      known->downlink->estimator.move();
    }
    known->selected = static_cast<int>(place);
  }
  return {};
}

void Registry::release_path(Transport& transport, std::size_t index) {
  Path& path = transport.paths[index];
  if (path.bound_order != 0) {
    paths_.erase(path.id.local(), path.id.remote);
    path = Path{};
  }
  if (std::cmp_equal(index, transport.selected)) {
    transport.selected = -1;
  }
}

Refusal Registry::unbind_path(const UnbindPath& command) {
  Transport* known = transport(command.transport);
  if (known == nullptr) {
    return "unknown transport";
  }
  for (std::size_t index = 0; index < Transport::kMaxPaths; ++index) {
    const Path& path = known->paths[index];
    if (path.bound_order != 0 && path.id == command.path) {
      release_path(*known, index);
      return {};
    }
  }
  return "unknown path";
}

Transport* Registry::lose_path(const PathId& path) {
  Transport* owner = transport_at(path);
  if (owner != nullptr) {
    unbind_path(UnbindPath{owner->id, path});
  }
  return owner;
}

Refusal Registry::set_srtp(const SetSrtp& command) {
  Transport* known = transport(command.transport);
  if (known == nullptr) {
    return "unknown transport";
  }
  Srtp srtp(&context_.srtp, command.rx, command.tx, command.profile, command.ciphers);
  srtp.continue_from(known->srtp);
  known->srtp = std::move(srtp);
  return {};
}

Refusal Registry::set_extensions(const SetExtensions& command) {
  Transport* known = transport(command.transport);
  if (known == nullptr) {
    return "unknown transport";
  }
  if (!command.is_send) {
    known->receive_ids = command.ids;
    return {};
  }
  known->send_ids = command.ids;
  if (known->send_ids.has(Extension::kTwcc) && known->downlink == nullptr && known->client == nullptr) {
    known->downlink = std::make_unique<Downlink>();
    known->downlink->estimator.set_wanted(known->wanted_bps);
  }
  for (Forward* forward : known->forwards) {
    forward->header = HeaderTemplate(known->send_ids, forward->mid);
  }
  return {};
}

Refusal Registry::set_wanted(const SetWanted& command) {
  Transport* known = transport(command.transport);
  if (known == nullptr) {
    return "unknown transport";
  }
  known->wanted_bps = static_cast<double>(command.bps);
  if (known->downlink != nullptr) {
    known->downlink->estimator.set_wanted(known->wanted_bps);
  }
  return {};
}

Refusal Registry::remove_transport(std::uint32_t id) {
  Transport* known = transport(id);
  if (known == nullptr) {
    return "unknown transport";
  }
  while (!known->tracks.empty()) {
    remove_track(known->tracks.back()->id);
  }
  while (!known->forwards.empty()) {
    remove_forward(known->forwards.back()->id);
  }
  release_ufrags(*known);
  set_injector(*known, nullptr);
  for (std::size_t index = 0; index < Transport::kMaxPaths; ++index) {
    release_path(*known, index);
  }
  if (watcher_ != nullptr) {
    watcher_->forget(*known);
  }
  std::erase(transport_list_, known);
  transports_.erase(id);
  return {};
}

}  // namespace parley
