"""Several sizes and codecs of one program: each encoding made once, shared, aligned, and cut everywhere."""

import itertools
import re
from dataclasses import replace
from fractions import Fraction

import av
import pytest

from rebroadcast import BroadcastInvalid, EncodingWish, RebroadcastConfig
from rebroadcast.encodings import ENCODINGS_MOST, check_few, checked, resolved
from rebroadcast.worker.messages import Encoding
from tests.rebroadcast.house import CONFIG, ROOM, house, until

SMALL = EncodingWish(height=90)
CONFIGURED = RebroadcastConfig()


@pytest.mark.parametrize(
    ("kind", "wishes", "words"),
    [
        ("rtmp", [SMALL, EncodingWish(height=120)], "up to 1 encodings"),
        ("hls", [EncodingWish(height=90 + 2 * n) for n in range(5)], "up to 4 encodings"),
        ("hls", [SMALL, SMALL], "each encoding of a destination is another one"),
        ("rtmp", [EncodingWish(height=91)], "even"),
        ("rtmp", [EncodingWish(height=4000)], "height of an encoding is 90 to 1080, not 4000"),
        ("rtmp", [EncodingWish(fps=60)], "fps of an encoding is 1 to 30, not 60"),
        ("srt", [EncodingWish(video_bps=1)], "video_bps of an encoding is 50000"),
        ("rtmp", [EncodingWish(codec="vp8")], "kind rtmp takes the codec h264, not 'vp8'"),
        ("whip", [EncodingWish(codec="av1")], "kind whip takes the codec h264 or vp8, not 'av1'"),
    ],
)
def test_what_cannot_be_made_is_refused_with_what_can(kind, wishes, words):
    with pytest.raises(BroadcastInvalid, match=re.escape(words)):
        checked(kind, wishes, CONFIGURED)


def test_what_is_left_open_is_as_configured_with_fewer_bits_for_less():
    (whole,) = resolved([EncodingWish()], CONFIGURED)
    assert whole == Encoding(1280, 720, 30, 2_500_000)
    (small,) = resolved([EncodingWish(height=360)], CONFIGURED)
    assert (small.width, small.height, small.fps) == (640, 360, 30)
    assert 2_500_000 / 4 < small.bps < 2_500_000 / 2
    (large,) = resolved([EncodingWish(height=1080, fps=15, video_bps=4_000_000)], CONFIGURED)
    assert large == Encoding(1920, 1080, 15, 4_000_000)


def test_a_program_makes_a_bounded_number_of_encodings():
    many = resolved([EncodingWish(height=90 + 2 * n) for n in range(ENCODINGS_MOST + 1)], CONFIGURED)
    check_few([*many[:ENCODINGS_MOST], many[0]])
    with pytest.raises(BroadcastInvalid, match="let some of them share one"):
        check_few(many)


def packets(path):
    """(width, the video packets' bytes) of a recording."""
    with av.open(str(path), "r") as container:
        stream = container.streams.video[0]
        return stream.width, [bytes(packet) for packet in container.demux(stream) if packet.size]


def names_of(playlist):
    return re.findall(r"^\S*seg-\d+\.m4s$", playlist, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.timeout(90)
async def test_each_size_is_encoded_once_shared_aligned_and_cut_in_every_rendition(tmp_path):
    async with house(tmp_path, replace(CONFIG, segment_s=1.0)) as home:
        ada = await home.enter("ada")
        sites = [await home.site(name) for name in ("whole", "small", "twin")]
        chosen = [
            await home.destination(sites[0]),
            await home.destination(sites[1], encodings=[SMALL]),
            await home.destination(sites[2], encodings=[SMALL]),
            await home.destination(encodings=[EncodingWish(), replace(SMALL, fps=5)]),
        ]
        info = await home.broadcasts.start(ROOM, chosen)
        await ada.acknowledge()
        await home.live(info)
        program = await until(lambda: home.running(info).info().program, "figures")
        made = [(one.width, one.height, one.fps) for one in program.encodings]
        assert made == [(320, 180, 15), (160, 90, 15), (160, 90, 5)]

        master = home.fetch(info, "index.m3u8").decode()
        resolutions = re.findall(r"RESOLUTION=(\d+x\d+)", master)
        assert resolutions == ["320x180", "160x90"]
        media = re.findall(r"^\S*video\.m3u8$", master, re.MULTILINE)

        def together():
            lists = [home.fetch(info, name).decode() for name in media]
            found = [
                dict(zip(names_of(text), re.findall(r"DATE-TIME:(\S+)", text), strict=False))
                for text in lists
            ]
            first, second = ({name.rpartition("seg")[2]: at for name, at in one.items()} for one in found)
            common = first.keys() & second.keys()
            return common if len(common) >= 3 and all(first[n] == second[n] for n in common) else None

        await until(together, "segments of the same numbers and times")
        old = [name for playlist in media for name in names_of(home.fetch(info, playlist).decode())]
        await ada.revoke()
        assert {home.fetch(info, name) for name in old} == {"gone"}
        await until(together, "segments after the cut")
        for name in media:
            assert home.fetch(info, name).decode().count("#EXT-X-DISCONTINUITY\n") == 1

        await home.broadcasts.stop(info.id)
        for site in sites:
            await site.stop()
        (whole, _), (width, small), (_, twin) = (packets(site.recordings[0]) for site in sites)
        assert (whole, width) == (320, 160)
        assert len(set(small) & set(twin)) > 0.5 * len(small), "both were sent the same bytes"


@pytest.mark.slow
@pytest.mark.timeout(90)
async def test_a_destination_of_another_size_joins_and_leaves_and_nobody_is_disturbed(tmp_path):
    async with house(tmp_path) as home:
        ada = await home.enter("ada")
        site, late = await home.site("one"), await home.site("late")
        first = await home.destination(site)
        second = await home.destination(late, encodings=[EncodingWish(height=360)])
        info = await home.broadcasts.start(ROOM, [first])
        await ada.acknowledge()
        await home.live(info)
        info = await home.broadcasts.add_to(info.id, second)
        await home.live(info)
        await until(lambda: late.recordings and late.recordings[0].stat().st_size > 20_000, "pictures")
        info = await home.broadcasts.take_out(info.id, second)
        await until(lambda: len(home.running(info).info().program.encodings) == 1, "one encoding")
        await home.broadcasts.stop(info.id)
        await site.stop()
        await late.stop()
        with av.open(str(late.recordings[0]), "r") as container:
            assert (container.streams.video[0].width, container.streams.video[0].height) == (640, 360)
        assert len(site.recordings) == 1
        with av.open(str(site.recordings[0]), "r") as container:
            stream = container.streams.video[0]
            times = [p.pts * p.time_base for p in container.demux(stream) if p.pts is not None]
        gaps = [after - before for before, after in itertools.pairwise(times)]
        assert max(gaps) < Fraction(1, 2)


async def test_a_passthrough_has_one_picture_as_it_is(tmp_path):
    async with house(tmp_path) as home:
        await home.enter("ada")
        chosen = [await home.destination(encodings=[SMALL])]
        with pytest.raises(BroadcastInvalid, match="asks for an encoding, a passthrough sends what"):
            await home.broadcasts.start(ROOM, chosen, mode="passthrough", publisher="ada")
        assert not home.workers()
