"""One person's own parts put together in one file, as they were published: nothing is decoded or encoded.

The file begins where the person does and keeps the time line of the recording from there on: pauses and
absences stay as long as they were. Each source and codec is a track of its own.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from fractions import Fraction
from typing import BinaryIO, Final, TypeAlias

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from media.mux import MuxError
from media.parts import Opener, container_of
from recorder.manifest import FileEntry
from recorder.render.packets import merged

_FITTING: Final = (
    ("webm", "webm", frozenset({"vp8", "vp9", "av1", "opus"})),
    ("mp4", "mp4", frozenset({"h264", "vp9", "av1", "opus"})),
)
_ANYTHING: Final = ("matroska", "mkv")
TICKS: Final = 90_000
"""Of a second, in which times are handed to the muxer."""
_REPORT_EVERY: Final = 500
_AVCC_VERSION: Final = 1
_AVCC_BYTES: Final = 7
_Packet: TypeAlias = "Packet[Stream]"
_Numbered = tuple[int, _Packet]
"""A track's number and a packet of it."""


def muxer_of(files: Sequence[FileEntry]) -> tuple[str, str]:
    """The muxer and the extension of what holds these files: WebM, MP4, or Matroska when neither does.

    Raises: MuxError without files.
    """
    if not files:
        raise MuxError("nothing was recorded of that source")
    codecs = {file.codec for file in files}
    return next(
        ((muxer, extension) for muxer, extension, fitting in _FITTING if codecs <= fitting), _ANYTHING
    )


def join_own(
    files: Sequence[FileEntry],
    opened: Opener,
    target: BinaryIO,
    container: str,
    progress: Callable[[float], None],
) -> None:
    """Write all packets of the files into one. Raises: OSError, MuxError, av.FFmpegError."""
    origin = Fraction(min(file.start_ms for file in files), 1000)
    total = sum(file.frames for file in files)
    tracks = [_Track(parts, opened) for parts in _by_track(files)]
    with ExitStack() as stack:
        writer = stack.enter_context(av.open(target, "w", format=container))
        streams = [track.declare(writer) for track in tracks]
        feeds = [stack.enter_context(closing(track.packets(n, origin))) for n, track in enumerate(tracks)]
        for count, (_, (number, packet)) in enumerate(merged(*feeds)):
            packet.stream = streams[number]
            writer.mux_one(packet)
            if count % _REPORT_EVERY == 0:
                progress(min(count / max(total, 1), 1.0))
    progress(1.0)


class _Track:
    """The parts of one source in one codec."""

    def __init__(self, files: Sequence[FileEntry], opened: Opener) -> None:
        self._files = files
        self._open = opened
        self._repeats_parameters = files[0].codec == "h264" and len(files) > 1

    def declare(self, writer: OutputContainer) -> Stream:
        """Add the track to a file."""
        name = self._files[0].name
        with self._open(name) as file, av.open(file, "r", format=container_of(name)) as container:
            return writer.add_stream_from_template(container.streams[0], opaque=True)

    def packets(self, number: int, origin: Fraction) -> Generator[tuple[Fraction, _Numbered], None, None]:
        """Packets with the track's number, their times counted from `origin`, in rising order."""
        last = -1
        for file in self._files:
            for packet in self._read(file.name):
                ticks = max(round((_seconds(packet.dts, packet) - origin) * TICKS), 0)
                if ticks <= last:
                    continue  # a part may begin within the last frame of the one before
                _retime(packet, ticks)
                last = ticks
                yield Fraction(ticks, TICKS), (number, packet)

    def _read(self, name: str) -> Iterator[_Packet]:
        with self._open(name) as file, av.open(file, "r", format=container_of(name)) as container:
            stream = container.streams[0]
            parameters = parameter_sets(bytes(stream.codec_context.extradata or b""))
            for packet in container.demux(stream):
                if packet.dts is None or not packet.size:
                    continue
                if self._repeats_parameters and packet.is_keyframe:
                    yield _with_data(packet, parameters + bytes(packet))
                else:
                    yield packet


def parameter_sets(avcc: bytes) -> bytes:
    """The parameter sets of an AVC configuration record, each behind its length, as samples have them.

    Source: ISO/IEC 14496-15 section 5.3.3.1. Empty for anything else, or when it is torn.
    """
    if len(avcc) < _AVCC_BYTES or avcc[0] != _AVCC_VERSION:
        return b""
    found, at = b"", 5
    for mask in (0x1F, 0xFF):
        count = avcc[at] & mask if at < len(avcc) else 0
        at += 1
        for _ in range(count):
            length = int.from_bytes(avcc[at : at + 2], "big")
            unit = avcc[at + 2 : at + 2 + length]
            if len(unit) != length:
                return b""
            found += length.to_bytes(4, "big") + unit
            at += 2 + length
    return found


def _by_track(files: Sequence[FileEntry]) -> list[list[FileEntry]]:
    tracks: dict[tuple[str, str], list[FileEntry]] = {}
    for file in sorted(files, key=lambda file: file.start_ms):
        tracks.setdefault((file.source, file.codec), []).append(file)
    # Players show the first picture and play the first sound.
    return sorted(tracks.values(), key=lambda parts: parts[0].kind == "audio")


def _seconds(ticks: int | None, packet: _Packet) -> Fraction:
    return Fraction(ticks or 0) * packet.time_base


def _retime(packet: _Packet, ticks: int) -> None:
    """Give a packet its time in `TICKS`; there are no pictures out of order in what was published live."""
    duration = round(_seconds(packet.duration, packet) * TICKS)
    packet.time_base = Fraction(1, TICKS)
    packet.pts = packet.dts = ticks
    packet.duration = duration


def _with_data(packet: _Packet, data: bytes) -> _Packet:
    made = Packet(data)
    made.time_base, made.pts, made.dts = packet.time_base, packet.pts, packet.dts
    made.duration, made.is_keyframe = packet.duration, packet.is_keyframe
    return made
