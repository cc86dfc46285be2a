"""One rendition from beginning to end: sound, picture in pieces, then both in one file.

Each file is written under a temporary name and renamed when it is whole; what has its name is not made
again, so that the process may be killed at any point.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Final, cast

import av
import msgspec
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from media.parts import VideoSource
from media.sealed import SealedWriter
from recorder import names
from recorder.data_keys import DataKeys
from recorder.files import replace_file, sync_path
from recorder.journal import read_lines
from recorder.manifest import FileEntry, parse_signed
from recorder.parts import open_part
from recorder.people import names_of
from recorder.render.captions import captions
from recorder.render.messages import CAPTIONS, CHUNK_S, RenderConfig
from recorder.render.own import join_own, muxer_of
from recorder.render.packets import merged
from recorder.render.picture import Actor, Film, bounded_lines
from recorder.render.sound import SOUND_CONTAINERS, Voice, mix_down
from recorder.render.stills import Stills, take_all
from recorder.render.storage import open_rendition

Timed = tuple[Fraction, tuple["Packet[VideoStream] | Packet[AudioStream]", bool]]
"""Decoding time in seconds, a packet, whether it is of the picture."""
SOUND: Final = "sound"
LOUDEST: Final = "loudest.json"
_SOUND_SHARE: Final = 0.15
_FILM_SHARE: Final = 0.8


@dataclass(frozen=True, slots=True)
class Made:
    """A rendition that is whole."""

    path: Path
    beside: tuple[str, ...]
    """Names of the files that belong to it: chat, stills."""


def render(config: RenderConfig, progress: Callable[[float], None]) -> Made:
    """Makes the rendition.

    Raises:
        ManifestInvalid, SealError, OSError, av.FFmpegError, MuxError.
    """
    job = _Job(config, progress)
    if config.layout == "copy":
        return Made(job.copy(), ())
    loudest = job.sound()
    return job.join(job.film(loudest))


class _Job:
    def __init__(self, config: RenderConfig, progress: Callable[[float], None]) -> None:
        self._config = config
        self._progress = progress
        self._keys = DataKeys(config.keys) if config.keys is not None else None
        self._seal = None if self._keys is None else self._keys.make(config.id)
        self._source = Path(config.recording)
        self._folder = Path(config.folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.glob(f"*{names.TEMPORARY}"):
            path.unlink()
        self._manifest = parse_signed((self._source / names.MANIFEST).read_bytes())
        known = names_of(self._manifest, self._keys)
        self._names = {person: name for person, name in known.items() if person in config.people}
        self._lines = bounded_lines(
            list(read_lines(_bytes(self._open(names.CHAT)))) if (self._source / names.CHAT).is_file() else [],
            self._names,
        )

    def sound(self) -> list[str]:
        """Mixes the sound unless that is done; who was the loudest when."""
        done, noted = self._folder / SOUND, self._folder / LOUDEST
        loudest = _loudest(noted) if done.exists() else None
        if loudest is not None:
            return loudest
        voices = [
            Voice(person, files, self._open)
            for person in self._names
            for source in ("mic", "screen_audio")
            if (files := self._files(person, source))
        ]
        with ExitStack() as stack:
            for voice in voices:
                stack.callback(voice.close)
            target = stack.enter_context(self._written(done))
            loudest = mix_down(
                voices,
                target,
                self._config.format,
                self._manifest.duration_ms,
                lambda share: self._progress(_SOUND_SHARE * share),
            )
        replace_file(noted, msgspec.json.encode(loudest))
        return loudest

    def film(self, loudest: Sequence[str]) -> list[Path]:
        """Draws and encodes the pieces that are missing."""
        fps = self._config.fps
        total = max(self._manifest.duration_ms * fps // 1000, 1)
        starts = range(0, total, CHUNK_S * fps)
        pieces = [self._folder / f"picture-{number:05d}.mkv" for number in range(len(starts))]
        with closing(Film(self._config, self._actors(), self._lines, loudest)) as film:
            for number, (piece, first) in enumerate(zip(pieces, starts, strict=True)):
                if not piece.exists():
                    with self._written(piece) as sink:
                        film.write(sink, first, min(CHUNK_S * fps, total - first))
                self._progress(_SOUND_SHARE + _FILM_SHARE * (number + 1) / len(starts))
        return pieces

    def copy(self) -> Path:
        """Puts one person's own files together as they were published; nothing is encoded again."""
        sound = {"camera": "mic", "screen": "screen_audio"}[self._config.source]
        files = [*self._files(self._config.main, self._config.source), *self._files(self._config.main, sound)]
        container, extension = muxer_of(files)
        target = self._folder / f"rendition.{extension}"
        with self._written(target) as sink:
            join_own(files, self._open, sink, container, self._progress)
        return target

    def join(self, pieces: Sequence[Path]) -> Made:
        """Puts the pieces and the sound into one file, and the stills beside it; nothing is encoded again."""
        target = self._folder / f"rendition.{self._config.format}"
        with (
            self._read(self._folder / SOUND, SOUND_CONTAINERS[self._config.format]) as sound,
            self._read(pieces[0], "matroska") as first,
            self._written(target) as sink,
            av.open(sink, "w", format=self._config.format) as writer,
        ):
            video = writer.add_stream_from_template(first.streams.video[0])
            audio = writer.add_stream_from_template(sound.streams.audio[0])
            pictures = self._pictures(pieces)
            heard = _packets(sound)
            for _, (packet, is_video) in merged(pictures, heard):
                packet.stream = video if is_video else audio
                writer.mux(packet)
        beside = self._beside(pieces)
        for path in (*pieces, self._folder / SOUND, self._folder / LOUDEST):
            path.unlink(missing_ok=True)
        self._progress(1.0)
        return Made(target, beside)

    def _beside(self, pieces: Sequence[Path]) -> tuple[str, ...]:
        names_: list[str] = []
        if self._config.chat == "webvtt":
            with self._written(self._folder / CAPTIONS) as file:
                file.write(captions(self._lines).encode())
            names_.append(CAPTIONS)
        size = self._config.width, self._config.height
        stills = Stills(size, self._manifest.duration_ms, lambda name: self._written(self._folder / name))
        return (*names_, *take_all(self._keyframes(pieces, stills.wants), stills))

    def _actors(self) -> list[Actor]:
        return [
            Actor(
                person=entry.person,
                name=self._names.get(entry.person),
                spans_ms=[(join.from_ms, join.to_ms) for join in entry.grants],
                camera=self._video(entry.person, "camera"),
                screen=self._video(entry.person, "screen"),
            )
            for entry in self._manifest.people
            if self._config.layout != "single" or entry.person == self._config.main or not self._config.main
        ]

    def _video(self, person: str, source: str) -> VideoSource | None:
        if person not in self._names or not (files := self._files(person, source)):
            return None
        tracks = {file.track for file in files}
        mutes = [mute for track in self._manifest.tracks if track.track in tracks for mute in track.mutes]
        return VideoSource(files, mutes, self._open)

    def _files(self, person: str, source: str) -> list[FileEntry]:
        return [file for file in self._manifest.files if file.person == person and file.source == source]

    def _open(self, name: str) -> BinaryIO:
        return open_part(self._source / name, self._keys)

    @contextmanager
    def _written(self, path: Path) -> Iterator[BinaryIO]:
        """A file that has its name once it is whole and synced, and is sealed if the recording is."""
        temporary = path.with_name(path.name + names.TEMPORARY)
        with temporary.open("wb+") as file:
            if self._seal is None:
                yield file
            else:
                with SealedWriter(file, self._seal) as sealed:
                    yield cast("BinaryIO", sealed)
        sync_path(temporary)
        temporary.replace(path)
        sync_path(path.parent)

    @contextmanager
    def _read(self, path: Path, container_format: str) -> Iterator[InputContainer]:
        with (
            open_rendition(path, self._seal) as file,
            av.open(file, "r", format=container_format) as container,
        ):
            yield container

    def _pictures(self, pieces: Sequence[Path]) -> Iterator[Timed]:
        for number, piece in enumerate(pieces):
            with self._read(piece, "matroska") as container:
                for packet in container.demux(container.streams.video[0]):
                    if packet.dts is None or packet.pts is None:
                        continue
                    shift = round(number * CHUNK_S / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    yield packet.dts * packet.time_base, (packet, True)

    def _keyframes(
        self, pieces: Sequence[Path], wants: Callable[[int], bool]
    ) -> Iterator[tuple[int, av.VideoFrame]]:
        """The pictures that stand alone, of times (in milliseconds) that are wanted."""
        for number, piece in enumerate(pieces):
            with self._read(piece, "matroska") as container:
                stream = container.streams.video[0]
                stream.thread_count = 1  # each is decoded as it comes
                for packet in container.demux(stream):
                    if packet.pts is None or not packet.is_keyframe:
                        continue
                    at_ms = round((number * CHUNK_S + packet.pts * packet.time_base) * 1000)
                    for frame in packet.decode() if wants(at_ms) else ():
                        yield at_ms, frame


def _loudest(path: Path) -> list[str] | None:
    """Who was the loudest when; None when that is not noted, or the note is damaged. Raises: OSError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[str])
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _bytes(file: BinaryIO) -> bytes:
    with file:
        return file.read()


def _packets(container: InputContainer) -> Iterator[Timed]:
    for packet in container.demux(container.streams.audio[0]):
        if packet.dts is not None:
            yield packet.dts * packet.time_base, (packet, False)
