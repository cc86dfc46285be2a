"""Fragmented files to plain ones: with duration and index, so that every player seeks. Loads PyAV.

Works on open files, so that it reads and writes sealed ones too. Runs in worker processes only: a damaged
file may end the process, never the server.
"""

import errno
import os
from dataclasses import dataclass
from typing import BinaryIO, Final

import av
import av.container
import av.error

from media.mux import MuxError

_INDEX_BYTES: Final = 16_384
_INDEX_FRAME_BYTES: Final = 64
"""The index of an MP4 takes no more than `_INDEX_BYTES` and this for each frame (its seven tables)."""
_DISK_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EROFS})


@dataclass(frozen=True, slots=True)
class Remuxed:
    """What a file holds."""

    frames: int
    start_ms: int
    """Time of the first frame."""
    end_ms: int
    """Time of the last frame."""


def remux(source: BinaryIO, target: BinaryIO, container: str) -> Remuxed:
    """Copy every frame of `source` into a plain `mp4` or `webm` file; times stay as they are.

    `target` is empty, writable and seekable. The index of an MP4 is in front. Blocks for as long as the disk
    takes.
    Raises: MuxError when the file cannot be read or the copy not be written; OSError when the disk says so.
    """
    options = {}
    if container == "mp4":
        frames = probe(source, container).frames
        options = {"moov_size": str(_INDEX_BYTES + _INDEX_FRAME_BYTES * frames)}
    source.seek(0, os.SEEK_SET)
    try:
        with (
            _reader(source, container) as reader,
            av.open(target, "w", format=container, options=options) as writer,
        ):
            return _copy(reader, writer)
    except av.error.FFmpegError as error:
        raise _translate(error) from error


def probe(source: BinaryIO, container: str) -> Remuxed:
    """Look through a file without copying it. Raises: MuxError; OSError."""
    source.seek(0, os.SEEK_SET)
    try:
        with _reader(source, container) as reader:
            return _copy(reader, None)
    except av.error.FFmpegError as error:
        raise _translate(error) from error


def _reader(source: BinaryIO, container: str) -> "av.container.InputContainer":
    return av.open(source, "r", format=container)


def _translate(error: av.error.FFmpegError) -> OSError | MuxError:
    """What went wrong first: on a full disk, closing the file fails once more, with an error of its own."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _DISK_ERRORS:
            return OSError(cause.errno, cause.strerror)
        cause = cause.__context__
    return MuxError(str(error))


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
