// Turns one command of the control side into the commands of the workers that it concerns, and keeps what lives where.
// A forward names a track and a transport; when they live on different workers, a TrackLink joins them, made with the
// first such forward and ended with the last.
// Thread: the control side, serialised by the engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "commands.h"
#include "track_link.h"
#include "worker_door.h"

namespace parley {

struct Part {
  std::size_t worker = 0;
  CommandBody body;
};
using Parts = std::vector<Part>;

class Dispatcher {
 public:
  // `doors`: of the workers, in their order; they outlive this.
  explicit Dispatcher(std::vector<WorkerDoor*> doors) : doors_(std::move(doors)), slots_(doors_.size()) {}

  // How many parts `body` may put into one worker's queue, at most.
  template <typename Body>
  [[nodiscard]] std::size_t bound(const Body& body) const;

  // The parts of a command. `number` is its answer's; an answer that is a refusal must be told to `refused`.
  template <typename Body>
  [[nodiscard]] Parts plan(std::uint64_t number, Body body);

  // A command was done: what it replaced is let go.
  [[nodiscard]] Parts accepted(std::uint64_t number);
  // A command was refused: what it would have added is forgotten. The parts tidy up where workers had done theirs.
  [[nodiscard]] Parts refused(std::uint64_t number);

  // False for a sink whose end was told before (every worker sees it), or that is not here any more.
  [[nodiscard]] bool take_sink_end(std::uint32_t sink);

  [[nodiscard]] std::size_t links() const { return link_count_; }

 private:
  struct TransportRoute {
    std::size_t worker = 0;
    std::uint64_t number = 0;  // of the command that added it
  };
  // A link of a track, and how many forwards need it.
  struct LinkUse {
    std::size_t worker = 0;
    std::size_t forwards = 0;
    std::shared_ptr<TrackLink> link;
  };
  struct TrackRoute {
    std::size_t worker = 0;
    std::uint64_t number = 0;
    std::uint32_t transport = 0;
    std::shared_ptr<const AddTrack> description;  // null: a generator
    std::vector<LinkUse> links;
  };
  struct ForwardRoute {
    std::size_t worker = 0;
    std::uint64_t number = 0;
    std::uint32_t transport = 0;
    std::uint32_t track = 0;   // 0: fed by nothing
    std::uint64_t change = 0;  // number of the last change of its source
  };
  // A forward that is to be fed by another track: it may need either until the worker has answered.
  struct SourceChange {
    std::uint32_t forward = 0;
    std::size_t worker = 0;
    std::uint32_t before = 0;
  };
  struct SinkRoute {
    std::uint64_t number = 0;
    bool is_end_told = false;
  };
  struct TapRoute {
    std::size_t worker = 0;
    std::uint64_t number = 0;
    std::uint32_t track = 0;
    std::uint32_t sink = 0;
  };
  template <typename Route>
  using Routes = std::unordered_map<std::uint32_t, Route>;
  enum class Kind : std::uint8_t { kTransport, kTrack, kForward, kSink, kTap };

  // Numbers, by worker, that its links are known by.
  class Slots {
   public:
    std::optional<std::uint32_t> take();
    void give_back(std::uint32_t slot) { spare_.push_back(slot); }

   private:
    std::vector<std::uint32_t> spare_;
    std::uint32_t next_ = 0;
  };

  template <typename Route>
  static Route* find(Routes<Route>& routes, std::uint32_t id) {
    const auto at = routes.find(id);
    return at == routes.end() ? nullptr : &at->second;
  }
  static Parts refuse(std::string_view reason, std::size_t worker = 0) {
    Parts parts;
    parts.push_back({worker, Refused{std::string(reason)}});
    return parts;
  }
  template <typename Body>
  static Parts one(std::size_t worker, Body body) {
    Parts parts;
    parts.push_back({worker, CommandBody(std::move(body))});
    return parts;
  }
  // A command for whoever has its id.
  template <typename Route, typename Body>
  static Parts to_owner(Routes<Route>& routes, std::uint32_t id, Body body) {
    const Route* route = find(routes, id);
    return route == nullptr ? refuse("unknown id") : one(route->worker, std::move(body));
  }

  template <typename Body>
  Parts plan_transport(std::uint64_t number, Body body);
  Parts plan_add(std::uint64_t number, AddTransport body);
  Parts plan_add(std::uint64_t number, AddClientTransport body);
  Parts plan_add(std::uint64_t number, AddInjectedTransport body);
  Parts plan_add(std::uint64_t number, AddTrack body);
  Parts plan_add(std::uint64_t number, AddGenerator body);
  Parts plan_add(std::uint64_t number, AddForward body);
  Parts plan_add(std::uint64_t number, AddSink body);
  Parts plan_add(std::uint64_t number, AddTap body);
  Parts plan_add(std::uint64_t number, SetForwardSource body);
  Parts plan_change(SetTrackEnabled body);
  Parts plan_change(RemoveTransport body);
  Parts plan_change(RemoveTrack body);
  Parts plan_change(RemoveGenerator body);
  Parts plan_change(RemoveForward body);
  Parts plan_change(RemoveSink body);
  Parts plan_change(RemoveTap body);

  // Lets `track` be forwarded on `worker`; false when that worker follows too many already.
  bool link(std::uint32_t track, TrackRoute& route, std::size_t worker, Parts& parts);
  // A forward on `worker` needs `track` no more.
  void unlink(std::uint32_t track, std::size_t worker, Parts& parts);
  void end_link(const LinkUse& use, std::size_t home);
  void forget_track(std::uint32_t id, Parts& parts);
  void forget_forward(std::uint32_t id, Parts& parts);
  void note_added(std::uint64_t number, Kind kind, std::uint32_t id) { added_[number] = {kind, id}; }

  std::vector<WorkerDoor*> doors_;
  std::vector<Slots> slots_;
  Routes<TransportRoute> transports_;
  Routes<TrackRoute> tracks_;
  Routes<ForwardRoute> forwards_;
  Routes<SinkRoute> sinks_;
  Routes<TapRoute> taps_;
  std::unordered_map<std::uint64_t, std::pair<Kind, std::uint32_t>> added_;  // not answered yet
  std::unordered_map<std::uint64_t, SourceChange> source_changes_;           // not answered yet
  std::size_t link_count_ = 0;
};

template <typename Body>
std::size_t Dispatcher::bound(const Body& body) const {
  const auto links_of = [this](std::uint32_t track) {
    const auto at = tracks_.find(track);
    return at == tracks_.end() ? std::size_t{0} : at->second.links.size();
  };
  constexpr std::size_t kForward = 5;  // begin a link, the command itself, end a link
  if constexpr (std::is_same_v<Body, AddForward> || std::is_same_v<Body, SetForwardSource> ||
                std::is_same_v<Body, RemoveForward>) {
    return kForward;
  } else if constexpr (std::is_same_v<Body, RemoveTrack> || std::is_same_v<Body, SetTrackEnabled>) {
    return 1 + links_of(body.track);
  } else if constexpr (std::is_same_v<Body, RemoveTransport>) {
    std::size_t parts = 1;
    for (const auto& [id, route] : tracks_) {
      parts += route.transport == body.transport ? route.links.size() : std::size_t{0};
    }
    for (const auto& [id, route] : forwards_) {
      parts += route.transport == body.transport && links_of(route.track) > 0 ? std::size_t{2} : std::size_t{0};
    }
    return parts;
  } else {
    return 1;
  }
}

template <typename Body>
Parts Dispatcher::plan(std::uint64_t number, Body body) {
  if constexpr (requires { plan_add(number, std::move(body)); }) {
    return plan_add(number, std::move(body));
  } else if constexpr (requires { plan_change(std::move(body)); }) {
    return plan_change(std::move(body));
  } else if constexpr (requires { body.worker; }) {
    const std::size_t worker = body.worker;
    return worker < doors_.size() ? one(worker, std::move(body)) : refuse("unknown id");
  } else if constexpr (requires { body.transport; }) {
    const std::uint32_t id = body.transport;
    return to_owner(transports_, id, std::move(body));
  } else if constexpr (requires { body.forward; }) {
    const std::uint32_t id = body.forward;
    return to_owner(forwards_, id, std::move(body));
  } else if constexpr (requires { body.tap; }) {
    const std::uint32_t id = body.tap;
    return to_owner(taps_, id, std::move(body));
  } else {
    const std::uint32_t id = body.track;
    return to_owner(tracks_, id, std::move(body));
  }
}

}  // namespace parley
