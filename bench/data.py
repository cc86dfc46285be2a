"""What a delivery of a data message costs: `python -m bench.data [--readers N] [--seconds S]`.

The server (plane and rooms, without signalling) runs alone in a child process, whose CPU time counts; aiortc
peers in this one send and read. A delivery is one message to one reader, its acknowledgement included.
"""

import argparse
import asyncio
import json
import struct
import sys
from dataclasses import dataclass, field
from typing import Any, Final

from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription

from bench import process
from policy import Acceptance, Limits, Permission
from rooms import JoinRequest, RoomsConfig, RoomService
from server.addresses import machine_addresses, media_addresses
from sfu import MediaConfig, MediaPlane
from store import Store, StoreConfig

_PLENTY: Final = 100_000
_PER_S: Final = 100
_PERSON: Final = frozenset({Permission.JOIN, Permission.SUBSCRIBE, Permission.CHAT})
_MESSAGE: Final = struct.pack("!H", 2) + b"{}" + bytes(100)


@dataclass(slots=True)
class Reader:
    """One peer that counts what it gets."""

    pc: RTCPeerConnection
    channel: RTCDataChannel
    count: int = 0
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, _message: bytes) -> None:
        """Count one message."""
        self.count += 1
        self.came.set()

    async def until(self, count: int) -> None:
        """Wait until so many have come."""
        while self.count < count:
            self.came.clear()
            await self.came.wait()


async def serve() -> None:
    """The measured half: a line with an offer in, a line with its answer out."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    bind = media_addresses(machine_addresses(), with_loopback=False)
    plane = await MediaPlane.start(MediaConfig(addresses=bind, port=0))
    store = await Store.open(StoreConfig(data_dir=None))
    limits = Limits(
        data_per_s=_PLENTY,
        data_burst=_PLENTY,
        data_bytes_per_s=1e9,
        data_bytes_burst=1 << 30,
        data_room_per_s=_PLENTY,
        data_node_per_s=_PLENTY,
    )
    rooms = await RoomService.start(plane, store, RoomsConfig(limits=limits))
    while line := await lines.readline():
        asked = json.loads(line)
        version = rooms.consent.policy.current_terms().version
        participant = await rooms.join(
            JoinRequest(
                room="bench",
                identity=asked["identity"],
                permissions=_PERSON,
                accept=Acceptance(terms_version=version, age_18=True),
            )
        )
        published = await participant.publish(asked["sdp"])
        sys.stdout.write(json.dumps({"sdp": published.sdp}) + "\n")
        sys.stdout.flush()
    await rooms.close()
    await plane.close()
    await store.close()


async def _join(child: asyncio.subprocess.Process, identity: str) -> Reader:
    if child.stdin is None or child.stdout is None:
        raise RuntimeError("the server has no pipes")
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    reader = Reader(pc, pc.createDataChannel("reliable"))
    is_open = asyncio.Event()
    reader.channel.on("message", reader.take)
    reader.channel.on("open", is_open.set)
    await pc.setLocalDescription(await pc.createOffer())
    asked = {"identity": identity, "sdp": pc.localDescription.sdp}
    child.stdin.write(json.dumps(asked).encode() + b"\n")
    async with asyncio.timeout(20):
        while not (line := await child.stdout.readline()).startswith(b'{"sdp"'):
            if not line:
                raise RuntimeError("the server ended")
        await pc.setRemoteDescription(RTCSessionDescription(json.loads(line)["sdp"], "answer"))
        await is_open.wait()
    return reader


async def measure(readers: int, seconds: float) -> dict[str, Any]:
    """Send to so many readers for so long; the figures."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.data", "--serve"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    peers = [await _join(child, f"peer-{number}") for number in range(readers + 1)]
    author, others = peers[0], peers[1:]
    rss_bytes = process.rss_bytes(child.pid)
    before = process.cpu_ns(child.pid)
    sent = int(seconds * _PER_S)
    for _ in range(sent):
        author.channel.send(_MESSAGE)
        await asyncio.sleep(1 / _PER_S)
    async with asyncio.timeout(30):
        for reader in others:
            await reader.until(sent)
    spent = process.cpu_ns(child.pid) - before
    for reader in peers:
        await reader.pc.close()
    if child.stdin is not None:
        child.stdin.close()
    await child.wait()
    deliveries = sent * readers
    return {
        "readers": readers,
        "deliveries": deliveries,
        "cpu_us_per_delivery": round(spent / deliveries / 1000, 1),
        "server_rss_mib": round(rss_bytes / (1 << 20), 1),
    }


def main() -> None:
    """Print one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.data", description=__doc__)
    parser.add_argument("--readers", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--serve", action="store_true", help="be the measured half")
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
    else:
        print(json.dumps(asyncio.run(measure(options.readers, options.seconds))))


if __name__ == "__main__":
    main()
