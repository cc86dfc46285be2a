"""One viewer's downlink shared over all of its tracks.

Audio is always whole. Then every video gets its lowest layer, the most important first; then the layers
climb, round by round. What does not fit is paused, and the viewer is told. Going down happens at once; going
up needs headroom and some calm, so that nothing flips to and fro.

PURE: no I/O; time comes in as seconds of any steady clock.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from sfu.allocate.layers import BEST, Choice, Wish, choose
from sfu.allocate.sound import SoundRates
from sfu.engine.types import TrackId

HEADROOM: Final = 0.95
"""Share of the estimate that a step to another encoding may fill: to take it back costs a keyframe."""

COVERS: Final = 0.95
"""Share of a wished height from which a picture covers it: encoders round sizes to whole blocks."""

CALM_S: Final = 2.0
"""No step upwards so soon after one downwards."""

TICK_S: Final = 0.5
"""How often a viewer that wants more looks whether it fits by now."""

OVERHEAD: Final = 1.05
"""Headers and repairs on top of a layer's own rate."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One way to forward a video track: up to these layers, at this rate in all (bits per second).

    `height` is the picture's, in pixels; 0 when it is not known.
    """

    spatial: int
    temporal: int
    bps: int
    height: int = 0

    def is_same(self, other: "Layer") -> bool:
        """Whether both are one layer, at whatever rate."""
        return (self.spatial, self.temporal) == (other.spatial, other.temporal)


@dataclass(slots=True)
class _Sound:
    wish: Wish
    rates: SoundRates = field(default_factory=SoundRates)
    has_copies: bool = False

    @property
    def bps(self) -> float:
        return self.rates.with_copies if self.has_copies else self.rates.plain


@dataclass(slots=True)
class _Video:
    wish: Wish
    ladder: tuple[Layer, ...] = ()
    step: int = -1
    """Index of what it gets now; -1: nothing."""
    is_forced: bool = False
    """The last step was one down, because the path did not carry what was sent."""


def rising(layers: Iterable[Layer], numbers: Iterable[int] = ()) -> list[int]:
    """The numbers of spatial layers, of those in `numbers` that are not known too, the lowest first.

    A publisher may number its encodings in any order: the height of the picture says which is lower, among
    equal heights the rate. One whose height is not known keeps the place of its number.
    """
    known: dict[int, tuple[int, int]] = {}
    places = set(numbers)
    for layer in layers:
        places.add(layer.spatial)
        if layer.height:
            known[layer.spatial] = max(known.get(layer.spatial, (0, 0)), (layer.height, layer.bps))
    ordered = iter(sorted(known, key=lambda spatial: (known[spatial], spatial)))
    return [next(ordered) if place in known else place for place in sorted(places)]


def ladder_of(layers: Sequence[Layer], wish: Wish) -> tuple[Layer, ...]:
    """The layers that a wish allows, each better and dearer than the one before.

    A wished height cuts off every picture larger than the smallest that still covers it. Twice the height
    counts as much as four times the frames; of two that are equal by that, more frames are better. A layer
    that costs as much as a better one has no place: still pictures often cost less large than small.
    """
    order = rising(layers)
    found = sorted(
        layers, key=lambda layer: (2 * order.index(layer.spatial) + layer.temporal, layer.temporal)
    )
    if wish.spatial is not None:
        found = [layer for layer in found if layer.spatial in order[: wish.spatial + 1]]
    if wish.temporal is not None:
        found = [layer for layer in found if layer.temporal <= wish.temporal]
    if wish.height is not None:
        covering = [layer.height for layer in found if layer.height >= COVERS * wish.height]
        if covering:
            found = [layer for layer in found if layer.height <= min(covering)]
    ladder: list[Layer] = []
    for layer in reversed(found):
        if not ladder or layer.bps < ladder[-1].bps:
            ladder.append(layer)
    return tuple(reversed(ladder))


@dataclass(slots=True)
class Allocator:
    """Choices for one viewer. `receive_*` and `want` take news, `poll` gives what to tell the engine."""

    _estimate: float | None = None
    _voices: int = 0
    _layers: dict[TrackId, tuple[Layer, ...]] = field(default_factory=dict)
    _sounds: dict[TrackId, _Sound] = field(default_factory=dict)
    _videos: dict[TrackId, _Video] = field(default_factory=dict)
    _told: dict[TrackId, Choice] = field(default_factory=dict)
    _went_down_at: float = float("-inf")
    _next_tick: float | None = None

    def want(self, wish: Wish, now: float) -> None:
        """Set what the viewer wants of a track, new or known."""
        if wish.kind == "audio":
            self._sounds.setdefault(wish.track, _Sound(wish)).wish = wish
        else:
            video = self._videos.setdefault(wish.track, _Video(wish))
            video.wish = wish
            self._renew_ladder(video)
        self._allocate(now)

    def set_voices(self, count: int, now: float) -> None:
        """Take how many audio tracks come through at once at most; 0: all."""
        self._voices = count
        self._allocate(now)

    def remove(self, track: TrackId, now: float) -> None:
        """Forget a track; what it used is free for the others."""
        self._sounds.pop(track, None)
        self._videos.pop(track, None)
        self._layers.pop(track, None)
        self._told.pop(track, None)
        self._allocate(now)

    def receive_redundancy(self, track: TrackId, now: float, *, has_copies: bool) -> None:
        """Take whether a sound comes with copies of its frames; one that is not wanted changes nothing."""
        sound = self._sounds.get(track)
        if sound is not None and sound.has_copies != has_copies:
            sound.has_copies = has_copies
            self._allocate(now)

    def receive_sound(self, track: TrackId, rates: SoundRates, now: float) -> None:
        """Take what a sound takes; one that is not wanted changes nothing."""
        sound = self._sounds.get(track)
        if sound is not None and sound.rates != rates:
            sound.rates = rates
            self._allocate(now)

    def receive_layers(self, track: TrackId, layers: Sequence[Layer], now: float) -> None:
        """Take what a track's layers cost now; a track that is not wanted is ignored."""
        video = self._videos.get(track)
        if video is None:
            return
        self._layers[track] = tuple(layers)
        self._renew_ladder(video)
        self._allocate(now)

    def receive_estimate(self, bps: float | None, now: float) -> None:
        """Take what the path carries, bits per second; None: unknown, everything fits."""
        self._estimate = bps
        self._allocate(now)

    def tick(self, now: float) -> None:
        """Look again, at `deadline`."""
        if self._next_tick is not None and now >= self._next_tick:
            self._allocate(now)

    def deadline(self) -> float | None:
        """When `tick` has something to do; None while everyone has what they want."""
        return self._next_tick

    def poll(self) -> Iterator[Choice]:
        """Choices that changed since they were told last, the most important first."""
        for choice in self._choices():
            if self._told.get(choice.track) != choice:
                self._told[choice.track] = choice
                yield choice

    def take_back(self, choice: Choice) -> None:
        """A choice could not be told: `poll` gives it again, if it still stands."""
        self._told.pop(choice.track, None)

    @property
    def wanted_bps(self) -> int:
        """What everything that is wanted would cost: how far probing the path is worth while."""
        videos = (video for video in self._videos.values() if not video.wish.is_paused)
        return round(self._sound_bps() + sum(_cost(video.ladder[-1]) for video in videos if video.ladder))

    def useful(self, track: TrackId, encodings: int) -> frozenset[int]:
        """Which of a video's encodings may serve its wish; none when it is paused or unwanted.

        Of one encoding: which of the spatial layers inside it.
        """
        video = self._videos.get(track)
        if video is None or video.wish.is_paused:
            return frozenset()
        if encodings == 1:
            return frozenset({0})
        order = rising(self._layers.get(track, ()), range(encodings))
        top = video.ladder[-1] if video.ladder else None
        if top is not None and video.wish.height is not None and top.height >= COVERS * video.wish.height:
            return frozenset(order[: order.index(top.spatial) + 1])
        # No layer that is there covers the wish: one that rests, or is not sent yet, may.
        return frozenset(order if video.wish.spatial is None else order[: video.wish.spatial + 1])

    def rank(self, choice: Choice) -> int:
        """Which spatial layer a choice is, 0 the lowest, however they are numbered; `BEST` stays so."""
        order = rising(self._layers.get(choice.track, ()))
        return order.index(choice.spatial) if choice.spatial in order else choice.spatial

    def _renew_ladder(self, video: _Video) -> None:
        held = self._held(video)
        video.ladder = ladder_of(self._layers.get(video.wish.track, ()), video.wish)
        video.step = self._step_of(video.ladder, held)
        video.is_forced = False

    @staticmethod
    def _held(video: _Video) -> Layer | None:
        return video.ladder[video.step] if 0 <= video.step < len(video.ladder) else None

    @staticmethod
    def _step_of(ladder: Sequence[Layer], held: Layer | None) -> int:
        if held is None:
            return -1
        same = (at for at, layer in enumerate(ladder) if layer.is_same(held))
        below = (at for at, layer in enumerate(ladder) if layer.bps <= held.bps)
        return next(same, max(below, default=-1))

    def _sound_bps(self) -> float:
        """Of as many as come through; which ones is not known here, so it may be the dearest."""
        rates = sorted(
            (sound.bps for sound in self._sounds.values() if not sound.wish.is_paused), reverse=True
        )
        return sum(rates[: self._voices] if self._voices else rates)

    def _ranked(self) -> list[_Video]:
        active = [video for video in self._videos.values() if video.ladder and not video.wish.is_paused]
        return sorted(
            active, key=lambda video: (-video.wish.priority, -(video.wish.height or 0), video.wish.track)
        )

    def _allocate(self, now: float) -> None:
        ranked = self._ranked()
        self._next_tick = None
        if self._estimate is None:
            for video in ranked:
                video.step = len(video.ladder) - 1
                video.is_forced = False
            return
        plan = self._plan(ranked, self._estimate, may_climb=now - self._went_down_at >= CALM_S)
        if any(plan[video.wish.track] < video.step for video in ranked):
            self._went_down_at = now
        for video in ranked:
            if plan[video.wish.track] != video.step:
                video.is_forced = plan[video.wish.track] < video.step
            video.step = plan[video.wish.track]
        if any(video.step < len(video.ladder) - 1 for video in ranked):
            self._next_tick = now + TICK_S

    def _plan(self, ranked: Sequence[_Video], estimate: float, *, may_climb: bool) -> dict[TrackId, int]:
        """Steps for every video. What it has may fill the estimate, what is new only a share of it."""
        plan = {video.wish.track: -1 for video in ranked}
        used = self._sound_bps()

        def fits(video: _Video, step: int) -> bool:
            nonlocal used
            before = _cost(video.ladder[step - 1]) if step else 0.0
            is_new = step > video.step
            limit = estimate if _may_fill(video, step) else estimate * HEADROOM
            # The very first layer of a track that has none waits for no calm: a picture beats a sharper one.
            if used + _cost(video.ladder[step]) - before > limit or (is_new and step and not may_climb):
                return False
            used += _cost(video.ladder[step]) - before
            plan[video.wish.track] = step
            return True

        for video in ranked:
            fits(video, 0)
        for priority in dict.fromkeys(video.wish.priority for video in ranked):
            climbing = [
                video for video in ranked if video.wish.priority == priority and plan[video.wish.track] >= 0
            ]
            while climbing:
                climbing = [
                    video
                    for video in climbing
                    if plan[video.wish.track] + 1 < len(video.ladder)
                    and fits(video, plan[video.wish.track] + 1)
                ]
        return plan

    def _choices(self) -> Iterator[Choice]:
        yield from choose(sound.wish for sound in self._sounds.values())
        for video in sorted(self._videos.values(), key=lambda each: (-each.wish.priority, each.wish.track)):
            yield self._choice(video)

    def _choice(self, video: _Video) -> Choice:
        wish = video.wish
        if not video.ladder or wish.is_paused:
            # Nothing is known of its layers yet: the wish alone decides.
            return choose([wish])[0]
        if video.step < 0:
            return Choice(wish.track, is_paused=True, spatial=BEST, temporal=BEST, is_starved=True)
        layer = video.ladder[video.step]
        is_top = video.step == len(video.ladder) - 1
        # Among pictures that are equal the engine may take another one for the best.
        equals = (other for other in video.ladder if other.height == layer.height)
        is_last = all(layer.spatial >= other.spatial for other in equals)
        if is_top and is_last and wish.height is None and wish.spatial is None:
            return choose([wish])[0]
        return Choice(
            wish.track,
            is_paused=False,
            spatial=layer.spatial,
            temporal=layer.temporal,
            is_forced=video.is_forced,
        )


def _may_fill(video: _Video, step: int) -> bool:
    """Whether a step may fill the estimate: what a video has, or more frames of that, which end at once."""
    held = video.ladder[video.step] if 0 <= video.step < len(video.ladder) else None
    return held is not None and (step <= video.step or video.ladder[step].spatial == held.spatial)


def _cost(layer: Layer) -> float:
    return layer.bps * OVERHEAD
