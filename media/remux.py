"""Fragmented files to plain ones: with duration and index, so that every player seeks. Loads PyAV.

Runs in worker processes only: a damaged file may end the process, never the server.
"""

import errno
from pathlib import Path
from typing import Final

import av
import av.container
import av.error

from media.mux import MuxError

_DISK_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EROFS})


def remux(source: Path, target: Path) -> None:
    """Copy every frame of `source` into a plain file of the same container; times stay as they are.

    `target` is overwritten. Blocks for as long as the disk takes.
    Raises: MuxError when the file cannot be read or the copy not be written; OSError when the disk says so.
    """
    kind = target.suffix.removeprefix(".")
    options = {"movflags": "+faststart"} if kind == "mp4" else {}
    try:
        with (
            av.open(str(source)) as reader,
            av.open(str(target), "w", format=kind, options=options) as writer,
        ):
            _copy(reader, writer)
    except av.error.FFmpegError as error:
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            raise OSError(error.errno, error.strerror) from error
        raise MuxError(f"{source.name}: {error}") from error


def _copy(reader: "av.container.InputContainer", writer: "av.container.OutputContainer") -> None:
    if len(reader.streams) != 1:
        raise MuxError(f"{len(reader.streams)} streams in a file of one")
    source = reader.streams[0]
    target = writer.add_stream_from_template(source, opaque=True)
    frames = 0
    for packet in reader.demux(source):
        if packet.dts is None:
            continue
        packet.stream = target
        writer.mux_one(packet)
        frames += 1
    if not frames:
        raise MuxError("a file without frames")
