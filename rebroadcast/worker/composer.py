"""Makes a program out of many: draws, mixes and encodes one picture and its sound at a time."""

import time

from media.canvas import Canvas
from media.gates import GatePage
from media.mixer import SAMPLE_RATE, Mixer
from media.tap_record import TapRecord
from rebroadcast.worker.encode import AudioEncoder, VideoEncoder
from rebroadcast.worker.feed import Epoch, FeedItem, RoomNews
from rebroadcast.worker.messages import ProgramConfig
from rebroadcast.worker.scene import Scene


class Composer:
    """A maker (see `program.Maker`) for mode `program`."""

    def __init__(self, config: ProgramConfig, audio: AudioEncoder, page: GatePage, *, start_ns: int) -> None:
        self._config = config
        self._audio = audio
        self._video = VideoEncoder(
            width=config.width, height=config.height, fps=config.fps, bps=config.video_bps
        )
        self._epoch = Epoch(page, config.epoch_slot)
        self._canvas = Canvas(config.width, config.height)
        self._mixer = Mixer()
        self._delay_ns = config.delay_ms * 1_000_000
        self._scene = Scene(config, page, self._mixer, origin_ns=start_ns - self._delay_ns)
        self._encoded_epoch = -1
        self._heard_epoch = -1
        self._next_key = -1
        self.slate: str | None = None
        """None always: who is not granted has a placeholder of their own in the picture."""

    def apply(self, news: RoomNews, now_ns: int) -> None:
        """Takes one piece of news about the room."""
        self._scene.apply(news, now_ns)

    def cut(self, person: str) -> None:
        """Forgets everything of a person; the next picture is an IDR."""
        self._scene.cut(person)
        self._take_back()

    def receive(self, record: TapRecord, now_ns: int) -> int | None:
        """Takes one tap record; returns the tap when it wants a keyframe."""
        return self._scene.receive(record, now_ns)

    def make(self, index: int, due_ns: int, *, is_skipped: bool) -> list[FeedItem]:
        """Makes picture `index` and the sound that belongs to it; a skipped picture still has its sound."""
        epoch = self._epoch.now()
        if epoch != self._heard_epoch:
            self._audio.forget()
            self._heard_epoch = epoch
        self._scene.silence_closed()
        now_ns = time.monotonic_ns()
        items: list[FeedItem] = []
        fps = self._config.fps
        samples = self._mixer.pull((index + 1) * SAMPLE_RATE // fps - index * SAMPLE_RATE // fps)
        if is_skipped and index != self._next_key:
            persons = self._scene.heard(now_ns)
        else:
            persons = self._scene.draw(self._canvas, due_ns - self._delay_ns, now_ns)
            is_key = epoch != self._encoded_epoch or index >= self._next_key
            if is_key:
                self._next_key = index + max(round(self._config.segment_s * fps), 1)
            video = self._video.encode(self._canvas.to_frame(), index, is_keyframe=is_key)
            items += [FeedItem(frame, epoch, persons) for frame in video]
            self._encoded_epoch = epoch
        items += [FeedItem(frame, epoch, persons) for frame in self._audio.encode(samples)]
        if self._epoch.now() != epoch:
            self._take_back()
            return []
        return items

    def close(self) -> None:
        """Frees the encoder."""
        self._video.close()

    def _take_back(self) -> None:
        self._audio.forget()
        self._next_key = -1
