"""A room's codecs change while people are in it: new publishers follow, nobody who is there is disturbed."""

import re
from collections.abc import AsyncIterator, Iterator

import pytest

from sfu import (
    CodecPolicy,
    CodecUnsupported,
    MediaConfig,
    MediaPlane,
    PublishAnswer,
    Router,
)
from sfu.engine.fake import FakeEngine
from sfu.errors import UnsupportedCodec
from tests.sfu.client import MediaClient
from tests.sfu.wires import FakeWire

CONFIG = MediaConfig(addresses=("127.0.0.1",), port=0, gate_slots=64)
VP8, H264 = CodecPolicy(video=("vp8",)), CodecPolicy(video=("h264",))


@pytest.fixture
async def plane() -> AsyncIterator[MediaPlane]:
    made = await MediaPlane.start(CONFIG, engine=FakeEngine)
    yield made
    await made.close()


@pytest.fixture
def clients(plane: MediaPlane) -> Iterator[list[MediaClient]]:
    engine = plane.engine
    assert isinstance(engine, FakeEngine)
    made = [MediaClient(FakeWire(engine), seed=seed) for seed in range(1, 5)]
    yield made
    for client in made:
        client.close()


def video_codecs(sdp: str) -> list[str]:
    """The codecs of the first video section, in order, without RTX."""
    section = sdp[sdp.index("m=video") :]
    order = section.split("\r\n", 1)[0].split()[3:]
    names = dict(re.findall(r"a=rtpmap:(\d+) (\w+)/90000", section))
    return [names[pt].lower() for pt in order if names.get(pt, "rtx").lower() != "rtx"]


def video_track(answer: PublishAnswer) -> int:
    return next(track.track for track in answer.tracks if track.kind == "video")


async def publish(router: Router, client: MediaClient, owner: str, **options: object) -> PublishAnswer:
    return await router.publish(owner, client.offer("chromium-offer-sendonly-av"), **options)


async def test_new_publishers_follow_and_present_ones_go_on(
    plane: MediaPlane, clients: list[MediaClient]
) -> None:
    router = plane.router("r", VP8)
    before = await publish(router, clients[0], "ada")
    assert video_codecs(before.sdp) == ["vp8"]
    router.set_codecs(H264)
    assert video_codecs((await publish(router, clients[1], "bob")).sdp) == ["h264"]
    again = await publish(router, clients[0], "ada", peer=before.peer)
    assert video_codecs(again.sdp) == ["vp8"]
    assert video_track(again) == video_track(before)


async def test_who_receives_is_offered_what_old_and_new_publishers_send(
    plane: MediaPlane, clients: list[MediaClient]
) -> None:
    router = plane.router("r", VP8)
    ada = await publish(router, clients[0], "ada")
    sub = await router.subscriber("cleo")
    await router.subscribe(sub, video_track(ada))
    offer = await router.offer(sub)
    assert offer is not None
    assert video_codecs(offer.sdp) == ["vp8"]
    await router.answer(sub, offer.version, clients[2].answer(offer.sdp))
    router.set_codecs(H264)
    assert await router.offer(sub) is None
    bob = await publish(router, clients[1], "bob")
    await router.subscribe(sub, video_track(bob))
    offer = await router.offer(sub)
    assert offer is not None
    assert video_codecs(offer.sdp) == ["h264", "vp8"]
    await router.answer(sub, offer.version, clients[2].answer(offer.sdp))
    # Both are forwarded: what was agreed for the first track stays agreed.
    sources = {forward.track: forward for forward in plane.engine.world.forwards.values()}
    assert "vp8" in sources[video_track(ada)].payload_types
    assert "h264" in sources[video_track(bob)].payload_types
    late = await router.subscriber("dora")
    await router.subscribe(late, video_track(ada))
    offer = await router.offer(late)
    assert offer is not None
    assert video_codecs(offer.sdp) == ["h264", "vp8"]


async def test_a_publisher_without_a_codec_of_the_new_list_is_refused(
    plane: MediaPlane, clients: list[MediaClient]
) -> None:
    router = plane.router("r", VP8)
    router.set_codecs(CodecPolicy(video=("av1",), audio=("red",)))
    offer = re.sub(r"AV1/90000", "VP7/90000", clients[0].offer("chromium-offer-sendonly-av"))
    with pytest.raises(UnsupportedCodec):
        await router.publish("ada", re.sub(r"red/48000", "blue/48000", offer))


async def test_a_subscriber_that_rejects_a_track_for_its_codecs_is_told_so_once(
    plane: MediaPlane, clients: list[MediaClient]
) -> None:
    router = plane.router("r", H264)
    ada = await publish(router, clients[0], "ada")
    sub = await router.subscriber("cleo")
    for track in ada.tracks:
        await router.subscribe(sub, track.track)
    for restart in (False, True):
        offer = await router.offer(sub, restart=restart)
        assert offer is not None
        answer = clients[2].answer(offer.sdp)
        await router.answer(sub, offer.version, re.sub(r"m=video \d+", "m=video 0", answer))
    await router.close()
    told = [event async for event in router.events if isinstance(event, CodecUnsupported)]
    assert told == [CodecUnsupported(sub, video_track(ada), "h264")]
