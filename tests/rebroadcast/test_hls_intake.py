"""Renditions that come and go with their destinations while the others' players go on."""

import asyncio
import re

import pytest

from rebroadcast import RebroadcastConfig
from rebroadcast.encodings import default_encoding
from rebroadcast.hls_intake import HlsIntake
from rebroadcast.hls_window import Missing
from rebroadcast.worker.messages import Encoding, HlsPiece, HlsStart

CONFIG = RebroadcastConfig(segment_s=2.0, dvr_s=60.0)
LARGE = default_encoding(CONFIG)
SMALL = Encoding(640, 360, 30, 800_000)
TINY = Encoding(320, 180, 30, 300_000)
SMALL_NAMES = "360p30-800000-h264-"


class Stage:
    """A program whose parts are of one second, and whose renditions begin as real ones do."""

    def __init__(self):
        self.now, self.epoch, self.taken, self.begun = 0.0, 1, 0, {}
        self.hls = HlsIntake(CONFIG, epoch=lambda: self.epoch, monotonic=lambda: self.now)
        self.outputs = {}

    def serve(self, *encodings):
        self.outputs = self.hls.serve(encodings)
        self.begun = {output: at for output, at in self.begun.items() if output in self.outputs}

    def run(self, seconds, persons=("ada",)):
        """One part of each rendition a second; segments end at even seconds."""
        for _ in range(seconds):
            for output in self.outputs:
                is_new = output not in self.begun
                if is_new:
                    self.begun[output] = self.now
                    self.hls.start(HlsStart(output, f"init {output} {self.now}".encode(), self.epoch))
                is_key = is_new or self.now % 2 == 0
                self.hls.take(
                    HlsPiece(
                        output,
                        f"{output} {self.now}".encode(),
                        self.epoch,
                        True,
                        self.now,
                        1.0,
                        persons,
                        is_key,
                        self.now % 2 == 1,
                    )
                )
            self.now += 1

    def text(self, encoding, of=None):
        prefix = "" if encoding == LARGE else f"{encoding.name}-"
        return self.hls.view([of or encoding]).get(f"{prefix}video.m3u8").decode()

    def numbers(self, encoding):
        return [int(n) for n in re.findall(r"^\S*seg-(\d+)\.m4s$", self.text(encoding), re.MULTILINE)]


def sequence(text):
    return int(re.search(r"DISCONTINUITY-SEQUENCE:(\d+)", text)[1])


def test_a_rendition_goes_on_unchanged_while_others_come_and_go():
    stage = Stage()
    stage.serve(LARGE, SMALL)
    stage.run(10)
    before = stage.text(SMALL)
    names = re.findall(r"\S*seg-\d+\.m4s$", before, re.MULTILINE)
    stage.serve(LARGE, SMALL, TINY)
    stage.serve(SMALL, TINY)
    stage.serve(SMALL)
    assert stage.text(SMALL) == before
    stage.run(4)
    view = stage.hls.view([SMALL])
    assert stage.numbers(SMALL) == list(range(7))
    assert all(isinstance(view.get(name), bytes) for name in names)
    assert all(name.startswith(SMALL_NAMES) for name in names)
    assert stage.text(SMALL).count("#EXT-X-MAP") == 1
    assert "#EXT-X-DISCONTINUITY\n" not in stage.text(SMALL)


def test_players_of_a_destination_find_its_own_renditions_only():
    stage = Stage()
    stage.serve(LARGE, SMALL, TINY)
    stage.run(4)
    view = stage.hls.view([SMALL, TINY])
    assert re.findall(r"^\S+video\.m3u8$", view.get("index.m3u8").decode(), re.MULTILINE) == [
        f"{SMALL_NAMES}video.m3u8",
        "180p30-300000-h264-video.m3u8",
    ]
    assert view.get("video.m3u8") is Missing.UNKNOWN
    assert view.get("seg-0.m4s") is Missing.UNKNOWN
    assert isinstance(view.get(f"{SMALL_NAMES}seg-0.m4s"), bytes)
    assert "chat-0.vtt" in view.get("chat.m3u8").decode()


@pytest.mark.parametrize(("is_drawn", "shown"), [(True, "NO"), (False, "YES")])
def test_players_show_the_chat_by_themselves_when_it_is_not_in_the_picture(is_drawn, shown):
    stage = Stage()
    stage.serve(LARGE)
    index = stage.hls.view([LARGE], is_chat_drawn=is_drawn).get("index.m3u8").decode()
    assert f"DEFAULT={shown},AUTOSELECT={shown}," in index


@pytest.mark.parametrize("at", [4, 5])
def test_a_new_rendition_stands_where_the_others_are(at):
    stage = Stage()
    stage.serve(LARGE)
    stage.run(2)
    stage.hls.cut("ada")
    stage.epoch, stage.begun = 2, {}
    stage.run(at)
    stage.serve(LARGE, SMALL)
    stage.run(6)
    first = stage.numbers(SMALL)[0]
    assert stage.numbers(SMALL) == [n for n in stage.numbers(LARGE) if n >= first]
    assert first <= 2 + (at + 2) // 2
    view = stage.hls.view([LARGE, SMALL])
    for number in stage.numbers(SMALL)[1:]:
        one, other = (view.get(f"{prefix}seg-{number}.m4s").decode() for prefix in ("", SMALL_NAMES))
        assert re.findall(r"\d+\.0", one) == re.findall(r"\d+\.0", other), "the same moments"
    assert sequence(stage.text(LARGE)) + 1 == sequence(stage.text(SMALL)), "the same discontinuity"
    assert "#EXT-X-DISCONTINUITY\n" in stage.text(LARGE)


@pytest.mark.parametrize("others", [(LARGE,), ()])
def test_no_name_comes_again_with_other_bytes(others):
    stage, seen = Stage(), {}
    for gone_s in (0, 1, 3, 0):
        stage.serve(*others, SMALL)
        for _ in range(7):
            stage.run(1)
            view = stage.hls.view([SMALL])
            names = [f"init-{n}.mp4" for n in range(9)]
            names += [f"seg-{n}-{part}.m4s" for n in range(30) for part in range(2)]
            for name in names:
                found = view.get(SMALL_NAMES + name)
                if isinstance(found, bytes):
                    assert seen.setdefault(name, found) == found
        stage.serve(*others)
        stage.run(gone_s)
    assert len([name for name in seen if name.startswith("init")]) == 4
    assert len([name for name in seen if name.startswith("seg")]) >= 20


def test_encodings_that_differ_a_little_have_names_of_their_own():
    stage = Stage()
    stage.serve(SMALL, Encoding(640, 360, 30, 800_001))
    assert len(stage.outputs) == 2


async def test_who_waits_at_the_edge_is_told_of_a_cut_at_once():
    stage = Stage()
    stage.serve(LARGE)
    stage.run(4)
    view = stage.hls.view([LARGE])
    waiting = asyncio.create_task(view.wait("video.m3u8", 2, 0))
    await asyncio.sleep(0)
    stage.hls.cut("ada")
    async with asyncio.timeout(1):
        assert await waiting
    assert "#EXT-X-MEDIA-SEQUENCE:2\n" in view.get("video.m3u8").decode()


async def test_who_waits_for_a_rendition_that_ends_is_answered_at_once():
    stage = Stage()
    stage.serve(LARGE, SMALL)
    stage.run(4)
    view = stage.hls.view([SMALL])
    waiting = asyncio.create_task(view.wait(f"{SMALL_NAMES}video.m3u8", 2, 0))
    await asyncio.sleep(0)
    stage.serve(LARGE)
    async with asyncio.timeout(1):
        assert await waiting
    assert view.get(f"{SMALL_NAMES}seg-0.m4s") is Missing.GONE


def test_times_of_before_a_process_was_started_again_stay_as_they_were():
    stage = Stage()
    stage.serve(LARGE)
    stage.run(4)
    before = re.findall(r"DATE-TIME:(\S+)", stage.text(LARGE))
    stage.hls.start(HlsStart("hls", b"init", 1, origin_ms=1_700_000_000_000))
    stage.run(2)
    after = re.findall(r"DATE-TIME:(\S+)", stage.text(LARGE))
    assert after[: len(before)] == before
    assert after[-1].startswith("2023-11-14")


async def test_the_multivariant_playlist_waits_until_every_rendition_is_described():
    stage = Stage()
    stage.serve(LARGE, SMALL)
    view = stage.hls.view([LARGE, SMALL])
    large, small = stage.outputs
    waiting = asyncio.create_task(view.wait("index.m3u8", None, None))
    for output, height in ((large, 720), (small, 360)):
        await asyncio.sleep(0)
        assert not waiting.done()
        stage.hls.start(HlsStart(output, b"init", stage.epoch, codecs="avc1.64001f,mp4a.40.2", height=height))
    assert await asyncio.wait_for(waiting, 5)
    assert re.findall(r"RESOLUTION=\d+x(\d+)", view.get("index.m3u8").decode()) == ["720", "360"]
