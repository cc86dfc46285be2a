"""Who gets which layers in one room: receivers' downlinks, and what publishers are asked for."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from sfu.alarm import Alarm
from sfu.allocate import Layer, SoundMeter, SoundRates
from sfu.engine.api import Engine
from sfu.engine.types import TrackId
from sfu.route.demand import LayerDemand
from sfu.route.downlink import Downlink
from sfu.route.events import LayerChosen, LayersWanted, PeerId
from sfu.route.outlet import Feed
from sfu.route.receiver import Receiver
from sfu.route.spatial import EngineLayer, SpatialLayers
from sfu.route.track import Track

NOTICED: Final = 0.1
"""Share by which a layer's rate must change before receivers are allocated anew."""


def layers_of(rows: Sequence[EngineLayer]) -> tuple[Layer, ...]:
    """A simulcast track's layers: a spatial one for each encoding, with everything that is in it."""
    whole: dict[tuple[int, int], Layer] = {}
    for encoding, _spatial, temporal, bps, height in rows:
        known = whole.get((encoding, temporal))
        if known is None or bps > known.bps:
            whole[encoding, temporal] = Layer(encoding, temporal, bps, height)
    return tuple(whole.values())


def _is_alike(layers: Sequence[Layer], known: Sequence[Layer]) -> bool:
    """Whether nothing changed that an allocation would notice."""
    return len(layers) == len(known) and all(
        (new.spatial, new.temporal, new.height) == (old.spatial, old.temporal, old.height)
        and abs(new.bps - old.bps) <= NOTICED * old.bps
        for new, old in zip(layers, known, strict=True)
    )


class Steering:
    """The downlinks of one router's receivers, and the demand on its videos."""

    def __init__(
        self,
        engine: Engine,
        on_event: Callable[[LayerChosen | LayersWanted], None],
        is_tapped: Callable[[TrackId], bool],
    ) -> None:
        self._engine = engine
        self._on_event = on_event
        self._is_tapped = is_tapped
        self._downlinks: dict[PeerId, Downlink] = {}
        self._tracks: dict[TrackId, Track] = {}
        self._layers: dict[TrackId, tuple[Layer, ...]] = {}
        self._sounds: dict[TrackId, SoundMeter] = {}
        self._spatial: dict[TrackId, SpatialLayers] = {}
        """Of videos of one encoding."""
        self._demand = LayerDemand()
        self._voices = 0
        self._alarm = Alarm(self._tick)
        self._is_closed = False

    def set_voices(self, count: int) -> None:
        """How many audio tracks come through at once at most, the loudest; 0: all."""
        self._voices = count
        for downlink in self._downlinks.values():
            downlink.set_voices(count)

    def want(self, receiver: Receiver, feed: Feed) -> None:
        """A receiver gets a track, or wishes for other layers of it."""
        downlink = self._downlinks.get(receiver.peer.id)
        if downlink is None:
            downlink = self._downlinks[receiver.peer.id] = Downlink(
                receiver, self._engine, self._on_event, self._voices
            )
        meter = self._sounds.get(feed.track.id)
        sound = SoundRates() if meter is None else meter.rates
        downlink.want(feed, self._layers.get(feed.track.id, ()), sound)
        self.weigh(feed.track)

    def renegotiated(self, peer: PeerId) -> None:
        """A receiver answered an offer."""
        downlink = self._downlinks.get(peer)
        if downlink is not None:
            downlink.renegotiated()

    def unwant(self, peer: PeerId, track: TrackId) -> None:
        """A receiver gets a track no more."""
        downlink = self._downlinks.get(peer)
        if downlink is not None:
            downlink.remove(track)
        if track in self._tracks:
            self.weigh(self._tracks[track])

    def leave(self, peer: PeerId) -> None:
        """A receiver is gone."""
        downlink = self._downlinks.pop(peer, None)
        if downlink is not None:
            downlink.close()
            for track in self._tracks.values():
                self.weigh(track)

    def remove(self, track: TrackId) -> None:
        """A track ended; its receivers were told before."""
        self._tracks.pop(track, None)
        self._layers.pop(track, None)
        self._sounds.pop(track, None)
        self._spatial.pop(track, None)
        self._demand.remove(track)

    def receive_layers(self, track: Track, rows: Sequence[EngineLayer]) -> None:
        """The engine's account of a track's layers. Encodings that rest on our wish still count as there."""
        if track.kind == "audio":
            self._receive_sound(track, rows)
            return
        if len(track.negotiated.encodings) > 1:
            layers = self._simulcast(track, rows)
        else:
            layers = self._spatial.setdefault(track.id, SpatialLayers()).receive(rows, _now())
        if not _is_alike(layers, self._layers.get(track.id, ())):
            self._layers[track.id] = layers
            for downlink in self._downlinks.values():
                downlink.receive_layers(track.id, layers)
        self.weigh(track)

    def _simulcast(self, track: Track, rows: Sequence[EngineLayer]) -> tuple[Layer, ...]:
        fresh = layers_of(rows)
        asked = self._demand.wanted(track.id)
        known = () if asked is None else self._layers.get(track.id, ())
        resting = tuple(layer for layer in known if asked is not None and layer.spatial not in asked)
        present = {layer.spatial for layer in fresh}
        return fresh + tuple(layer for layer in resting if layer.spatial not in present)

    def _receive_sound(self, track: Track, rows: Sequence[EngineLayer]) -> None:
        # Without the copies of RED, and with them.
        rates = [bps for *_, bps, _ in rows]
        meter = self._sounds.setdefault(track.id, SoundMeter())
        if rates and meter.receive(min(rates), max(rates), _now()):
            for downlink in self._downlinks.values():
                downlink.receive_sound(track.id, meter.rates)

    def receive_estimate(self, peer: PeerId, bps: int) -> None:
        """What a receiver's path carries, bits per second."""
        downlink = self._downlinks.get(peer)
        if downlink is not None:
            downlink.receive_estimate(bps)

    def tell_again(self, peer: PeerId) -> None:
        """Say anew what is wanted of a publisher's layers, and which ones a receiver gets."""
        for track in self._tracks.values():
            wanted = self._demand.wanted(track.id)
            if track.peer == peer and wanted is not None:
                self._ask(track, wanted)
        downlink = self._downlinks.get(peer)
        if downlink is not None:
            downlink.tell_again()

    def close(self) -> None:
        """Stop every clock."""
        self._is_closed = True
        self._alarm.cancel()
        for downlink in self._downlinks.values():
            downlink.close()

    def weigh(self, track: Track) -> None:
        """Ask again who has a use for which encodings of a video; taps (a recorder) have one for all."""
        count = self._count(track)
        if track.kind != "video" or self._is_closed:
            return
        self._tracks[track.id] = track
        useful = [downlink.useful(track.id, count) for downlink in self._downlinks.values()]
        if self._is_tapped(track.id):
            useful.append(frozenset(range(count)))
        self._demand.receive(track.id, count, frozenset().union(*useful), _now())
        self._run()

    def _count(self, track: Track) -> int:
        """Of what can rest by itself: a simulcast video's encodings, else the layers inside the one."""
        encodings = len(track.negotiated.encodings)
        inside = self._spatial.get(track.id)
        return encodings if encodings > 1 or inside is None else inside.count

    def is_wanted(self, track: Track) -> bool:
        """Whether its publisher is to send anything of a track."""
        return self._demand.wanted(track.id) != frozenset()

    def _tick(self) -> None:
        self._demand.tick(_now())
        self._run()

    def _run(self) -> None:
        for track, wanted in self._demand.poll():
            self._ask(self._tracks[track], wanted)
        if not self._is_closed:
            self._alarm.set(self._demand.deadline())

    def _ask(self, track: Track, wanted: frozenset[int]) -> None:
        encodings = enumerate(track.negotiated.encodings)
        rids = tuple(encoding.rid for index, encoding in encodings if index in wanted and encoding.rid)
        spatial = None
        if (inside := self._spatial.get(track.id)) is not None and wanted:
            inside.ask(len(wanted), _now())
            spatial = len(wanted) - 1 if len(wanted) < inside.count else None
        self._on_event(LayersWanted(track.id, track.peer, rids, is_wanted=bool(wanted), spatial=spatial))


def _now() -> float:
    return asyncio.get_running_loop().time()
