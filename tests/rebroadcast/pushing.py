"""A running output of one destination, fed with pictures and sound in real time."""

import asyncio
import contextlib
import time
from random import Random

import numpy as np

from media.canvas import Canvas
from media.gates import GatePage
from media.mixer import SAMPLE_RATE
from rebroadcast.worker.encode import AudioEncoder, EncodedVideo, VideoEncoder
from rebroadcast.worker.feed import Epoch, FeedItem
from rebroadcast.worker.messages import OutputConfig
from rebroadcast.worker.push_output import PushOutput

FPS, EPOCH = 15, 1


class PushStage:
    """A running output that is fed with pictures in real time."""

    def __init__(self, page, audio, video, dial, port):
        """`dial`: opens connections to what listens on `port` of this machine."""
        self.page, self.audio, self.video = page, audio, video
        self.said = []
        self.index = 0
        self.output = PushOutput(
            OutputConfig("site", "rtmp", addresses=(("127.0.0.1", port),)),
            dial,
            Epoch(page, EPOCH),
            self.said.append,
            rng=Random(1),
            clock=time.monotonic,
        )
        self.task = asyncio.create_task(self.output.run())

    @property
    def states(self):
        return [message.state for message in self.said]

    def frames(self, encoder=None):
        encoder = encoder or self.video
        width, height = encoder.format.size
        picture = Canvas(width, height).to_frame()
        self.index += 1
        return encoder.encode(picture, self.index, is_keyframe=self.index % 5 == 1)

    def sound(self):
        """The sound that belongs to the newest picture: a tone."""
        at = np.arange(SAMPLE_RATE // FPS) + self.index * (SAMPLE_RATE // FPS)
        tone = (0.3 * np.sin(at * 2 * np.pi * 440 / SAMPLE_RATE)).astype(np.float32)
        return self.audio.encode(np.stack([tone, tone], axis=1))

    async def feed_until(self, condition, what, *, encoder=None, patience_s=15.0):
        deadline = time.monotonic() + patience_s
        while not condition():
            assert time.monotonic() < deadline, f"never: {what}, only {self.said[-3:]}"
            for frame in (*self.frames(encoder), *self.sound()):
                self.output.feed(FeedItem(frame, self.page.read(EPOCH), frozenset()))
            await asyncio.sleep(1 / FPS)

    async def flood(self):
        """More than the kernels of both sides hold."""
        connection = self.output._link
        data = b"\0\0\0\1\x41" + bytes([0x9A]) * 200_000
        for index in range(200):
            at = EncodedVideo(data, 10**6 + index, 6000, False, self.video.format)
            self.output.feed(FeedItem(at, 1, frozenset()))
            await asyncio.sleep(0.002)
            if connection.backlog_bytes() > 500_000:
                return
        raise AssertionError("the site took it all")


@contextlib.asynccontextmanager
async def push_stages():
    """Makes stages: `make(dial, port)`, where `dial` is made of the audio encoder; closes them all."""
    made = []
    page, audio = GatePage.create(4), AudioEncoder(bps=64_000)
    page.store_open(EPOCH, 1)
    video = VideoEncoder(width=320, height=180, fps=FPS, bps=300_000)

    def make(dial, port):
        made.append(PushStage(page, audio, video, dial(audio), port))
        return made[-1]

    yield make
    for stage in made:
        await stage.output.close()
        async with asyncio.timeout(2):
            await stage.task
    video.close()
    audio.close()
    page.close()
