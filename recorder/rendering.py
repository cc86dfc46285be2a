"""The process that makes one rendition, from its start to its end."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from media.control import Spawner, WorkerProcess
from recorder.keys import KeyStore
from recorder.render.messages import FromRenderer, RenderConfig, Rendered, RenderFailed, RenderProgress
from recorder.shelf import Held, Shelf

RENDERER: Final = "recorder.render"
"""What the process runs."""


class Renderer:
    """Starts one process for each rendition. `folder_of` is where a recording lies."""

    def __init__(
        self, spawner: Spawner, keys: KeyStore | None, shelf: Shelf, folder_of: Callable[[str], Path]
    ) -> None:
        self._spawner = spawner
        self._keys = keys
        self._shelf = shelf
        self._folder_of = folder_of

    async def run(self, held: Held, progress: Callable[[float], None]) -> str:
        """One life of a rendering process; why it failed, or nothing."""
        worker = await self._spawn(held)
        failure = "the rendering process died"
        try:
            decoder = msgspec.msgpack.Decoder(FromRenderer)
            while (message := await worker.control.receive(decoder)) is not None:
                match message:
                    case RenderProgress(share):
                        progress(share)
                    case Rendered(name, size_bytes, sha256, beside):
                        held.name, held.size_bytes, held.sha256 = name, size_bytes, sha256
                        held.beside = beside
                        failure = ""
                    case RenderFailed(reason):
                        failure = reason
        finally:
            await _end(worker)
        return failure

    async def _spawn(self, held: Held) -> WorkerProcess:
        """Begin the process; when this is cancelled it has ended. Raises: OSError."""
        config = msgspec.to_builtins(self._config(held))
        spawning = asyncio.ensure_future(self._spawner.spawn(RENDERER, {}, config))
        try:
            return await asyncio.shield(spawning)
        except asyncio.CancelledError:
            with suppress(OSError):  # it did not begin
                await _end(await spawning)
            raise

    def _config(self, held: Held) -> RenderConfig:
        wish = held.wish
        return RenderConfig(
            id=held.id,
            keys=self._keys.access(held.recording) if self._keys is not None else None,
            recording=str(self._folder_of(held.recording)),
            folder=str(self._shelf.folder(held)),
            people=held.people,
            format=wish.format,
            layout=wish.layout,
            main=wish.person,
            source=wish.source,
            has_names=wish.names,
            chat=wish.chat,
            width=wish.width,
            height=wish.height,
            fps=wish.fps,
        )


async def _end(worker: WorkerProcess) -> None:
    worker.kill()
    await worker.wait()
    await worker.control.close()
