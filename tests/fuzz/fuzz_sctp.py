"""Fuzz target: SCTP packets of a peer, through the guard into aiortc's transport; frames of data messages.

A datagram is given once as it is, and once behind a right header and checksum, without which nothing would
reach the chunks.
"""

import asyncio
import contextlib
from collections import Counter

from rooms.envelope import EnvelopeError, open_envelope
from sfu.transport.data_channel import DataChannels, DataLimits
from tests.fuzz import harness
from tests.sfu.transport.sctp import channel_open, chunk, init, packet
from tests.sfu.transport.sctp import data as data_chunk

_TSN = 1_000


class _Peer:
    """An association that is open, with one channel."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.counters: Counter[str] = Counter()
        self.channels = DataChannels(
            self.sent.append,
            lambda _kind, _message: None,
            limits=DataLimits(message_bytes=1_000),
            counters=self.counters,
            role="server",
            remote_port=5_000,
            remote_bytes=0,
        )
        self.channels.start()
        self.tag = int.from_bytes(self.sent[0][16:20], "big")
        self.channels.receive(packet(init(7, _TSN + 1), tag=0))
        answer = self.sent[-1]
        cookie = answer[answer.index(b"\0\7\0\x1c") + 4 :][:24]
        self.channels.receive(packet(chunk(10, cookie), tag=self.tag))
        self.channels.receive(packet(data_chunk(_TSN + 1, payload=channel_open(), protocol=50), tag=self.tag))
        assert self.channels.open_kinds


async def _feed(data: bytes) -> None:
    peer = _Peer()
    for piece in harness.split(data):
        peer.channels.receive(piece)
        peer.channels.receive(packet(piece, tag=peer.tag))
        peer.channels.receive(packet(piece, tag=0))
    association = peer.channels._association
    assert association.standing.held_bytes < 200_000
    assert association.standing.held_chunks < 600
    assert peer.counters["data_broke"] == 0, "the guard let something through that breaks the transport"
    peer.channels.close()


def one_input(data: bytes) -> None:
    with contextlib.suppress(EnvelopeError):
        open_envelope(data)
    asyncio.run(_feed(data))


if __name__ == "__main__":
    harness.run(one_input)
