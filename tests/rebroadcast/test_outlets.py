"""Where destinations may be reached and how they are told: names that move, words of the program, sites."""

import asyncio
import contextlib
import socket

import pytest

from rebroadcast import RebroadcastConfig
from rebroadcast.hls_intake import HlsIntake
from rebroadcast.outlets import RESOLVE_AGAIN_S, Outlets, Target
from rebroadcast.url_policy import UrlPolicy
from rebroadcast.worker.messages import HlsPiece, HlsStart, OutputConfig, OutputState, RemoveOutput
from store import DestinationRow, PartnerRow, Secret

LIVE = OutputState("dst_1", "live", "", 100)
DOWN = OutputState("dst_1", "backing_off", "the site is gone", 0)


class Clock:
    """Time that stands still until `advance`."""

    def __init__(self):
        self.now = 1000.0
        self._sleeping = []

    def wall_ms(self):
        return int(self.now * 1000)

    def monotonic(self):
        return self.now

    async def sleep(self, s):
        future = asyncio.get_running_loop().create_future()
        self._sleeping.append((self.now + s, future))
        await future

    async def advance(self, s):
        self.now += s
        for due, future in [entry for entry in self._sleeping if entry[0] <= self.now]:
            self._sleeping.remove((due, future))
            if not future.done():
                future.set_result(None)
        await settle()


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


def target(number, kind="rtmp", partner="pt_1"):
    row = DestinationRow(
        id=f"dst_{number}",
        name="There",
        partner=partner,
        kind=kind,
        url="rtmp://site.example/live" if kind == "rtmp" else "",
        key=Secret("key") if kind == "rtmp" else None,
        rooms=(),
        created_at_ms=0,
    )
    made = PartnerRow(
        id=partner,
        name="Partner",
        site="partner.example",
        policy_url="https://partner.example",
        terms_version="1",
        uses=frozenset(),
        from_ms=0,
        until_ms=None,
        created_at_ms=0,
    )
    return Target(row, made)


class Stage:
    """Outlets whose names resolve to what `addresses` says (nothing: they do not)."""

    def __init__(self, *targets, monkeypatch):
        self.clock = Clock()
        self.addresses = ["8.8.8.8"]
        self.told = []
        self.epoch = 1
        self.hls = None
        if any(one.row.kind == "hls" for one in targets):
            self.hls = HlsIntake(
                RebroadcastConfig(), epoch=lambda: self.epoch, monotonic=self.clock.monotonic
            )
        self.outlets = Outlets(
            {one.row.id: one for one in targets},
            hls=self.hls,
            policy=UrlPolicy(),
            clock=self.clock,
            tell=self.told.append,
        )
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", self._getaddrinfo)

    async def _getaddrinfo(self, host, port, **_):
        if not self.addresses:
            raise socket.gaierror(f"{host} is not known")
        return [(0, 0, 0, "", (address, port)) for address in self.addresses]

    @contextlib.asynccontextmanager
    async def serving(self):
        task = asyncio.create_task(self.outlets.serve())
        await settle()
        yield
        task.cancel()
        await asyncio.wait({task})

    def states(self):
        return [status.state for status in self.outlets.statuses()]

    def reason(self, number=0):
        return self.outlets.statuses()[number].reason

    def addresses_told(self):
        return [
            [ip for ip, _ in m.addresses] for m in self.told if isinstance(m, OutputConfig) and m.addresses
        ]

    def segment(self, duration_s=2.0):
        self.hls.take(HlsPiece("hls", b"media", self.epoch, True, 0.0, duration_s, ("ada",)))


@pytest.fixture
async def stage(monkeypatch):
    return lambda *targets: Stage(*targets, monkeypatch=monkeypatch)


async def test_a_name_that_does_not_resolve_is_tried_again_and_told(stage):
    made = stage(target(1))
    made.addresses = []
    async with made.serving():
        assert (made.states(), made.told) == (["backing_off"], [])
        assert "site.example" in made.reason()
        made.addresses = ["8.8.8.8"]
        await made.clock.advance(RESOLVE_AGAIN_S)
        assert made.addresses_told() == [["8.8.8.8"]]


async def test_a_site_that_is_down_is_looked_up_again_and_followed_where_it_moved(stage):
    made = stage(target(1))
    async with made.serving():
        made.outlets.heard(LIVE)
        made.addresses = ["1.1.1.1"]
        await made.clock.advance(60)
        assert made.addresses_told() == [["8.8.8.8"]], "what is live is left alone"
        made.outlets.heard(DOWN)
        await made.clock.advance(RESOLVE_AGAIN_S)
        assert made.addresses_told() == [["8.8.8.8"], ["1.1.1.1"]]
        await made.clock.advance(RESOLVE_AGAIN_S)
        assert len(made.addresses_told()) == 2, "the same again need not be told"
        made.addresses = []
        await made.clock.advance(RESOLVE_AGAIN_S)
        assert made.reason() == "the site is gone"


async def test_a_name_that_turns_to_this_machine_fails_for_good_and_is_closed(stage):
    made = stage(target(1))
    async with made.serving():
        made.outlets.heard(DOWN)
        made.addresses = ["127.0.0.1"]
        await made.clock.advance(RESOLVE_AGAIN_S)
        assert made.told[-1] == RemoveOutput("dst_1")
        assert made.states() == ["failed"]
        assert "127.0.0.1" in made.reason()
        made.outlets.heard(OutputState("dst_1", "stopped", "", 0))
        assert made.states() == ["failed"], "the end of its connection does not hide why"
    made.told.clear()
    async with made.serving():
        assert made.told == [], "a program that is started again does not try it"


async def test_one_private_address_among_others_refuses_them_all(stage):
    made = stage(target(1))
    made.addresses = ["8.8.8.8", "10.0.0.1"]
    async with made.serving():
        assert (made.states(), made.told) == (["failed"], [])


async def test_bytes_count_on_over_programs(stage):
    made = stage(target(1))
    async with made.serving():
        made.outlets.heard(LIVE)
    made.outlets.interrupted()
    assert made.states() == ["connecting"]
    assert made.reason() == "the program is being started again"
    async with made.serving():
        made.outlets.heard(OutputState("dst_1", "live", "", 30))
    assert made.outlets.statuses()[0].bytes_acknowledged == 130


async def test_a_placeholder_in_place_of_the_picture_is_told_where_something_is_live(stage):
    made = stage(target(1), target(2))
    made.outlets.heard(LIVE)
    made.outlets.slate_changed("the publisher's camera is off")
    assert made.states() == ["slate", "idle"]
    assert made.reason() == "the publisher's camera is off"
    made.outlets.slate_changed(None)
    assert (made.states()[0], made.reason()) == ("live", None)


async def test_a_partner_whose_terms_end_is_dropped_and_the_others_are_not(stage):
    made = stage(target(1), target(2, partner="pt_2"), target(3, "hls", partner="pt_2"))
    async with made.serving():
        made.outlets.heard(LIVE)
        made.segment()
        made.outlets.drop(("pt_2",))
        assert [m for m in made.told if isinstance(m, RemoveOutput)] == [
            RemoveOutput("dst_2"),
            RemoveOutput("hls"),
        ]
    assert made.states() == ["live", "stopped", "stopped"]
    assert "terms" in made.reason(1)
    made.outlets.stopped()
    assert made.states() == ["stopped"] * 3


async def test_hls_is_live_while_there_is_something_new_to_play(stage):
    made = stage(target(1, "hls"))
    async with made.serving():
        assert made.told == [OutputConfig("hls", "hls")]
        assert made.states() == ["connecting"]
        made.hls.start(HlsStart("hls", b"init", 1))
        made.segment()
        assert (made.states(), made.reason()) == (["live"], None)
        await made.clock.advance(6)
        assert made.states() == ["degraded"]
        assert made.reason() == "no new segment for 6 s"
        made.segment(duration_s=10.0)
        await made.clock.advance(12)
        assert made.states() == ["live"], "segments are as long as the publisher's keyframes are apart"
        made.hls.cut("ada")
        assert made.states() == ["degraded"]
        made.outlets.interrupted()
        assert made.states() == ["connecting"]
    made.outlets.stopped()
    assert made.outlets.statuses()[0].bytes_acknowledged == 10


async def test_what_is_older_than_the_last_cut_does_not_come_into_the_playlist(stage):
    made = stage(target(1, "hls"))
    made.hls.start(HlsStart("hls", b"init", 1))
    made.hls.take(HlsPiece("hls", b"half", 1, False))
    made.epoch = 2
    made.hls.take(HlsPiece("hls", b"rest", 1, True, 0.0, 2.0, ("ada",)))
    made.hls.start(HlsStart("hls", b"old", 1))
    assert "#EXTINF" not in made.hls.view([None]).get("video.m3u8").decode()
    made.hls.start(HlsStart("hls", b"new", 2))
    made.segment()
    assert made.hls.view([None]).get("seg-0.m4s") == b"media"
    assert made.hls.view([None]).get("init-1.mp4") == b"new"
