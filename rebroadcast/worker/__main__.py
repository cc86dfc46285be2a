"""The program process: `python -m rebroadcast.worker`, started by the server with its channel on fd 3."""

import asyncio
import gc
import socket
import sys
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
from rebroadcast.worker.encode import AudioEncoder
from rebroadcast.worker.feed import Epoch, FeedItem, Output
from rebroadcast.worker.hls_output import HlsOutput
from rebroadcast.worker.messages import (
    HLS_PIECE_BYTES,
    CutDone,
    CutPerson,
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
from rebroadcast.worker.program import Program
from rebroadcast.worker.rtmp.amf0 import Encodable
from rebroadcast.worker.rtmp_output import RtmpOutput

log = structlog.get_logger()

T = TypeVar("T")


class Worker:
    """Joins one program to its outputs and to the server. Everything here runs on the event loop."""

    def __init__(
        self, channel: ControlChannel, config: ProgramConfig, page: GatePage, sink: socket.socket
    ) -> None:
        self._channel = channel
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._audio = AudioEncoder(bps=config.audio_bps)
        self._epoch = Epoch(page, config.epoch_slot)
        self._outputs: dict[str, Output] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group = asyncio.TaskGroup()
        start_ns = time.monotonic_ns()
        make = Passthrough if config.mode == "passthrough" else Composer
        self._program = Program(
            config,
            make(config, self._audio, page, start_ns=start_ns),
            sink,
            start_ns=start_ns,
            deliver=self._from_program(self._deliver),
            keyframe_wanted=self._from_program(lambda tap: self._send(KeyframeWanted(tap))),
            cut_done=self._from_program(self._program_cut),
            slate_changed=self._from_program(lambda reason: self._send(Slate(reason))),
            progress=self._from_program(self._send),
        )

    async def run(self) -> None:
        """Serves until the server says stop or goes away."""
        async with self._group:
            self._program.start()
            try:
                await self._listen()
            finally:
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
                case _:
                    self._program.tell(message)

    def _add(self, config: OutputConfig) -> None:
        known = self._outputs.get(config.id)
        if isinstance(known, RtmpOutput):
            known.move(config.addresses)
        elif known is None and config.kind == "hls":
            self._outputs[config.id] = HlsOutput(
                config.id,
                self._audio,
                self._epoch,
                self._send,
                has_room=lambda: self._channel.waiting_bytes < HLS_PIECE_BYTES,
                segment_s=self._config.segment_s,
            )
        elif known is None:
            self._add_rtmp(config)

    def _add_rtmp(self, config: OutputConfig) -> None:
        try:
            output = RtmpOutput(
                config,
                self._audio,
                self._epoch,
                self._send,
                metadata=self._metadata(),
                rng=SystemRandom(),
                clock=time.monotonic,
            )
        except ValueError as error:
            self._send(OutputState(config.id, "failed", str(error), 0))
            return
        self._outputs[config.id] = output
        self._tasks[config.id] = self._group.create_task(output.run())

    def _metadata(self) -> dict[str, Encodable]:
        """What a partner's site is told beside the picture's size; only what is known to be true."""
        values: dict[str, Encodable] = {
            "videocodecid": 7.0,
            "audiocodecid": 10.0,
            "audiodatarate": self._config.audio_bps / 1000,
            "encoder": "Parley",
        }
        if self._config.mode == "program":
            values["framerate"] = float(self._config.fps)
            values["videodatarate"] = self._config.video_bps / 1000
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
            for output in self._outputs.values():
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


async def main() -> None:
    """Runs one program process."""
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
