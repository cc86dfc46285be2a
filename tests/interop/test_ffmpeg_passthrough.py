"""What FFmpeg's WHIP muxer publishes goes out of passthrough as FFmpeg encoded it, unit for unit."""

import io

import pytest

from bench.studio.decoded import colours, samples, share_of_colour, tone_level
from tests.interop.test_ffmpeg_whip import HZ, ORANGE, published
from tests.media.packetise import annex_b_units
from tests.rebroadcast.test_passthrough_served import stage
from tests.support.h264_camera import slices_of
from tests.support.h264_witness import slices_in, video_tags
from tests.support.waiting import until

__all__ = ["stage"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


def groups_of(slices):
    """Runs that begin with an IDR."""
    groups, was_idr = [], False
    for one in slices:
        is_idr = one[0] & 0x1F == 5
        if is_idr and not was_idr:
            groups.append([])
        groups[-1].append(one)
        was_idr = is_idr
    return groups


def holds(sent, group):
    return any(sent[at : at + len(group)] == group for at, one in enumerate(sent) if one == group[0])


async def test_ffmpegs_picture_and_sound_reach_rtmp_and_hls_untouched(stage, tmp_path):
    dump = tmp_path / "published.h264"
    terms = {"version": stage.terms, "uses": ["live"]}
    async with published(stage.parley, "stage", tmp_path, dump=str(dump), terms=terms) as process:

        async def is_in():
            people = (await stage.api("GET", "/rooms/stage/participants"))["items"]
            return any(track["codec"] == "h264" for person in people for track in person["tracks"])

        await until(is_in, "FFmpeg's first packets")
        await stage.start(publisher="obs")
        await until(lambda: len(stage.hls.segments) >= 4, "segments")
        assert process.returncode is None
    await stage.api("POST", f"/broadcasts/{stage.broadcast['id']}/stop")
    await stage.site.stop()
    sent = slices_of(annex_b_units(dump.read_bytes()))
    known = set(sent)
    segments = list(stage.hls.segments.values())
    for taken in (
        [one for tag in video_tags(stage.site.recordings[0]) for one in tag.slices],
        [one for segment in segments for one in slices_in(segment.data)],
    ):
        passed = [one for one in taken if one in known]
        assert len(passed) > 40
        assert all(holds(sent, group) for group in groups_of(passed)), (
            "from each IDR on every slice, in order"
        )
        assert len(taken) - len(passed) <= 4, "beside it only placeholders"
    picture = colours(io.BytesIO(segments[-1].data))[-1]
    assert share_of_colour(picture, ORANGE) > 0.8
    assert tone_level(samples(io.BytesIO(segments[-1].data)), HZ) > 0.1
