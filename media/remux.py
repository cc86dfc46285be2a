"""Fragmented files to plain ones: with duration and index, so that every player seeks. Loads PyAV.

Runs in worker processes only: a damaged file may end the process, never the server.
"""

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import av.container
import av.error

from media.mux import MuxError

_DISK_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EROFS})


@dataclass(frozen=True, slots=True)
class Remuxed:
    """What a file holds."""

    frames: int
    start_ms: int
    """Time of the first frame."""
    end_ms: int
    """Time of the last frame."""


def remux(source: Path, target: Path, container: str) -> Remuxed:
    """Copy every frame of `source` into a plain `mp4` or `webm` file; times stay as they are.

    `target` is overwritten. Blocks for as long as the disk takes.
    Raises: MuxError when the file cannot be read or the copy not be written; OSError when the disk says so.
    """
    options = {"movflags": "+faststart"} if container == "mp4" else {}
    try:
        with (
            av.open(str(source), format=container) as reader,
            av.open(str(target), "w", format=container, options=options) as writer,
        ):
            return _copy(reader, writer)
    except av.error.FFmpegError as error:
        raise _translate(source, error) from error


def probe(source: Path, container: str) -> Remuxed:
    """Look through a file without copying it. Raises: MuxError; OSError."""
    try:
        with av.open(str(source), format=container) as reader:
            return _copy(reader, None)
    except av.error.FFmpegError as error:
        raise _translate(source, error) from error


def _translate(source: Path, error: av.error.FFmpegError) -> OSError | MuxError:
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return OSError(error.errno, error.strerror)
    return MuxError(f"{source.name}: {error}")


def _copy(reader: "av.container.InputContainer", writer: "av.container.OutputContainer | None") -> Remuxed:
    if len(reader.streams) != 1:
        raise MuxError(f"{len(reader.streams)} streams in a file of one")
    source = reader.streams[0]
    target = writer.add_stream_from_template(source, opaque=True) if writer is not None else source
    frames = 0
    start_s = end_s = 0.0
    for packet in reader.demux(source):
        if packet.dts is None or packet.pts is None or not packet.size:
            continue
        end_s = float(packet.pts * packet.time_base)
        if not frames:
            start_s = end_s
        frames += 1
        if writer is not None:
            packet.stream = target
            writer.mux_one(packet)
    if not frames:
        raise MuxError("a file without frames")
    return Remuxed(frames, round(start_s * 1000), round(end_s * 1000))
