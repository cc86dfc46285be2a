"""MPEG transport stream from encoded frames of one format."""

from fractions import Fraction
from typing import Final

import av
from av.container import OutputContainer
from av.packet import Packet

from media.mixer import SAMPLE_RATE
from rebroadcast.worker.encode import (
    AAC_FRAME_SAMPLES,
    VIDEO_CLOCK,
    AudioEncoder,
    EncodedAudio,
    EncodedVideo,
    VideoFormat,
)

PACKET_BYTES: Final = 188


class TsPart:
    """One run of a transport stream; tables are sent again with every keyframe, and nothing is held back."""

    def __init__(self, video: VideoFormat, audio: AudioEncoder) -> None:
        self.format = video
        self._sink = _Sink()
        self._container: OutputContainer = av.open(
            self._sink,
            "w",
            format="mpegts",
            options={
                "mpegts_flags": "pat_pmt_at_frames",
                "pes_payload_size": "0",
                # Players need not wait for the next picture to know where this one ends.
                "omit_video_pes_length": "0",
                "flush_packets": "1",
            },
        )
        self._video = self._container.add_stream_from_template(video.stream)
        self._audio = self._container.add_stream_from_template(audio.stream, opaque=True)
        self._container.start_encoding()

    def add(self, frame: EncodedVideo | EncodedAudio) -> bytes:
        """Takes a frame; returns the packets that it makes."""
        is_video = isinstance(frame, EncodedVideo)
        # Annex B streams carry their parameters with every keyframe.
        parameters = self.format.parameters if isinstance(frame, EncodedVideo) and frame.is_keyframe else b""
        packet = Packet(parameters + frame.data)
        packet.pts = packet.dts = frame.pts
        packet.duration = frame.duration if isinstance(frame, EncodedVideo) else AAC_FRAME_SAMPLES
        packet.time_base = Fraction(1, VIDEO_CLOCK if is_video else SAMPLE_RATE)
        packet.is_keyframe = not isinstance(frame, EncodedVideo) or frame.is_keyframe
        packet.stream = self._video if is_video else self._audio
        self._container.mux(packet)
        return self._sink.take()


class _Sink:
    """A file that gathers what the muxer writes until it is taken."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._data)
        self._data.clear()
        return taken
