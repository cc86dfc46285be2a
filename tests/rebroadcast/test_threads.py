"""Decoding and encoding beside the composer: order, what is made of a picture, what a cut takes back."""

import subprocess
import sys
import threading
import time

import pytest

from media.canvas import Canvas
from media.frame import EncodedFrame
from media.gates import GatePage
from media.tap_stream import MediaFrame
from rebroadcast.worker.decoding import FRAMES_WAITING, DecodeThreads
from rebroadcast.worker.encode import VIDEO_CLOCK
from rebroadcast.worker.encoding import Drawn, EncodingThread
from rebroadcast.worker.feed import Epoch
from rebroadcast.worker.messages import Encoding
from tests.media.encoded import video

FPS, EPOCH = 30, 1
WHOLE = Encoding(320, 180, 30, 400_000)
SLOW = Encoding(160, 90, 10, 100_000)
VP8 = Encoding(160, 90, 15, 100_000, "vp8")


@pytest.fixture
def page():
    page = GatePage.create(4)
    page.store_open(EPOCH, 1)
    yield page
    page.close()


@pytest.fixture
def decoders():
    decoders = DecodeThreads(2)
    yield decoders
    decoders.close()


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def encode(page, encodings, pictures, *, keys, epoch=1):
    """What comes of pictures: [(encoding, picture number, is_keyframe, size)]."""
    made, lock = [], threading.Lock()

    def deliver(items):
        with lock:
            made.extend(items)

    threads = [EncodingThread(one, Epoch(page, EPOCH), deliver, fps=FPS) for one in encodings]
    for index in pictures:
        until(lambda: all(thread.has_room for thread in threads))
        drawn = Drawn(Canvas(320, 180).to_frame(), index, index in keys, epoch, frozenset({"ada"}))
        for thread in threads:
            thread.offer(drawn)
    until(lambda: all(not thread._inside for thread in threads))
    for thread in threads:
        thread.close()
    return [
        (item.encoding, item.frame.pts * FPS // VIDEO_CLOCK, item.frame.is_keyframe, item.frame.format.size)
        for item in made
    ]


def test_each_encoding_is_made_once_at_its_own_rate_with_the_keyframes_of_all(page):
    made = encode(page, [WHOLE, SLOW, VP8], range(40), keys={0, 20})
    for encoding, pictures in ((WHOLE, 40), (SLOW, 15), (VP8, 21)):
        of = [entry for entry in made if entry[0] == encoding]
        numbers = [number for _, number, _, _ in of]
        assert numbers == sorted(set(numbers))
        assert abs(len(numbers) - pictures) <= 2
        assert {number for _, number, is_key, _ in of if is_key} == {0, 20}
        assert {size for *_, size in of} == {(encoding.width, encoding.height)}


def test_an_encoding_that_joins_between_keyframes_begins_with_the_next_one(page):
    assert [number for _, number, *_ in encode(page, [WHOLE], range(5, 30), keys={20})] == list(range(20, 30))


def test_a_picture_of_an_older_epoch_is_not_even_encoded(page):
    page.store_open(EPOCH, 2)
    assert encode(page, [WHOLE], range(5), keys={0}, epoch=1) == []
    assert len(encode(page, [WHOLE], range(5), keys={0}, epoch=2)) == 5


def test_a_segment_has_a_place_more_and_a_stuck_encoding_no_other(page):
    free = threading.Event()
    thread = EncodingThread(WHOLE, Epoch(page, EPOCH), lambda _items: free.wait(20), fps=FPS)
    try:
        taken = 0
        for place in ("has_room", "has_room_for_key"):
            while getattr(thread, place):
                drawn = Drawn(Canvas(320, 180).to_frame(), taken, taken == 0, 1, frozenset())
                thread.offer(drawn)
                taken += 1
                assert taken <= 3
            assert taken == (2 if place == "has_room" else 3)
    finally:
        free.set()
        thread.close()


def frames(count, *, luma=100):
    return [
        MediaFrame("vp8", EncodedFrame(frame.data, frame.is_keyframe, 160, 120), 1000 + frame.index, 0, 0, 0)
        for frame in video("vp8", (luma,) * count)
    ]


def settle(track):
    until(lambda: not track._is_scheduled)


def test_pictures_of_a_track_come_in_order_at_their_time(decoders):
    track = decoders.track()
    for frame in frames(6):
        track.push(frame)
    settle(track)
    assert track.take(999) is None
    assert track.take(1002)[0] == 1002
    assert track.take(1002) is None
    assert track.take(5000)[0] == 1005
    assert not track.take_keyframe_wish()


def test_what_was_forgotten_does_not_come_back_from_a_thread_that_was_at_it(decoders):
    track = decoders.track()
    for frame in frames(20):
        track.push(frame)
    track.discard()
    settle(track)
    assert track.take(1 << 40) is None
    for frame in frames(3, luma=200):
        track.push(frame)
    settle(track)
    assert track.take(1 << 40)[1].to_ndarray(format="gray").mean() > 150


def test_a_gap_wants_a_keyframe_once(decoders):
    track = decoders.track()
    first, second, third = frames(3)
    track.push(first)
    track.gap()
    track.push(third)
    settle(track)
    assert track.take_keyframe_wish()
    assert not track.take_keyframe_wish()
    assert track.take(1 << 40)[0] == first.time_ns
    track.push(second)
    settle(track)
    assert track.take(1 << 40) is None


def test_a_decoder_that_is_far_behind_drops_what_waits_and_wants_a_keyframe():
    idle = DecodeThreads(1)
    idle.close()
    track = idle.track()
    for frame in frames(2) * FRAMES_WAITING:
        track.push(frame)
    assert len(track._waiting) <= FRAMES_WAITING + 1
    assert track.take_keyframe_wish()


def test_a_process_whose_thread_fails_ends_so_that_another_one_takes_its_place():
    program = (
        "import threading, time\n"
        "from rebroadcast.worker.__main__ import end_with_thread\n"
        "threading.excepthook = end_with_thread\n"
        "threading.Thread(target=lambda: 1 / 0, name='encode').start()\n"
        "time.sleep(30)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "ZeroDivisionError" in ended.stdout + ended.stderr
