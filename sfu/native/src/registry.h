// Everything a worker routes between, by id: transports, tracks, forwards, sinks, taps; made and removed by commands.
// A handler returns why it refused, empty when it worked. Nothing here runs per packet but the two lookups.
// Each kind has a file of its own: registry.cpp (transports), registry_{tracks,forwards,taps}.cpp.
// Thread: the worker that owns it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "audio_stage.h"
#include "commands.h"
#include "forward.h"
#include "path_table.h"
#include "tap.h"
#include "track.h"
#include "transport.h"
#include "worker_context.h"

namespace parley {

using Refusal = std::string_view;  // a static text; empty: done

class Registry {
 public:
  template <typename T>
  using ById = std::unordered_map<std::uint32_t, std::unique_ptr<T>>;

  static constexpr std::size_t kMaxUfrags = 4;
  static constexpr std::size_t kMaxSinks = 1024;

  explicit Registry(WorkerContext& context) : context_(context), paths_(context.config.seed) {}

  [[nodiscard]] Transport* transport_at(const PathId& path) const { return paths_.find(path.local(), path.remote); }
  [[nodiscard]] Transport* transport_of_ufrag(std::string_view ufrag) const;

  Refusal add_transport(const AddTransport& command);
  Refusal add_injected_transport(const AddInjectedTransport& command);
  Refusal add_client_transport(const AddClientTransport& command);
  Refusal set_ufrags(const SetUfrags& command);
  Refusal bind_path(const BindPath& command);
  Refusal unbind_path(const UnbindPath& command);
  // What carried a path is gone; the transport that had it, or null.
  Transport* lose_path(const PathId& path);
  Refusal set_srtp(const SetSrtp& command);
  Refusal set_extensions(const SetExtensions& command);
  Refusal set_wanted(const SetWanted& command);
  Refusal remove_transport(std::uint32_t id);

  Refusal add_track(const AddTrack& command);
  // The track as another worker receives it.
  Refusal import_track(const ImportTrack& command);
  Refusal remove_track(std::uint32_t id);
  Refusal set_track_enabled(const SetTrackEnabled& command);
  Refusal set_stage(const SetStage& command, TimeNs now);

  Refusal add_forward(const AddForward& command);
  Refusal set_forward(const SetForward& command);
  Refusal set_forward_source(const SetForwardSource& command);
  Refusal set_forward_gate(const SetForwardGate& command);
  Refusal remove_forward(std::uint32_t id);

  Refusal add_sink(AddSink& command);
  Refusal remove_sink(std::uint32_t id);
  void close_sinks();  // at the worker's end
  Refusal add_tap(const AddTap& command);
  Refusal set_tap_gate(const SetTapGate& command);
  Refusal remove_tap(std::uint32_t id);

  [[nodiscard]] Transport* transport(std::uint32_t id) const { return find(transports_, id); }
  [[nodiscard]] Track* track(std::uint32_t id) const { return find(tracks_, id); }
  [[nodiscard]] Forward* forward(std::uint32_t id) const { return find(forwards_, id); }
  [[nodiscard]] Sink* sink(std::uint32_t id) const { return find(sinks_, id); }
  [[nodiscard]] Tap* tap(std::uint32_t id) const { return find(taps_, id); }
  // By the key that a forward's sequencer keeps; null when the track is gone.
  [[nodiscard]] Encoding* encoding(std::uint32_t key) const;

  [[nodiscard]] const ById<Transport>& transports() const { return transports_; }
  [[nodiscard]] const ById<Track>& tracks() const { return tracks_; }
  [[nodiscard]] const ById<Forward>& forwards() const { return forwards_; }
  [[nodiscard]] const ById<Sink>& sinks() const { return sinks_; }
  [[nodiscard]] const ById<Tap>& taps() const { return taps_; }
  // For timers that take a slice of the transports at a time.
  [[nodiscard]] const std::vector<Transport*>& transport_list() const { return transport_list_; }

  // Told before a track goes, so that timers forget its encodings.
  struct Watcher {
    virtual ~Watcher() = default;
    virtual void forget(Transport& transport) = 0;
    virtual void forget(const Track& track) = 0;
    virtual void sink_added(Sink& sink) = 0;
    // What its consumer writes is wanted, or not any more.
    virtual void sink_changed(Sink& sink) = 0;
  };
  void watch(Watcher& watcher) { watcher_ = &watcher; }

 private:
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  template <typename T>
  static T* find(const ById<T>& objects, std::uint32_t id) {
    const auto at = objects.find(id);
    return at == objects.end() ? nullptr : at->second.get();
  }
  Transport& make_transport(std::uint32_t id);
  std::unique_ptr<Track> make_track(const AddTrack& command, Transport* publisher);
  void keep(std::unique_ptr<Track> track);
  Refusal claim_ufrags(Transport& transport, const std::vector<std::string>& ufrags);
  void release_ufrags(Transport& transport);
  void set_injector(Transport& transport, Sink* sink);
  void release_path(Transport& transport, std::size_t index);
  Refusal claim_ssrcs(Track& track);
  [[nodiscard]] Refusal check_gate(GatePosition gate, const Track* track) const;
  static void set_gate(Forward& forward, GatePosition gate);
  void attach(Forward& forward, Track& track);
  void detach(Forward& forward);

  WorkerContext& context_;
  Watcher* watcher_ = nullptr;
  AudioStages stages_;
  PathTable paths_;
  std::unordered_map<std::string, Transport*, TextHash, std::equal_to<>> ufrags_;
  ById<Transport> transports_;
  ById<Track> tracks_;
  ById<Forward> forwards_;
  ById<Sink> sinks_;
  ById<Tap> taps_;
  std::unordered_map<std::uint32_t, Encoding*> encodings_;
  std::vector<Transport*> transport_list_;
  std::uint32_t last_encoding_key_ = 0;
  std::uint64_t bind_order_ = 0;
};

}  // namespace parley
