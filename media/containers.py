"""Which container a codec goes into: H.264 and AV1 into MP4, VP8, VP9 and Opus into WebM. PURE."""

from typing import BinaryIO, Final

from media import matroska, mp4
from media.mux import FragmentMuxer, MuxError, TrackFormat

CONTENT_TYPES: Final = {
    ("webm", "audio"): "audio/webm",
    ("webm", "video"): "video/webm",
    ("mp4", "video"): "video/mp4",
}
"""MIME type by file extension and kind."""


def open_muxer(track: TrackFormat) -> FragmentMuxer:
    """The muxer for a track's codec. Raises: MuxError when the format lacks what the container needs."""
    return mp4.Mp4Muxer(track) if track.codec in {"h264", "av1"} else matroska.MatroskaMuxer(track)


def whole_end(file: BinaryIO, extension: str) -> int:
    """How far a file of one of these muxers is whole, in bytes; 0 when not even its header is.

    Raises: MuxError for another extension.
    """
    match extension:
        case "mp4":
            return mp4.whole_end(file)
        case "webm":
            return matroska.whole_end(file)
    raise MuxError(f"files .{extension}")
