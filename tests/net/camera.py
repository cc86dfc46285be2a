"""A simulcast camera without an encoder: VP8 frames of set sizes, keyframes where they are asked for."""

import asyncio
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from sfu.engine.fake.rtp import FakeRtp
from tests.sfu.client import MediaClient

FPS = 20
KEYFRAME_FACTOR = 3
PACKET_BYTES = 1100


@dataclass(slots=True)
class Layer:
    """One encoding."""

    rid: str
    ssrc: int
    height: int
    bps: int
    seq: int = 0
    picture: int = 0
    is_key_wanted: bool = True
    keyframes: int = 0


@dataclass
class Camera:
    """Sends all its layers through a connected client, FPS times a second, until it is cancelled."""

    client: MediaClient
    layers: tuple[Layer, ...]
    mid_id: int = 9
    rid_id: int = 10
    mid: str = "0"
    pt: int = 96

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        started, frame = loop.time(), 0
        while True:
            self._take_requests()
            for layer in self.layers:
                for packet in self._frame(layer, frame):
                    self.client.send(packet)
            frame += 1
            await self.client.pump(max(0.001, started + frame / FPS - loop.time()))

    def _take_requests(self) -> None:
        for compound in self.client.rtcp:
            for kind, count, media in _messages(compound):
                if (kind, count) == (206, 1):
                    for layer in self.layers:
                        layer.is_key_wanted |= layer.ssrc == media
        self.client.rtcp.clear()

    def _frame(self, layer: Layer, frame: int) -> Iterator[FakeRtp]:
        is_key, layer.is_key_wanted = layer.is_key_wanted, False
        layer.keyframes += is_key
        left = layer.bps // 8 // FPS * (KEYFRAME_FACTOR if is_key else 1)
        layer.picture = (layer.picture + 1) & 0x7FFF
        is_first = True
        while left > 0:
            size = min(left, PACKET_BYTES)
            left -= size
            layer.seq = (layer.seq + 1) & 0xFFFF
            payload = _payload(layer, size, is_key=is_key, is_first=is_first)
            extensions = {self.mid_id: self.mid.encode(), self.rid_id: layer.rid.encode()}
            rtp_ts = frame * 90_000 // FPS & 0xFFFFFFFF
            yield FakeRtp(self.pt, layer.seq, rtp_ts, layer.ssrc, payload, left <= 0, extensions)
            is_first = False


def _payload(layer: Layer, size: int, *, is_key: bool, is_first: bool) -> bytes:
    """RFC 7741: descriptor with a 15-bit picture id, on the first packet its header; then the height."""
    head = bytes([0x90 if is_first else 0x80, 0x80]) + struct.pack("!H", 0x8000 | layer.picture)
    if is_first:
        head += b"\x10\x02\x00" if is_key else b"\x11\x02\x00"
    if is_first and is_key:
        head += b"\x9d\x01\x2a" + struct.pack("<HH", layer.height * 16 // 9, layer.height)
    return head + bytes(max(0, size - len(head))) + struct.pack("!H", layer.height)


def height_of(packet: FakeRtp) -> int:
    """The height that a packet of a `Camera` was made with."""
    return int(struct.unpack("!H", packet.payload[-2:])[0])


def _messages(compound: bytes) -> Iterator[tuple[int, int, int]]:
    while len(compound) >= 12:
        first, kind, words = struct.unpack_from("!BBH", compound)
        yield kind, first & 0x1F, struct.unpack_from("!I", compound, 8)[0]
        compound = compound[4 + 4 * words :]
