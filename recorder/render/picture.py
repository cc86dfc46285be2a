"""The picture of a rendition, in pieces that each begin with a keyframe: what is done stays done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO, Final, cast

import av
from av.video.frame import PictureType
from av.video.stream import VideoStream

from media.canvas import Canvas
from media.clock_map import SECOND_NS
from media.painter import Look, Painter, Seat
from media.parts import VideoSource
from media.spotlight import Spotlight
from recorder.render.messages import RenderConfig

CHAT_SHOWN_MS: Final = 15_000
TICK_MS: Final = 100
_CODECS: Final = {
    "mp4": ("libx264", {"preset": "veryfast", "crf": "23", "bf": "0", "forced-idr": "1"}),
    "webm": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "7", "crf": "33", "b": "0", "row-mt": "1"}),
}


@dataclass(frozen=True, slots=True)
class ChatLine:
    """What somebody wrote."""

    at_ms: int
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody in the recording; without a name they are a placeholder, with nothing to show."""

    person: str
    name: str | None
    spans_ms: Sequence[tuple[int, int]]
    """When they were there."""
    camera: VideoSource | None = None
    screen: VideoSource | None = None

    def is_there(self, at_ms: float) -> bool:
        """Whether they were recorded at that time."""
        return any(start <= at_ms < end for start, end in self.spans_ms)


class Film:
    """Draws and encodes pieces in rising order."""

    def __init__(
        self, config: RenderConfig, actors: Sequence[Actor], lines: Sequence[ChatLine], loudest: Sequence[str]
    ) -> None:
        """`loudest`: person by tenth of a second."""
        self._config = config
        self._actors = actors
        self._lines = lines
        self._loudest = loudest
        self._spotlight = Spotlight()
        self._heard_ms = 0
        self._painter = Painter(Canvas(config.width, config.height))
        self._look = Look(layout=config.layout, has_names=config.has_names, has_chat=config.chat == "burned")

    def write(self, target: BinaryIO, first: int, count: int) -> None:
        """Writes pictures `first` and after as a file of their own. Raises: OSError."""
        codec, options = _CODECS[self._config.format]
        with av.open(target, "w", format="matroska") as container:
            stream = cast(
                "VideoStream", container.add_stream(codec, rate=self._config.fps, options=dict(options))
            )
            stream.width, stream.height, stream.pix_fmt = self._config.width, self._config.height, "yuv420p"
            stream.codec_context.time_base = Fraction(1, self._config.fps)
            stream.codec_context.gop_size = self._config.fps * 4
            for number in range(first, first + count):
                # As it is in the middle of its time: nothing is off by more than half a period.
                frame = self._draw((number + 0.5) * 1000 / self._config.fps)
                frame.pts, frame.time_base = number - first, Fraction(1, self._config.fps)
                frame.pict_type = PictureType.I if number == first else PictureType.NONE
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))

    def close(self) -> None:
        """Closes the files that are open."""
        for actor in self._actors:
            for source in (actor.camera, actor.screen):
                if source is not None:
                    source.close()

    def _draw(self, at_ms: float) -> av.VideoFrame:
        seats = self._seats(at_ms)
        lines = [
            f"{line.name}: {line.text}" for line in self._lines if 0 <= at_ms - line.at_ms < CHAT_SHOWN_MS
        ]
        self._painter.paint(seats, lines, self._look)
        return self._painter.canvas.to_frame()

    def _seats(self, at_ms: float) -> list[Seat]:
        here = [actor for actor in self._actors if actor.is_there(at_ms)]
        main = self._main([actor.person for actor in here if actor.name is not None], at_ms)
        people = [
            Seat(actor.person, actor.camera.picture(at_ms) if actor.camera is not None else None, actor.name)
            for actor in here
        ]
        screens = [
            Seat(("screen", actor.person), picture, actor.name, is_screen=True)
            for actor in here
            if actor.screen is not None and (picture := actor.screen.picture(at_ms)) is not None
        ]
        first = [seat for seat in people if seat.key == main]
        if self._config.layout == "single":
            return first or ([Seat(None)] if here else [])
        if self._config.layout in {"speaker", "screen"} or len(people) > 1:
            people = _with_first(people, first, self._config)
        return screens[-1:] + people

    def _main(self, present: Sequence[str], at_ms: float) -> str | None:
        if self._config.main:
            return self._config.main
        while self._heard_ms <= at_ms:
            tick = self._heard_ms // TICK_MS
            who = self._loudest[tick] if tick < len(self._loudest) else ""
            self._spotlight.hear([who] if who else [], self._heard_ms * SECOND_NS // 1000)
            self._heard_ms += TICK_MS
        return self._spotlight.main(present, int(at_ms * SECOND_NS / 1000))


def _with_first(people: list[Seat], first: list[Seat], config: RenderConfig) -> list[Seat]:
    """The large place in front; in a grid everyone keeps theirs."""
    if config.layout == "grid":
        return people
    if not first:
        return [Seat(None), *people] if config.main else people
    return [*first, *(seat for seat in people if seat is not first[0])]


def bounded_lines(lines: Sequence[Mapping[str, object]], people: Mapping[str, str]) -> list[ChatLine]:
    """The chat of people who may be quoted, by time."""
    found = []
    for line in lines:
        at_ms, person = line.get("at_ms"), str(line.get("person", ""))
        if isinstance(at_ms, int) and person in people:
            found.append(ChatLine(at_ms, people[person], str(line.get("text", ""))))
    return sorted(found, key=lambda line: line.at_ms)
