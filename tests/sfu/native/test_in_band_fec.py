"""Opus' in-band FEC through the native engine: what a viewer lost is in the packet that follows.

Source: RFC 6716 section 2.1.7, RFC 7587 section 3.3.
"""

import ctypes
import math
from fractions import Fraction

import av
import numpy as np

from sfu.engine.fake.rtp import FakeRtp
from tests.sfu.native.peers import House, hear

HZ, SAMPLES, SSRC = 48_000, 960, 0x11
LOST = (12, 22, 32, 42)
_opus = ctypes.CDLL("libopus.so.0")
_opus.opus_decoder_create.restype = ctypes.c_void_p


class Ear:
    """libopus's own decoder: FFmpeg's never asks for what a packet holds of the one before."""

    def __init__(self) -> None:
        fault = ctypes.c_int()
        self._decoder = ctypes.c_void_p(_opus.opus_decoder_create(HZ, 1, ctypes.byref(fault)))
        assert fault.value == 0

    def hear(self, packet: bytes | None, *, of_the_one_before: bool = False) -> np.ndarray:
        """20 ms of sound; without a packet what the decoder makes up."""
        sound = (ctypes.c_float * SAMPLES)()
        size = 0 if packet is None else len(packet)
        assert (
            _opus.opus_decode_float(self._decoder, packet, size, sound, SAMPLES, of_the_one_before) == SAMPLES
        )
        return np.array(sound)

    def close(self) -> None:
        _opus.opus_decoder_destroy(self._decoder)


def spoken(frames: int) -> list[bytes]:
    """A voice that rises, by an encoder that expects loss."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = HZ, "mono", "flt"
    encoder.bit_rate, encoder.time_base = 24_000, Fraction(1, HZ)
    encoder.options = {"application": "voip", "fec": "1", "packet_loss": "30", "frame_duration": "20"}
    packets = []
    phase = 0.0
    for index in range(frames):
        angles = phase + 2 * math.pi * (200 + 5 * index) * np.arange(SAMPLES) / HZ
        phase += 2 * math.pi * (200 + 5 * index) * SAMPLES / HZ
        wave = sum(np.sin(harmonic * angles) / harmonic for harmonic in (1, 2, 3)) / 4
        frame = av.AudioFrame.from_ndarray(wave.astype(np.float32).reshape(1, -1), "flt", "mono")
        frame.sample_rate, frame.pts, frame.time_base = HZ, SAMPLES * index, Fraction(1, HZ)
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets + [bytes(packet) for packet in encoder.encode(None)]


def error(heard: list[np.ndarray], meant: list[np.ndarray]) -> float:
    """What is wrong with the lost frames, as a share of their loudness."""
    wrong = sum(float(np.sum((heard[at] - meant[at]) ** 2)) for at in LOST)
    return wrong / sum(float(np.sum(meant[at] ** 2)) for at in LOST)


async def test_what_was_lost_is_decoded_from_the_packet_that_follows(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    await house.watch(await house.audio(publisher, SSRC), viewer, rtx=False)
    sent = spoken(50)
    for seq, payload in enumerate(sent):
        if seq not in LOST:
            publisher.send_rtp(FakeRtp(111, seq + 1, SAMPLES * seq, SSRC, payload))
    first, *_ = packets = (await hear(viewer)).rtp
    came = {(packet.seq - first.seq) & 0xFFFF: packet for packet in packets}
    # Each as it was, and a gap where one was lost: by it the decoder knows.
    assert {at: packet.payload for at, packet in came.items()} == {
        at: payload for at, payload in enumerate(sent) if at not in LOST
    }
    assert all((came[at].rtp_ts - first.rtp_ts) & 0xFFFF_FFFF == SAMPLES * at for at in came)

    ears = [Ear() for _ in range(3)]
    clean, concealed, repaired = [list[np.ndarray]() for _ in ears]
    for at, payload in enumerate(sent):
        clean.append(ears[0].hear(payload))
        if at in came:
            concealed.append(ears[1].hear(came[at].payload))
            repaired.append(ears[2].hear(came[at].payload))
        else:
            concealed.append(ears[1].hear(None))
            repaired.append(ears[2].hear(came[at + 1].payload, of_the_one_before=True))
    for ear in ears:
        ear.close()
    assert error(concealed, clean) > 0.3, "the lost frames were easy to guess"
    assert error(repaired, clean) < error(concealed, clean) / 2
