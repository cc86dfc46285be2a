"""Makes a program out of many: draws one picture and mixes its sound at a time, for every encoding of it."""

import os
from collections.abc import Callable, Sequence

from media.canvas import Canvas
from media.gates import GatePage
from media.mixer import SAMPLE_RATE, Mixer
from media.tap_record import TapRecord
from rebroadcast.worker.decoding import DecodeThreads
from rebroadcast.worker.encode import AudioEncoder
from rebroadcast.worker.encoding import Drawn, EncodingThread
from rebroadcast.worker.feed import EncodingsWanted, Epoch, FeedItem, RoomNews
from rebroadcast.worker.messages import Encoding, ProgramConfig
from rebroadcast.worker.pacing import Work
from rebroadcast.worker.scene import Scene

_NEVER = -1
_AT_ONCE = 0


class Composer:
    """A maker (see `program.Maker`) for mode `program`. Decoding and encoding go on beside its thread."""

    def __init__(
        self,
        config: ProgramConfig,
        audio: AudioEncoder,
        page: GatePage,
        *,
        start_ns: int,
        deliver: Callable[[Sequence[FeedItem]], None],
    ) -> None:
        """`deliver` takes encoded pictures; it is called on the encodings' threads."""
        self._config = config
        self._audio = audio
        self._deliver = deliver
        self._epoch = Epoch(page, config.epoch_slot)
        self._canvas = Canvas(config.width, config.height)
        self._mixer = Mixer()
        self._decoders = DecodeThreads(os.cpu_count() or 1)
        self._encodings: dict[Encoding, EncodingThread] = {}
        self._delay_ns = config.delay_ms * 1_000_000
        origin_ns = start_ns - self._delay_ns
        self._scene = Scene(config, page, self._mixer, self._canvas, self._decoders, origin_ns=origin_ns)
        self._drawn_epoch = _NEVER
        self._heard_epoch = _NEVER
        self._next_key = _AT_ONCE
        self.slate: str | None = None
        """None always: who is not granted has a placeholder of their own in the picture."""

    @property
    def work(self) -> Work:
        """What the threads beside this one have done."""
        encoding_ns = [thread.busy_ns for thread in self._encodings.values()]
        return Work(decoding_ns=self._decoders.busy_ns, encoding_ns=max(encoding_ns, default=0))

    def apply(self, news: RoomNews, now_ns: int) -> None:
        """Takes one piece of news."""
        if isinstance(news, EncodingsWanted):
            self._encode(news.encodings)
        else:
            self._scene.apply(news, now_ns)

    def cut(self, person: str) -> None:
        """Forgets everything of a person; the next picture is an IDR."""
        self._scene.cut(person)
        self._take_back()

    def receive(self, record: TapRecord, now_ns: int) -> int | None:
        """Takes one tap record; returns the tap when it wants a keyframe."""
        return self._scene.receive(record, now_ns)

    def has_room(self) -> bool:
        """Whether every encoding can take another picture."""
        return all(thread.has_room for thread in self._encodings.values())

    def make(self, index: int, due_ns: int, *, is_skipped: bool) -> list[FeedItem]:
        """Draws picture `index` for the encodings; returns the sound that belongs to it.

        A skipped picture still has its sound; one that begins a segment is skipped only for a stuck encoder.
        """
        epoch = self._epoch.now()
        if epoch != self._heard_epoch:
            self._audio.forget()
            self._heard_epoch = epoch
        self._scene.silence_closed()
        fps = self._config.fps
        count = (index + 1) * SAMPLE_RATE // fps - index * SAMPLE_RATE // fps
        self._scene.play(self._mixer.position + count, due_ns)
        samples = self._mixer.pull(count)
        begins_segment = index == self._next_key and all(
            thread.has_room_for_key for thread in self._encodings.values()
        )
        if (is_skipped and not begins_segment) or not self._encodings:
            persons = self._scene.heard(due_ns)
        else:
            persons = self._draw(index, due_ns, epoch)
        items = [FeedItem(frame, epoch, persons) for frame in self._audio.encode(samples)]
        if self._epoch.now() != epoch:
            self._take_back()
            return []
        return items

    def close(self) -> None:
        """Ends the threads."""
        self._encode(frozenset())
        self._decoders.close()

    def _draw(self, index: int, due_ns: int, epoch: int) -> frozenset[str]:
        persons = self._scene.draw(due_ns - self._delay_ns, due_ns)
        is_key = epoch != self._drawn_epoch or index >= self._next_key
        if is_key:
            self._next_key = index + max(round(self._config.segment_s * self._config.fps), 1)
        self._drawn_epoch = epoch
        drawn = Drawn(self._canvas.to_frame(), index, is_key, epoch, persons)
        for thread in self._encodings.values():
            thread.offer(drawn)
        return persons

    def _encode(self, wanted: frozenset[Encoding]) -> None:
        for encoding in self._encodings.keys() - wanted:
            self._encodings.pop(encoding).close()
        if not self._encodings:
            self._next_key = _AT_ONCE
        # One that joins others begins with their next keyframe: what they make stays as it is.
        for encoding in wanted - self._encodings.keys():
            self._encodings[encoding] = EncodingThread(
                encoding, self._epoch, self._deliver, fps=self._config.fps
            )
        largest = max(wanted, key=lambda one: one.height, default=None)
        if largest is not None and largest.height != self._canvas.height:
            self._canvas = Canvas(largest.width, largest.height)
            self._scene.resize(self._canvas)

    def _take_back(self) -> None:
        self._audio.forget()
        self._next_key = _AT_ONCE
