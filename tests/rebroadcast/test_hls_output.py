"""What goes to the server of HLS: whole segments, none of anybody who was cut, as fast as it is taken."""

import asyncio
import io
import itertools

import av
import msgspec
import numpy as np
import pytest

from media.canvas import Canvas
from media.control import SEND_BUFFER_MAX_BYTES, ControlChannel, control_pair
from media.gates import GatePage
from rebroadcast.worker.encode import VIDEO_CLOCK, AudioEncoder, EncodedVideo, VideoEncoder
from rebroadcast.worker.feed import Epoch, FeedItem
from rebroadcast.worker.hls_output import HlsOutput
from rebroadcast.worker.messages import (
    HLS_PIECE_BYTES,
    HLS_SEGMENT_MAX_BYTES,
    FromWorker,
    HlsPiece,
    HlsStart,
)

FPS, EPOCH = 10, 1
SEGMENT_S = 1.0
PART_S = 0.3


class Stage:
    """An output fed with really encoded pictures and sound."""

    def __init__(self, page, audio):
        self.page, self.audio = page, audio
        self.said = []
        self.has_room = True
        self.index = 0
        self.output = HlsOutput(
            "hls",
            audio,
            Epoch(page, EPOCH),
            self.said.append,
            has_room=lambda: self.has_room,
            segment_s=SEGMENT_S,
            part_s=PART_S,
            origin_ms=1_700_000_000_000,
        )

    def run(self, encoder, seconds, *, key_every, persons=("ada",), epoch=1):
        for number in range(round(seconds * FPS)):
            is_key = number % key_every == 0
            frames = encoder.encode(Canvas(320, 180).to_frame(), self.index, is_keyframe=is_key)
            sound = np.zeros((48_000 // FPS, 2), dtype=np.float32)
            for frame in (*frames, *self.audio.encode(sound)):
                self.output.feed(FeedItem(frame, epoch, frozenset(persons)))
            self.index += 1

    def parts(self):
        """(the last message of it, bytes) of each part."""
        found, pieces = [], b""
        for message in self.said:
            if isinstance(message, HlsStart):
                pieces = b""
            elif isinstance(message, HlsPiece):
                pieces += message.data
                if message.is_last:
                    found.append((message, pieces))
                    pieces = b""
        return found

    def segments(self):
        """(seconds, persons, playable bytes) of each whole segment."""
        found, init, parts = [], b"", []
        for message in self.said:
            if isinstance(message, HlsStart):
                init, parts = message.init, []
            elif isinstance(message, HlsPiece):
                parts.append(message)
                if message.is_last and message.ends_segment:
                    whole = [part for part in parts if part.is_last]
                    persons = set().union(*(part.persons for part in whole))
                    length_s = sum(part.duration_s for part in whole)
                    found.append((length_s, persons, init + b"".join(part.data for part in parts)))
                    parts = []
        return found

    def starts(self):
        return [message for message in self.said if isinstance(message, HlsStart)]


@pytest.fixture
def stage():
    page, audio = GatePage.create(4), AudioEncoder(bps=64_000)
    page.store_open(EPOCH, 1)
    yield Stage(page, audio)
    audio.close()
    page.close()


@pytest.fixture
def encoder():
    encoder = VideoEncoder(width=320, height=180, fps=FPS, bps=200_000)
    yield encoder
    encoder.close()


def pictures(data):
    with av.open(io.BytesIO(data)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.parametrize("key_every", [1, 3, 5, 10])
def test_frequent_keyframes_make_no_short_segments(stage, encoder, key_every):
    stage.run(encoder, 6, key_every=key_every)
    durations = [duration for duration, _, _ in stage.segments()]
    assert len(durations) >= 4
    assert all(0.75 * SEGMENT_S <= duration <= 1.5 * SEGMENT_S for duration in durations)
    assert sum(pictures(data) for _, _, data in stage.segments()) == round(sum(durations) * FPS)


def test_parts_are_as_long_as_told_play_on_and_are_each_somebodys(stage, encoder):
    stage.run(encoder, 2, key_every=FPS, persons=("ada",))
    stage.run(encoder, 2, key_every=FPS, persons=("bob",))
    parts = stage.parts()
    durations = [message.duration_s for message, _ in parts if not message.ends_segment]
    assert all(duration == pytest.approx(PART_S) for duration in durations)
    assert sum(message.ends_segment for message, _ in parts) == 3
    for (before, _), (after, _) in itertools.pairwise(parts):
        assert after.at_s == pytest.approx(before.at_s + before.duration_s)
        assert after.is_independent == before.ends_segment
    assert {frozenset(message.persons) for message, _ in parts if message.at_s < 1.8} == {frozenset({"ada"})}
    assert {frozenset(message.persons) for message, _ in parts if message.at_s > 2.2} == {frozenset({"bob"})}
    init = stage.starts()[0].init
    with av.open(io.BytesIO(init + b"".join(data for _, data in parts))) as whole:
        times = [float(frame.time) for frame in whole.decode(video=0)]
    assert times == [pytest.approx(number / FPS) for number in range(len(times))]
    with av.open(io.BytesIO(init + b"".join(data for _, data in parts))) as whole:
        sound = [float(packet.pts * packet.time_base) for packet in whole.demux(audio=0) if packet.size]
    steps = [after - before for before, after in itertools.pairwise(sound)]
    assert all(step == pytest.approx(1024 / 48_000, abs=1e-4) for step in steps), "no frame of sound is lost"


def test_a_start_says_what_players_must_know(stage, encoder):
    stage.run(encoder, 1, key_every=FPS)
    (start,) = stage.starts()
    assert (start.width, start.height, start.origin_ms) == (320, 180, 1_700_000_000_000)
    assert start.codecs.startswith("avc1.4d")
    assert start.codecs.endswith(",mp4a.40.2")


def test_rare_keyframes_make_long_segments(stage, encoder):
    stage.run(encoder, 9, key_every=3 * FPS)
    assert [duration for duration, _, _ in stage.segments()] == [pytest.approx(3.0)] * 2


def test_another_format_ends_a_segment_and_begins_a_part(stage, encoder):
    stage.run(encoder, 1.5, key_every=FPS)
    other = VideoEncoder(width=160, height=90, fps=FPS, bps=200_000)
    for number in range(2 * FPS):
        for frame in other.encode(Canvas(160, 90).to_frame(), stage.index + number, is_keyframe=number == 0):
            stage.output.feed(FeedItem(frame, 1, frozenset({"bob"})))
    assert len(stage.starts()) == 2
    assert sum(pictures(data) for _, _, data in stage.segments()) == 15
    assert {frozenset(persons) for _, persons, _ in stage.segments()} == {frozenset({"ada"})}
    other.close()


async def test_a_cut_forgets_the_open_segment_and_what_waits_for_the_server(stage, encoder):
    stage.run(encoder, 3, key_every=FPS)
    stage.has_room = False
    stage.run(encoder, 3, key_every=FPS)
    before = len(stage.segments())
    stage.page.store_open(EPOCH, 2)
    await stage.output.cut(2)
    stage.has_room = True
    stage.run(encoder, 3, key_every=FPS, persons=("bob",), epoch=2)
    assert len(stage.starts()) == 2
    after = stage.segments()[before:]
    assert after
    assert all(persons == {"bob"} for _, persons, _ in after)
    assert {message.epoch for message in stage.said[stage.said.index(stage.starts()[1]) :]} == {2}


def test_material_of_an_older_epoch_is_dropped_without_any_message(stage, encoder):
    stage.page.store_open(EPOCH, 2)
    stage.run(encoder, 2, key_every=FPS, epoch=1)
    assert stage.said == []


def big_frames(stage, encoder, seconds, *, key_every):
    """A stream whose pictures are of 1 MiB, with its sound: the muxer copies whatever the slices hold."""
    (key,) = encoder.encode(Canvas(320, 180).to_frame(), 0, is_keyframe=True)
    for _ in range(round(seconds * FPS)):
        is_key = stage.index % key_every == 0
        data = key.data if is_key else b"\0\0\0\1\x41" + bytes([0x9A]) * (1 << 20)
        pts, stage.index = stage.index * VIDEO_CLOCK // FPS, stage.index + 1
        yield EncodedVideo(data, pts, VIDEO_CLOCK // FPS, is_key, key.format)
        yield from stage.audio.encode(np.zeros((48_000 // FPS, 2), dtype=np.float32))


def test_a_stream_that_never_gives_a_keyframe_is_not_gathered_for_ever(stage, encoder):
    for frame in big_frames(stage, encoder, 4, key_every=10_000):
        stage.output.feed(FeedItem(frame, 1, frozenset()))
        assert stage.output._segment_bytes <= HLS_SEGMENT_MAX_BYTES + (1 << 20)
    assert stage.segments() == []
    stage.run(encoder, 3, key_every=FPS)
    assert stage.segments()


def test_a_server_that_takes_nothing_costs_segments_not_memory(stage, encoder):
    stage.has_room = False
    for frame in big_frames(stage, encoder, 12, key_every=FPS):
        stage.output.feed(FeedItem(frame, 1, frozenset()))
        waiting = sum(len(item.data) for item in stage.output._outbox if isinstance(item, HlsPiece))
        assert waiting <= 3 * HLS_SEGMENT_MAX_BYTES
    stage.has_room = True
    stage.run(encoder, 3, key_every=FPS)
    assert stage.segments()


async def test_a_segment_larger_than_the_channel_goes_through_it(stage, encoder):
    ours, theirs = control_pair()
    near, far = await ControlChannel.open(ours), await ControlChannel.open(theirs)
    stage.output = HlsOutput(
        "hls",
        stage.audio,
        Epoch(stage.page, EPOCH),
        near.send,
        has_room=lambda: near.waiting_bytes < HLS_PIECE_BYTES,
        segment_s=SEGMENT_S,
        part_s=PART_S,
    )
    got = bytearray()

    async def listen():
        decoder = msgspec.msgpack.Decoder(FromWorker)
        while (message := await far.receive(decoder)) is not None:
            if isinstance(message, HlsPiece):
                got.extend(message.data)
                if message.is_last and message.ends_segment:
                    return

    listening = asyncio.create_task(listen())
    for frame in big_frames(stage, encoder, 1.1, key_every=FPS):
        stage.output.feed(FeedItem(frame, 1, frozenset()))
    async with asyncio.timeout(10):
        while not listening.done():
            stage.run(encoder, 0.1, key_every=FPS)
            await asyncio.sleep(0.001)
    assert len(got) > 9 << 20 > SEND_BUFFER_MAX_BYTES
    await near.close()
    await far.close()
