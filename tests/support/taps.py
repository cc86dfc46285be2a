"""Real encoded media as the core would put it on a sink: a coloured picture in VP8 and a tone in Opus."""

import asyncio
import socket
import time

from bench.studio.encoded import encode_colour, encode_tone
from media.clock_map import ns_to_ntp
from media.tap_record import FLAG_KEYFRAME_START, RtpRecord, SrRecord, TapHeader, encode_record

SECOND_NS = 1_000_000_000
PACKET_BYTES = 1100
NTP_OFFSET_NS = 3_900_000_000 * SECOND_NS
"""The publisher's wall clock against CLOCK_MONOTONIC: some instant of this century."""


class Feeder:
    """Writes one person's camera and microphone to a sink in real time, from the given instant on."""

    def __init__(
        self,
        sink: socket.socket,
        *,
        rgb,
        hz,
        video_tap,
        audio_tap,
        gate_slot,
        gate_version,
        fps=15,
        canary=b"",
    ):
        self._sink = sink
        self._video = encode_colour(rgb, fps=fps)
        self._audio = encode_tone(hz)
        self._taps = (video_tap, audio_tap)
        self._gate = (gate_slot, gate_version)
        self._fps = fps
        self._canary = canary
        self._seq = [1000, 5000]
        self.dropped = 0

    async def run(self):
        start_ns = time.monotonic_ns()
        video = audio = 0
        next_sr_ns = start_ns
        while True:
            now_ns = time.monotonic_ns()
            if now_ns >= next_sr_ns:
                self._report(now_ns, start_ns)
                next_sr_ns += SECOND_NS
            while start_ns + video * SECOND_NS // self._fps <= now_ns:
                self._send_video(video)
                video += 1
            while start_ns + audio * SECOND_NS // 50 <= now_ns:
                self._send_audio(audio)
                audio += 1
            await asyncio.sleep(0.005)

    def _header(self, kind, flags=0, codec=0):
        slot, version = self._gate
        return TapHeader(
            self._taps[kind], 0, slot, version, time.monotonic_ns(), 100 + self._taps[kind], flags, codec
        )

    def _report(self, now_ns, start_ns):
        for kind, rate in ((0, 90_000), (1, 48_000)):
            rtp_ts = ((now_ns - start_ns) * rate // SECOND_NS + kind * 777_777) & 0xFFFFFFFF
            self._write(SrRecord(self._header(kind), ns_to_ntp(now_ns + NTP_OFFSET_NS), rtp_ts, 0))

    def _send_video(self, index):
        data, is_keyframe = self._video[index % len(self._video)]
        pieces = [data[i : i + PACKET_BYTES] for i in range(0, len(data), PACKET_BYTES)]
        for number, piece in enumerate(pieces):
            flags = FLAG_KEYFRAME_START if is_keyframe and number == 0 else 0
            descriptor = b"\x10" if number == 0 else b"\x00"
            is_last = number == len(pieces) - 1
            self._packet(
                0, index * 90_000 // self._fps, 96, descriptor + piece, marker=is_last, flags=flags, codec=3
            )

    def _send_audio(self, index):
        payload = self._audio[index % len(self._audio)]
        self._packet(1, index * 960 + 777_777, 111, payload, marker=False, codec=1)

    def _packet(self, kind, rtp_ts, pt, payload, *, marker, codec, flags=0):
        seq = self._seq[kind] & 0xFFFF
        self._seq[kind] += 1
        rtp = bytes([0x80, (0x80 if marker else 0) | pt]) + seq.to_bytes(2, "big")
        rtp += (rtp_ts & 0xFFFFFFFF).to_bytes(4, "big") + (100 + self._taps[kind]).to_bytes(4, "big")
        self._write(RtpRecord(self._header(kind, flags, codec), rtp + payload))

    def _write(self, record):
        try:
            self._sink.send(encode_record(record), socket.MSG_DONTWAIT)
        except BlockingIOError:
            self.dropped += 1
