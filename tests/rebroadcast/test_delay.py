"""A program that is held back: in time, taken back by a cut, thrown away by a dump."""

import asyncio
import io
import time

import av
import pytest

from media.tap_record import LostRecord, RtpRecord, TapHeader
from policy import LIVE
from rebroadcast import BroadcastConflict
from rebroadcast.worker.delay import HELD_MOST_BYTES, Delayed
from rebroadcast.worker.messages import ChatShown, CloseTap, Dump, MuteTap, OpenTap, Person, Speaking
from tests.rebroadcast.house import ROOM, house, until
from tests.support.promises import assert_promised

SECOND = 1_000_000_000
DELAY = 10 * SECOND
START = 1000 * SECOND


class Noting:
    """A maker that notes what it is told and when."""

    slate = None

    def __init__(self):
        self.told = []

    def apply(self, news, now_ns):
        self.told.append((now_ns, news))

    def cut(self, person):
        self.told.append((None, person))

    def receive(self, record, now_ns):
        self.told.append((now_ns, record))
        return record.header.tap if isinstance(record, LostRecord) else None

    def make(self, index, due_ns, *, is_skipped):
        self.told.append((due_ns, index))
        return []

    def close(self):
        pass

    def of(self, kind):
        return [item for _, item in self.told if isinstance(item, kind)]


def tap(number, person="ada", kind="video"):
    return OpenTap(number, person, f"p_{person}", kind, "camera", number, 1)


def rtp(number, size=100):
    return RtpRecord(TapHeader(number, 0, number, 1, 0, 1), bytes(size))


def at(seconds):
    return START + int(seconds * SECOND)


@pytest.fixture
def stage():
    maker = Noting()
    delayed = Delayed(maker, delay_ns=DELAY, start_ns=START)
    for person, number in (("ada", 1), ("bob", 2)):
        delayed.apply(Person(person, f"p_{person}", person.title(), True), at(0))
        delayed.apply(tap(number, person), at(0))
    return delayed, maker


def test_media_is_composed_as_much_later_as_the_delay_says_in_its_own_time(stage):
    delayed, maker = stage
    delayed.receive(rtp(1), at(1))
    delayed.make(0, at(10.9), is_skipped=False)
    assert maker.of(RtpRecord) == []
    delayed.make(1, at(11), is_skipped=False)
    assert maker.of(RtpRecord) == [rtp(1)]
    assert (at(1), rtp(1)) in maker.told
    assert maker.told[-1] == (at(1), 1)


def test_who_is_there_is_told_at_once_and_what_they_do_in_its_time(stage):
    delayed, maker = stage
    assert len(maker.of(Person)) == len(maker.of(OpenTap)) == 2
    line = ChatShown("c1", "ada", "Ada", "hello", 1, 1)
    for news in (MuteTap(1, True), line, Speaking(("p_ada",))):
        delayed.apply(news, at(1))
    assert not maker.of((MuteTap, ChatShown, Speaking))
    delayed.make(0, at(11), is_skipped=False)
    assert len(maker.of((MuteTap, ChatShown, Speaking))) == 3


def test_a_cut_takes_back_what_waits_of_that_person_alone(stage):
    delayed, maker = stage
    for number in (1, 2):
        delayed.receive(rtp(number), at(1))
    delayed.apply(ChatShown("c1", "ada", "Ada", "hello", 1, 1), at(1))
    delayed.apply(MuteTap(1, True), at(1))
    delayed.cut("ada")
    assert maker.told[-1] == (None, "ada")
    delayed.receive(rtp(1), at(2))
    delayed.make(0, at(20), is_skipped=False)
    assert maker.of(RtpRecord) == [rtp(2)]
    assert not maker.of((ChatShown, MuteTap))


def test_a_track_that_ends_takes_what_waits_of_it_along(stage):
    delayed, maker = stage
    delayed.receive(rtp(1), at(1))
    delayed.apply(CloseTap(1), at(2))
    delayed.make(0, at(20), is_skipped=False)
    assert maker.of(RtpRecord) == []


def test_a_dump_throws_everything_away_and_people_stay(stage):
    delayed, maker = stage
    delayed.receive(rtp(1), at(5))
    delayed.make(0, at(12), is_skipped=False)
    assert delayed.slate is None
    maker.told.clear()
    delayed.apply(Dump(), at(12))
    assert {person for when, person in maker.told if when is None} == {"ada", "bob"}
    assert len(maker.of(Person)) == len(maker.of(OpenTap)) == 2
    delayed.receive(rtp(1), at(13))
    delayed.make(1, at(21), is_skipped=False)
    assert maker.of(RtpRecord) == []
    assert "dumped" in delayed.slate
    delayed.make(2, at(23), is_skipped=False)
    assert maker.of(RtpRecord) == [rtp(1)]
    assert delayed.slate is None


def test_the_delay_says_that_it_is_being_filled(stage):
    delayed, _ = stage
    assert "filled" in delayed.slate
    delayed.make(0, at(10), is_skipped=False)
    assert delayed.slate is None


def test_wishes_for_keyframes_go_out_with_what_comes_next(stage):
    delayed, _ = stage
    assert [delayed.receive(rtp(1), at(1)) for _ in range(3)] == [1, 2, None], "each track begins with one"
    delayed.receive(LostRecord(TapHeader(2, 0, 2, 1, 0, 1), 5), at(1))
    delayed.make(0, at(11), is_skipped=False)
    assert delayed.receive(rtp(1), at(11)) == 2


def test_what_waits_is_bounded(stage):
    delayed, _ = stage
    for _ in range(HELD_MOST_BYTES // 1_000_000 + 20):
        delayed.receive(rtp(1, 1_000_000), at(1))
    assert delayed._held_bytes <= HELD_MOST_BYTES
    assert sum(len(item.packet) for _, item in delayed._held) <= HELD_MOST_BYTES


# Through the whole house.


def brightness(home, info, status):
    """Of the newest picture that a player of this destination gets; None before there is one."""
    playlist = home.broadcasts.get(status.program, status.destination, "video.m3u8").decode()
    names = [line for line in playlist.splitlines() if line.startswith("seg-")]
    if not names:
        return None
    init = [line.split('"')[1] for line in playlist.splitlines() if line.startswith("#EXT-X-MAP")][-1]
    data = [home.broadcasts.get(status.program, status.destination, name) for name in (init, names[-1])]
    if not all(isinstance(part, bytes) for part in data):
        return None
    with av.open(io.BytesIO(b"".join(data))) as container:
        return max(float(frame.to_ndarray(format="gray").mean()) for frame in container.decode(video=0))


@pytest.mark.slow
async def test_a_revocation_and_a_dump_reach_what_is_held_back(tmp_path):
    async with house(tmp_path) as home:
        ada = await home.enter("ada", luma=225)
        prompt = await home.destination()
        info = await home.broadcasts.start(ROOM, [prompt])
        with pytest.raises(BroadcastConflict, match="no destination"):
            await home.broadcasts.dump(info.id)
        late = await home.destination(delay_s=4.0)
        info = await home.broadcasts.add_to(info.id, late)
        assert len(home.running(info).programs) == 2
        shown = {status.destination: status for status in info.destinations}

        def is_bright(destination):
            return (brightness(home, info, shown[destination]) or 0) > 150

        await ada.acknowledge()
        await until(lambda: is_bright(prompt), "ada in what is not held back")
        acknowledged = time.monotonic()
        assert not is_bright(late)
        await ada.revoke()
        while time.monotonic() < acknowledged + 6:
            assert not is_bright(late), "nothing of what was held back goes out"
            await asyncio.sleep(0.2)
        await ada.participant.consent({LIVE: True})
        agreed = time.monotonic()
        await until(lambda: is_bright(late), "ada in what is held back")
        assert time.monotonic() - agreed > 3.5
        await home.broadcasts.dump(info.id)
        dumped = time.monotonic()
        await until(lambda: not is_bright(late), "the dump")
        assert_promised("the dump", time.monotonic() - dumped, 1.5)
        assert home.running(info).destinations[1].state == "slate"
        assert is_bright(prompt), "what is not held back goes on"
        await until(lambda: is_bright(late), "ada again")
        assert time.monotonic() - dumped > 3.5
