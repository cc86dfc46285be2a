"""Has a folder finished (or a person erased from it) by a worker process, and signs what it drafted."""

import asyncio
from concurrent.futures import Executor
from pathlib import Path
from typing import Final, assert_never

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from media.control import ControlError, Spawner
from recorder import names
from recorder.data_keys import KeyAccess
from recorder.errors import ManifestInvalid, RecorderError
from recorder.files import replace_file
from recorder.keys import KeyStore
from recorder.manifest import Manifest, parse_draft, sign
from recorder.worker.messages import (
    CutDone,
    EraseConfig,
    Failed,
    FinishConfig,
    Finished,
    FinishProgress,
    Flushed,
    FromWorker,
    KeyframeWanted,
    Progress,
    Ready,
)

WORKER: Final = "recorder.worker"
DRAFT_MAX_BYTES: Final = 64 << 20
_SILENCE_S: Final = 600.0
"""A worker that says nothing for so long hangs: one file takes no longer."""
_log = structlog.get_logger("recorder")


class FinishFailed(RecorderError):
    """The folder could not be finished."""

    code = "finish_failed"

    def __init__(self, reason: str, *, is_full: bool = False) -> None:
        """`is_full`: for want of room on the disk; with some it can be done."""
        super().__init__(reason)
        self.is_full = is_full


class Signer:
    """Runs finishing workers and signs manifests with this installation's key.

    `keys`: of what is sealed. `disk` runs what blocks on the disk.
    """

    def __init__(
        self, spawner: Spawner, key: Ed25519PrivateKey, disk: Executor, keys: KeyStore | None
    ) -> None:
        self._spawner = spawner
        self._key = key
        self._disk = disk
        self._keys = keys

    @property
    def public_key(self) -> bytes:
        """The 32 bytes that verify this installation's manifests."""
        return self._key.public_key().public_bytes_raw()

    async def finish(self, folder: Path) -> Manifest:
        """Finish a folder that no worker writes. Raises: FinishFailed, OSError."""
        return await self._run(folder, FinishConfig(folder=str(folder), keys=self._access(folder)))

    async def erase(self, folder: Path, person: str, archived: dict[str, str]) -> Manifest:
        """Take a person out of a finished folder; `archived`: digests of files that need not be on the disk.

        Raises: FinishFailed, OSError.
        """
        access = self._access(folder)
        config = EraseConfig(folder=str(folder), person=person, keys=access, archived=archived)
        return await self._run(folder, config)

    def _access(self, folder: Path) -> KeyAccess | None:
        return self._keys.access(folder.name) if self._keys is not None else None

    async def _run(self, folder: Path, config: FinishConfig | EraseConfig) -> Manifest:
        worker = await self._spawner.spawn(WORKER, {}, msgspec.to_builtins(config))
        decoder = msgspec.msgpack.Decoder(FromWorker)
        failure = "the worker died"
        is_finished = is_full = False
        try:
            while True:
                async with asyncio.timeout(_SILENCE_S):
                    message = await worker.control.receive(decoder)
                match message:
                    case None:
                        break
                    case Finished():
                        is_finished = True
                    case Failed():
                        failure = f"{message.reason}: {message.detail}"
                        is_full = message.reason == "disk_full"
                    case FinishProgress():
                        _log.debug("file_finished", count=message.done)
                    case Ready() | CutDone() | KeyframeWanted() | Progress() | Flushed():
                        pass  # of a worker that records
                    case _:
                        assert_never(message)
        except (ControlError, TimeoutError) as error:
            failure = f"the worker was ended: {error or 'it said nothing'}"
        finally:
            worker.kill()
            await worker.wait()
            await worker.control.close()
        if not is_finished:
            raise FinishFailed(failure, is_full=is_full)
        return await asyncio.get_running_loop().run_in_executor(self._disk, self._sign, folder)

    def _sign(self, folder: Path) -> Manifest:
        draft = folder / names.DRAFT
        with draft.open("rb") as file:
            content = file.read(DRAFT_MAX_BYTES + 1)
        if len(content) > DRAFT_MAX_BYTES:
            raise FinishFailed("the manifest is too large")
        try:
            manifest = parse_draft(content)
        except ManifestInvalid as error:
            raise FinishFailed(str(error)) from error
        replace_file(folder / names.MANIFEST, sign(manifest, self._key))
        draft.unlink()
        return manifest
