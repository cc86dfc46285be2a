"""Many voices through the native engine: the loudest are forwarded, a mute holds for everything."""

import asyncio
import socket
import struct
from collections import Counter
from dataclasses import dataclass, field

import pytest

from media.gates import Gate
from media.tap_record import DATAGRAM_MAX_BYTES, RtpRecord, read_records
from sfu.engine.fake.rtp import FakeRtp
from sfu.engine.types import EngineCodec, EngineEncoding, ForwardId, SinkId, StageId, TapId, TrackId
from tests.sfu.engine.rig import OPUS, Remote
from tests.sfu.native.peers import OPEN, RECEIVE, House, empty_report, hear, hear_until, nack, vp8

PEOPLE, PLACES, STAGE = 20, 3, StageId(77)
LOUD, SILENT = 0x80 | 30, 80
RED = EngineCodec(63, "red", 48_000)


@dataclass
class Crowd:
    """Twenty people who send sound, and one who hears them all."""

    house: House
    viewer: Remote
    people: list[Remote]
    heard: list[tuple[float, FakeRtp]] = field(default_factory=list)
    count: int = 0

    @classmethod
    async def gather(cls, house: House) -> "Crowd":
        people, viewer = [], await house.peer()
        for place in range(PEOPLE):
            person = await house.peer()
            track = TrackId(house.fresh())
            sources = [EngineEncoding("", 0x100 + place)]
            await house.engine.add_track(
                track, person.transport, "audio", "a", [OPUS], sources, nack=False, twcc=False, stage=STAGE
            )
            await house.engine.add_forward(
                ForwardId(house.fresh()), track, viewer.transport, 0x900 + place, 0, "7", {"opus": (100, -1)},
                OPEN, paused=False,
            )  # fmt: skip
            people.append(person)
        return cls(house, viewer, people)

    async def talk(self, seconds: float, loud: set[int]) -> Counter[int]:
        """Everyone sends, those loudly; how many packets of whom the viewer got."""
        loop = asyncio.get_running_loop()
        start, first = loop.time(), len(self.heard)
        for turn in range(round(seconds / 0.02)):
            for place, person in enumerate(self.people):
                level = LOUD if place in loud and turn % 15 < 10 else SILENT
                extensions = {RECEIVE["audio_level"]: bytes([level])}
                payload = struct.pack("!I", self.count) + bytes(30)
                person.send_rtp(
                    FakeRtp(
                        111, self.count & 0xFFFF, self.count * 960, 0x100 + place, payload, False, extensions
                    )
                )
            self.count += 1
            while (data := await self.viewer.wire.receive(0)) is not None:
                self._take(data)
            await asyncio.sleep(max(start + 0.02 * (turn + 1) - loop.time(), 0))
        while (data := await self.viewer.wire.receive(0.1)) is not None:
            self._take(data)
        return Counter(packet.ssrc - 0x900 for _, packet in self.heard[first:])

    def _take(self, data: bytes) -> None:
        if not 192 <= data[1] <= 223:
            packet = FakeRtp.parse(self.viewer.rx.unprotect(data))
            assert packet is not None
            self.heard.append((asyncio.get_running_loop().time(), packet))


@pytest.mark.slow
async def test_of_twenty_voices_three_are_forwarded_and_the_next_is_heard_at_once(house: House) -> None:
    crowd = await Crowd.gather(house)
    everyone = await crowd.talk(0.2, {2, 5, 11})
    assert set(everyone) == set(range(PEOPLE))
    await house.engine.set_stage(0, STAGE, PLACES)
    await crowd.talk(0.3, {2, 5, 11})
    before = await house.counters()
    talking = await crowd.talk(0.6, {2, 5, 11})
    after = await house.counters()
    assert set(talking) == {2, 5, 11}
    assert talking.total() == after["rtp_forwarded"] - before["rtp_forwarded"] == PLACES * 30
    assert after["drop_not_loudest"] - before["drop_not_loudest"] == (PEOPLE - PLACES) * 30
    # Two go on; somebody new speaks up.
    await crowd.talk(0.3, {2, 5})
    onset, first_word = asyncio.get_running_loop().time(), crowd.count
    assert 17 in await crowd.talk(0.5, {2, 5, 17})
    new = [(at, packet) for at, packet in crowd.heard if packet.ssrc == 0x900 + 17 and at >= onset]
    assert new[0][0] - onset <= 4 * 0.1
    numbers = [struct.unpack_from("!I", packet.payload)[0] for _, packet in new]
    assert numbers[0] <= first_word, "the first syllable is whole"
    assert numbers == list(range(numbers[0], crowd.count))
    assert [packet.seq - new[0][1].seq & 0xFFFF for _, packet in new] == list(range(len(new)))
    await house.engine.set_stage(0, STAGE, 0)
    assert set(await crowd.talk(0.1, set())) == set(range(PEOPLE))


async def test_a_muted_video_comes_by_no_way_until_it_begins_anew(house: House) -> None:
    publisher, viewer = await house.peer(), await house.peer()
    track = await house.vp8(publisher)
    await house.watch(track, viewer)
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    far.setblocking(False)
    house.engine.open_gate(3, 1)
    await house.engine.add_sink(SinkId(50), near.fileno())
    await house.engine.add_tap(TapId(60), track, SinkId(50), Gate(3, 1))
    for seq in range(1, 4):
        publisher.send_rtp(vp8(seq, key=seq == 1))
    shown = (await hear(viewer)).rtp
    assert len(shown) == len(_records(far)) == 3
    await house.engine.set_track_enabled(track, enabled=False)
    for seq in range(4, 8):
        publisher.send_rtp(vp8(seq, key=seq == 5))
    viewer.send_rtcp(nack(0x900, (shown[1].seq, 0)))
    assert (await hear(viewer)).rtp == [], "nothing new, and nothing from before"
    assert _records(far) == []
    await house.engine.set_track_enabled(track, enabled=True)
    publisher.send_rtp(vp8(8))
    assert (await hear(viewer)).rtp == [], "a picture of the mute is needed to decode it"
    publisher.send_rtp(vp8(9, key=True))
    [anew] = (await hear(viewer)).rtp
    assert anew.seq == shown[-1].seq + 1 & 0xFFFF
    near.close()
    far.close()


async def test_red_is_passed_on_or_stripped_for_each_subscriber_and_fills_holes(house: House) -> None:
    publisher, with_red, without = await house.peer(), await house.peer(), await house.peer()
    track = TrackId(house.fresh())
    await house.engine.add_track(
        track, publisher.transport, "audio", "a", [RED, OPUS], [EngineEncoding("", 0x11)],
        nack=False, twcc=False,
    )  # fmt: skip
    for viewer, types in ((with_red, {"red": (63, -1), "opus": (111, -1)}), (without, {"opus": (96, -1)})):
        await house.engine.add_forward(
            ForwardId(house.fresh()), track, viewer.transport, 0x900, 0, "7", types, OPEN, paused=False
        )
    for seq in (1, 2, 3, 5, 6):  # 4 is lost
        head = bytes([0xEF]) + (960 << 10 | 3).to_bytes(3, "big") + bytes([0x6F])
        payload = head + bytes([0xFC, seq - 1, 1]) + bytes([0xFC, seq, 1])
        publisher.send_rtp(FakeRtp(63, seq, 960 * seq, 0x11, payload))
    plain = (await hear(without)).rtp
    assert [(packet.pt, packet.payload) for packet in plain] == [
        (96, bytes([0xFC, seq, 1])) for seq in range(1, 7)
    ]
    assert [packet.rtp_ts - plain[0].rtp_ts & 0xFFFF_FFFF for packet in plain] == [960 * n for n in range(6)]
    assert [packet.pt for packet in (await hear(with_red)).rtp] == [111, 63, 63, 111, 63, 63]
    assert (await house.counters())["red_recovered"] == 1
    publisher.send_rtp(FakeRtp(63, 7, 960 * 7, 0x11, b"\xef\x00"))
    await house.counted("drop_red_malformed", 1)


async def test_the_round_trip_to_a_publisher_is_measured_by_its_echo(house: House) -> None:
    publisher = await house.peer()
    await house.vp8(publisher)
    publisher.send_rtp(vp8(1, key=True))
    loop = asyncio.get_running_loop()
    heard = await hear_until(publisher, lambda heard: heard.of_type(207))
    heard_at = loop.time()
    sender, kind, _, words, ntp = struct.unpack_from("!IBBHQ", heard.of_type(207)[0], 4)
    assert (kind, words) == (4, 2)
    await asyncio.sleep(0.3)
    # It says that it kept the report for all but 200 ms of that, which are then the path's.
    kept_s = loop.time() - heard_at - 0.2
    echo = struct.pack("!IBBHIII", 0x22, 5, 0, 3, sender, ntp >> 16 & 0xFFFF_FFFF, int(kept_s * 65536))
    publisher.send_rtcp(empty_report() + struct.pack("!BBH", 0x80, 207, 5) + echo)
    await hear(publisher)
    rtt_s = (await house.row("transport", publisher.transport))["rtt_us"] / 1e6
    assert 0.19 <= rtt_s <= 0.19 + 4 * 0.1


def _records(far: socket.socket) -> list[RtpRecord]:
    found: list[RtpRecord] = []
    while True:
        try:
            datagram = far.recv(DATAGRAM_MAX_BYTES)
        except BlockingIOError:
            return found
        found += [record for record in read_records(datagram) if isinstance(record, RtpRecord)]
