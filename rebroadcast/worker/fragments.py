"""Fragmented MP4 of one picture and one sound track: the initialisation segment, and parts of any length.

A part is one `moof` with its `mdat`; it holds whole frames and says their times itself, so that parts can end
wherever a playlist wants them to.

Source: ISO/IEC 14496-12 sections 8.8.4 to 8.8.12; 14496-15 section 5.3 (length-prefixed samples).
"""

import struct
from collections.abc import Sequence
from typing import Final

import av
from av.container import OutputContainer

from rebroadcast.worker.encode import (
    AAC_FRAME_SAMPLES,
    VIDEO_CLOCK,
    AudioEncoder,
    EncodedAudio,
    EncodedVideo,
    VideoFormat,
)
from rebroadcast.worker.flv import length_prefixed, split_annex_b

VIDEO_TRACK: Final = 1
AUDIO_TRACK: Final = 2
_OUT_OF_BAND: Final = frozenset({7, 8, 9})
"""NAL unit types that the initialisation segment carries, or nobody needs: SPS, PPS, delimiter."""
_SYNC: Final = 0x02000000
_NOT_SYNC: Final = 0x01010000
_BASE_IS_MOOF: Final = 0x020000
_DEFAULT_DURATION: Final = 0x000008
_DEFAULT_FLAGS: Final = 0x000020
_OFFSET: Final = 0x000001
_DURATIONS: Final = 0x000100
_SIZES: Final = 0x000200
_FLAGS: Final = 0x000400


def init_segment(video: VideoFormat, audio: AudioEncoder) -> bytes:
    """`ftyp` and `moov` of parts in this format."""
    sink = bytearray()
    container: OutputContainer = av.open(
        _Writer(sink),
        "w",
        format="mp4",
        options={
            "movflags": "empty_moov+default_base_moof+skip_trailer+frag_custom",
            "use_editlist": "0",
            "video_track_timescale": str(VIDEO_CLOCK),
        },
    )
    container.add_stream_from_template(video.stream)
    container.add_stream_from_template(audio.stream, opaque=True)
    container.start_encoding()
    made = bytes(sink)
    container.close()
    return made


def part(
    number: int,
    pictures: Sequence[tuple[EncodedVideo, int]],
    sound: Sequence[EncodedAudio],
) -> bytes:
    """One part; `number` grows by one, pictures come with their durations in 1/VIDEO_CLOCK s."""
    samples = [_sample(frame.data) for frame, _ in pictures]
    video = b"".join(samples)
    entries = b"".join(
        struct.pack(">3I", duration, len(data), _SYNC if frame.is_keyframe else _NOT_SYNC)
        for (frame, duration), data in zip(pictures, samples, strict=True)
    )
    sizes = b"".join(struct.pack(">I", len(frame.data)) for frame in sound)

    def moof(data_at: int) -> bytes:
        tracks = []
        if pictures:
            tracks.append(_video_track(pictures[0][0].pts, len(pictures), data_at, entries))
        if sound:
            tracks.append(_audio_track(sound[0].pts, len(sound), data_at + len(video), sizes))
        return _box(b"moof", _full(b"mfhd", 0, 0, struct.pack(">I", number)), *tracks)

    return moof(len(moof(0)) + 8) + _box(b"mdat", video, *(frame.data for frame in sound))


def codecs(video: VideoFormat) -> str:
    """The formats as playlists name them (RFC 6381)."""
    sps = next((unit for unit in split_annex_b(video.parameters) if unit[0] & 0x1F == 7), b"")
    return f"avc1.{sps[1:4].hex()},mp4a.40.2"


def _video_track(time: int, count: int, data_at: int, entries: bytes) -> bytes:
    head = _full(b"tfhd", 0, _BASE_IS_MOOF, struct.pack(">I", VIDEO_TRACK))
    return _track(head, time, _OFFSET | _DURATIONS | _SIZES | _FLAGS, count, data_at, entries)


def _audio_track(time: int, count: int, data_at: int, entries: bytes) -> bytes:
    flags = _BASE_IS_MOOF | _DEFAULT_DURATION | _DEFAULT_FLAGS
    head = _full(b"tfhd", 0, flags, struct.pack(">3I", AUDIO_TRACK, AAC_FRAME_SAMPLES, _SYNC))
    return _track(head, time, _OFFSET | _SIZES, count, data_at, entries)


def _track(head: bytes, time: int, flags: int, count: int, data_at: int, entries: bytes) -> bytes:
    times = _full(b"tfdt", 1, 0, struct.pack(">Q", time))
    run = _full(b"trun", 0, flags, struct.pack(">II", count, data_at), entries)
    return _box(b"traf", head, times, run)


def _sample(annex_b: bytes) -> bytes:
    return length_prefixed(unit for unit in split_annex_b(annex_b) if unit[0] & 0x1F not in _OUT_OF_BAND)


def _box(kind: bytes, *content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + sum(map(len, content)), kind) + b"".join(content)


def _full(kind: bytes, version: int, flags: int, *content: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *content)


class _Writer:
    """A file over a bytearray."""

    def __init__(self, data: bytearray) -> None:
        self._data = data

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)
