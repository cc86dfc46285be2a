"""The program process: `python -m rebroadcast.worker`, started by the server with its channel on fd 3."""

import asyncio
import gc
import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Sequence
from random import SystemRandom
from typing import TypeVar

import msgspec
import structlog
import uvloop

from media.control import CONTROL_FD, ControlChannel, ControlError, WorkerStart, convert_config
from media.gates import GatePage
from rebroadcast.worker.composer import Composer
from rebroadcast.worker.delay import Delayed
from rebroadcast.worker.encode import AudioEncoder, EncodedAudio
from rebroadcast.worker.feed import EncodingsWanted, Epoch, FeedItem, Output
from rebroadcast.worker.handover import take_parts
from rebroadcast.worker.hls_output import HlsOutput
from rebroadcast.worker.link import Dial
from rebroadcast.worker.messages import (
    HLS_PIECE_BYTES,
    CutDone,
    CutPerson,
    Encoding,
    KeyframeWanted,
    OutputConfig,
    OutputState,
    ProgramConfig,
    RemoveOutput,
    Slate,
    Stop,
    ToWorker,
)
from rebroadcast.worker.passthrough import Passthrough
from rebroadcast.worker.program import Maker, Program
from rebroadcast.worker.push_output import PushOutput
from rebroadcast.worker.rtmp.amf0 import Encodable
from rebroadcast.worker.rtmp_link import RtmpDial
from rebroadcast.worker.srt.link import SrtDial

log = structlog.get_logger()

T = TypeVar("T")


class Worker:
    """Joins one program to its outputs and to the server. Everything here runs on the event loop."""

    def __init__(
        self, channel: ControlChannel, config: ProgramConfig, page: GatePage, sink: socket.socket
    ) -> None:
        self._channel = channel
        self._config = config
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._audio = AudioEncoder(bps=config.audio_bps)
        self._epoch = Epoch(page, config.epoch_slot)
        self._outputs: dict[str, Output] = {}
        self._encodings: dict[str, Encoding | None] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group = asyncio.TaskGroup()
        start_ns = time.monotonic_ns()
        self._origin_ms = time.time_ns() // 1_000_000
        hold_ns = config.hold_ms * 1_000_000
        began_ns = start_ns - hold_ns
        deliver = self._from_program(self._deliver)
        self._own: Encoding | None = None
        """How the picture is encoded for outputs that ask for nothing else; None: it is not encoded here."""
        maker: Maker
        if config.mode == "passthrough":
            maker = Passthrough(config, self._audio, page, start_ns=began_ns)
        else:
            self._own = Encoding(config.width, config.height, config.fps, config.video_bps)
            maker = Composer(config, self._audio, page, start_ns=began_ns, deliver=deliver)
        if hold_ns:
            maker = Delayed(maker, delay_ns=hold_ns, start_ns=start_ns)
        self._program = Program(
            config,
            maker,
            None if config.is_replay else sink,
            start_ns=start_ns,
            deliver=deliver,
            keyframe_wanted=self._from_program(lambda tap: self._send(KeyframeWanted(tap))),
            cut_done=self._from_program(self._program_cut),
            slate_changed=self._from_program(lambda reason: self._send(Slate(reason))),
            progress=self._from_program(self._send),
        )

    async def run(self) -> None:
        """Serves until the server says stop or goes away."""
        async with self._group:
            self._program.start()
            if self._config.is_replay:
                self._loop.add_reader(self._sink.fileno(), self._take_parts)
            try:
                await self._listen()
            finally:
                self._loop.remove_reader(self._sink.fileno())
                self._program.stop()
                await asyncio.gather(*(self._remove(output) for output in list(self._outputs)))
                self._audio.close()

    async def _listen(self) -> None:
        decoder = msgspec.msgpack.Decoder(ToWorker)
        while True:
            message = await self._channel.receive(decoder)
            match message:
                case None | Stop():
                    return
                case OutputConfig():
                    self._add(message)
                case RemoveOutput(output_id):
                    await self._remove(output_id, is_polite=False)
                    self._encode()
                case _:
                    self._program.tell(message)

    def _take_parts(self) -> None:
        parts = take_parts(self._sink)
        for part in parts or ():
            self._program.tell(part)
        if parts is None:
            self._loop.remove_reader(self._sink.fileno())  # the server closed its end

    def _add(self, config: OutputConfig) -> None:
        known = self._outputs.get(config.id)
        if isinstance(known, PushOutput):
            known.move(config.addresses)
            return
        if known is not None:
            return
        self._encodings[config.id] = config.encoding or self._own
        if config.kind == "hls":
            self._outputs[config.id] = HlsOutput(
                config.id,
                self._audio,
                self._epoch,
                self._send,
                has_room=lambda: self._channel.waiting_bytes < HLS_PIECE_BYTES,
                segment_s=self._config.segment_s,
                part_s=self._config.part_s,
                origin_ms=self._origin_ms,
            )
        else:
            self._add_push(config)
        self._encode()

    def _encode(self) -> None:
        """Has the program encoded in each way that an output wants, once."""
        wanted = {self._encodings[output] for output in self._outputs}
        self._program.tell(EncodingsWanted(frozenset(one for one in wanted if one is not None)))

    def _add_push(self, config: OutputConfig) -> None:
        try:
            dial = self._dial(config)
        except (ValueError, OSError) as error:
            self._send(OutputState(config.id, "failed", str(error), 0))
            return
        output = PushOutput(config, dial, self._epoch, self._send, rng=SystemRandom(), clock=time.monotonic)
        self._outputs[config.id] = output
        self._tasks[config.id] = self._group.create_task(output.run())

    def _dial(self, config: OutputConfig) -> Dial:
        """What opens connections to a destination.

        Raises:
            ValueError, OSError: its URL, or the file of certificates, is of no use.
        """
        encoding = self._encodings[config.id]
        if config.kind == "srt":
            return SrtDial(config.url, config.secret, self._audio, clock=time.monotonic)
        if config.kind == "whip":
            # Loaded here: programs without such a destination start without aiortc.
            from rebroadcast.worker.whip.link import WhipDial  # noqa: PLC0415

            return WhipDial(
                config.url,
                config.secret,
                self._audio,
                tls=self._certificates(),
                allow_private=self._config.allow_private,
                clock=time.monotonic,
                codec=encoding.codec if encoding is not None else "h264",
            )
        return RtmpDial(
            config.url,
            self._audio,
            metadata=self._metadata(encoding),
            tls=self._certificates(),
            clock=time.monotonic,
        )

    def _certificates(self) -> ssl.SSLContext:
        """Verifies the host names of TLS destinations."""
        context = ssl.create_default_context()
        if self._config.ca_file:
            context.load_verify_locations(self._config.ca_file)
        return context

    def _metadata(self, encoding: Encoding | None) -> dict[str, Encodable]:
        """What a partner's site is told beside the picture's size; only what is known to be true."""
        values: dict[str, Encodable] = {
            "videocodecid": 7.0,
            "audiocodecid": 10.0,
            "audiodatarate": self._config.audio_bps / 1000,
            "encoder": "Parley",
        }
        if encoding is not None:
            values["framerate"] = float(encoding.fps)
            values["videodatarate"] = encoding.bps / 1000
        return values

    async def _remove(self, output_id: str, *, is_polite: bool = True) -> None:
        output = self._outputs.pop(output_id, None)
        task = self._tasks.pop(output_id, None)
        if output is not None:
            await output.close(is_polite=is_polite)
        if task is not None:
            task.cancel()

    def _deliver(self, items: Sequence[FeedItem]) -> None:
        for item in items:
            for output_id, output in self._outputs.items():
                if item.encoding == self._encodings[output_id] or isinstance(item.frame, EncodedAudio):
                    output.feed(item)

    def _program_cut(self, cut: CutPerson) -> None:
        self._group.create_task(self._cut(cut))

    async def _cut(self, cut: CutPerson) -> None:
        await asyncio.gather(*(output.cut(cut.epoch) for output in list(self._outputs.values())))
        self._send(CutDone(cut.cut_id))

    def _send(self, message: msgspec.Struct) -> None:
        try:
            self._channel.send(message)
        except ControlError as error:
            # The server does not read or is gone: without it no cut can reach this process, so it must end.
            log.warning("control_lost", reason=str(error))
            sys.exit(1)

    def _from_program(self, target: Callable[[T], None]) -> Callable[[T], None]:
        """A callback for the program's thread that runs `target` on the event loop."""

        def call(argument: T) -> None:
            self._loop.call_soon_threadsafe(target, argument)

        return call


def end_with_thread(failed: threading.ExceptHookArgs) -> None:
    """A thread of the program failed: nothing good comes of the process any more, and it is started again."""
    name = failed.thread.name if failed.thread is not None else ""
    log.error("program_thread_failed", code=name, reason=str(failed.exc_value), exc_info=failed.exc_value)
    os._exit(1)


async def main() -> None:
    """Runs one program process."""
    threading.excepthook = end_with_thread
    channel = await ControlChannel.open(socket.socket(fileno=CONTROL_FD))
    try:
        start = await channel.receive(msgspec.msgpack.Decoder(WorkerStart))
        if start is None:
            return
        config = convert_config(start.config, ProgramConfig)
        page = GatePage.open(start.fds["gates"])
        sink = socket.socket(fileno=start.fds["sink"])
        try:
            await Worker(channel, config, page, sink).run()
        finally:
            sink.close()
            page.close()
    finally:
        await channel.close()


if __name__ == "__main__":
    gc.freeze()
    uvloop.run(main())
