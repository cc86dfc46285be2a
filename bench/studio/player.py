"""Plays pre-encoded media on a peer in real time, with exact RTP times and sender reports."""

import asyncio
import secrets
import time
from collections.abc import Sequence
from typing import Final

from bench.studio.peer import AUDIO_SSRC, NTP_OFFSET_NS, VIDEO_SSRC, RtpPeer
from media.clock_map import SECOND_NS

_TURN_S: Final = 0.004
_AUDIO_PER_S: Final = 50


class RtpPlayer:
    """Plays pre-encoded VP8 and Opus over and over; both start at the same instant.

    Args:
        video: (frame, is_keyframe) of whole seconds.
        audio: 20 ms packets of as many seconds.
        fps: pictures a second.
        drift_ppm: by so much the clock of the sound device is fast, as sender reports tell truly.
    """

    def __init__(
        self,
        peer: RtpPeer,
        video: Sequence[tuple[bytes, bool]],
        audio: Sequence[bytes],
        *,
        fps: int = 15,
        drift_ppm: float = 0.0,
    ) -> None:
        self._peer = peer
        self._next: tuple[Sequence[tuple[bytes, bool]], Sequence[bytes]] = (video, audio)
        self._fps = fps
        self._drift = 1 + drift_ppm / 1_000_000
        self.start_ns: int | None = None
        """When it began to play (monotonic); None before."""
        self._offsets = (secrets.randbits(32), secrets.randbits(32))

    def play(self, video: Sequence[tuple[bytes, bool]], audio: Sequence[bytes]) -> None:
        """Play these from now on, from their beginning: nothing of the ones before is sent after this."""
        self._next = (video, audio)

    async def run(self) -> None:
        """Play until cancelled."""
        start_ns = self.start_ns = time.monotonic_ns()
        video = audio = reports = 0
        playing, since = self._next, (0, 0)
        while True:
            elapsed_ns = time.monotonic_ns() - start_ns
            if elapsed_ns >= reports * SECOND_NS:
                self._report(start_ns, reports * SECOND_NS)
                reports += 1
            if playing is not self._next:
                playing, since = self._next, (video, audio)
            while video * SECOND_NS // self._fps <= elapsed_ns:
                frame, _ = playing[0][(video - since[0]) % len(playing[0])]
                self._peer.send_video(frame, self._offsets[0] + video * 90_000 // self._fps)
                video += 1
            while audio * SECOND_NS // _AUDIO_PER_S <= elapsed_ns:
                rtp_ts = self._offsets[1] + self._sound_clock(audio * SECOND_NS // _AUDIO_PER_S)
                self._peer.send_audio(playing[1][(audio - since[1]) % len(playing[1])], rtp_ts)
                audio += 1
            await asyncio.sleep(_TURN_S)

    def _sound_clock(self, at_ns: int) -> int:
        """What the sound device's clock shows so long after the start, in units of 1/48 000 s."""
        return round(at_ns * 48_000 * self._drift / SECOND_NS)

    def _report(self, start_ns: int, at_ns: int) -> None:
        ntp_ns = NTP_OFFSET_NS + start_ns + at_ns
        self._peer.send_report(VIDEO_SSRC, ntp_ns, self._offsets[0] + at_ns * 90_000 // SECOND_NS)
        self._peer.send_report(AUDIO_SSRC, ntp_ns, self._offsets[1] + self._sound_clock(at_ns))


def with_canary_video(frames: Sequence[tuple[bytes, bool]], canary: bytes) -> list[tuple[bytes, bool]]:
    """VP8 frames with bytes behind their last partition: decoders pass over them, files keep them."""
    return [(data + canary, is_keyframe) for data, is_keyframe in frames]


def with_canary_audio(packets: Sequence[bytes], canary: bytes) -> list[bytes]:
    """Opus packets (one frame each) repacked with `canary` as their padding (RFC 6716 section 3.2.5)."""
    return [bytes([p[0] | 3, 0x41, len(canary)]) + p[1:] + canary for p in packets]
