"""Composed files of finished recordings: queued, made by a process of their own, kept, removed.

One that a crash cut short goes on where it was. Copies of one person's own files, which cost next to nothing,
do not wait behind films.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, Literal, Protocol, TypeVar

import msgspec
import structlog

from media.control import ControlError, Spawner
from media.sealed import SealError
from media.tasks import TaskScope
from recorder.archivist import Archivist, shelf_of
from recorder.erasure import withdrawn
from recorder.errors import RecorderError, RecorderUnavailable, RecordingConflict, RecordingNotFound
from recorder.keys import KeyStore
from recorder.manifest import Manifest
from recorder.reading import OpenFile
from recorder.rendering import Renderer
from recorder.shelf import Held, Shelf
from recorder.transfers import Transfer, Transfers
from recorder.types import ErasedCopy, RenderWish, RenditionInfo
from store import Store, StoreError, new_id

_LOOK_AGAIN_S: Final = 5.0
WAITING_MOST: Final = 16
"""Films, and copies, that may wait on this server."""
PER_RECORDING_MOST: Final = 16
"""Films of a recording."""
_WITHHELD: Final = "somebody in it has withdrawn: it is made again without them when the legal hold ends"
_REMOVED: Final = "it is being removed"
_log = structlog.get_logger("recorder")
T = TypeVar("T")
Agreeing = Callable[[str, Collection[str], Literal["record", "replay"]], Awaitable[Sequence[str]]]
"""Those of some people in a recording who agree to a use of it now. Raises: RecordingNotFound, StoreError."""


class Lack(Protocol):
    """Tells why there is no CPU time for a film."""

    def __call__(self, *, has_begun: bool) -> str | None:
        """The reason, for one that is to begin or has; None when there is time."""


class Renditions:
    """The renditions of this node; one film and one copy are made at a time. Belongs to one event loop.

    `manifest_of` is the verified manifest of a finished recording, or RecordingNotFound, RecordingConflict;
    `folder_of` is where a recording lies; `agreeing` are those who agree to a use of it now; `readers` read
    what is downloaded, which is among `transfers` meanwhile.
    """

    def __init__(
        self,
        store: Store,
        spawner: Spawner,
        keys: KeyStore | None,
        disk: Executor,
        readers: Executor,
        archivist: Archivist,
        transfers: Transfers,
        *,
        wall_ms: Callable[[], int],
        folder_of: Callable[[str], Path],
        manifest_of: Callable[[str], Awaitable[Manifest]],
        agreeing: Agreeing,
    ) -> None:
        self._store = store
        self._disk = disk
        self._readers = readers
        self._archivist = archivist
        self._transfers = transfers
        self._wall_ms = wall_ms
        self._folder_of = folder_of
        self._manifest_of = manifest_of
        self._agreeing = agreeing
        self._shelf = Shelf(store, keys)
        self._renderer = Renderer(spawner, keys, self._shelf, folder_of)
        self._held: dict[str, Held] = {}
        self._progress: dict[str, float] = {}
        self._wake = asyncio.Event()
        self._making: dict[str, asyncio.Task[None]] = {}
        self._lack: Lack = _none
        self._scope = TaskScope("renditions")

    async def open(self) -> None:
        """Begin; what a crash left undone is done. Raises: OSError."""
        for held in await self._blocking(self._shelf.notes):
            self._held[held.id] = held
        await self._scope.open()
        self._scope.start(self._work(is_copy=False), "rendering")
        self._scope.start(self._work(is_copy=True), "copying")

    def yield_to(self, lack: Lack) -> None:
        """Films wait, and one that is being made goes back to the queue, while `lack` says why."""
        self._lack = lack
        self._wake.set()

    async def close(self) -> None:
        """Stop; what is being made goes on at the next start."""
        await self._scope.close()

    async def render(self, recording: str, wish: RenderWish) -> RenditionInfo:
        """Queue one of a finished recording; a copy that is there already is not made again.

        Raises: RecorderUnavailable when too many wait; RecordingConflict; RecordingNotFound: no such person,
        or nothing of that source.
        """
        manifest, present = await self._people(recording)
        if wish.person and wish.person not in present:
            raise RecordingNotFound(
                f"nobody called {wish.person[:64]!r} is in the recording: see its manifest"
            )
        is_copy = wish.layout == "copy"
        if is_copy:
            _check_copy(manifest, wish)
            same = self._same_copy(recording, wish)
            if same is not None:
                return self._info(same)
        alike = [held for held in self._held.values() if held.is_copy == is_copy]
        if sum(not held.is_made for held in alike) >= WAITING_MOST:
            raise RecorderUnavailable(f"{WAITING_MOST} renditions wait already: try again when some are made")
        if not is_copy and sum(held.recording == recording for held in alike) >= PER_RECORDING_MOST:
            raise RecordingConflict(
                f"the recording has {PER_RECORDING_MOST} renditions: remove one that is not needed"
            )
        held = Held(id=new_id("rnd"), recording=recording, wish=wish, created_ms=self._wall_ms())
        self._held[held.id] = held
        await self._note(held)
        self._wake.set()
        return self._info(held)

    def of(self, recording: str) -> Sequence[RenditionInfo]:
        """The renditions of a recording, newest first."""
        found = sorted(self._of(recording), key=lambda held: -held.created_ms)
        return [self._info(held) for held in found]

    def get(self, recording: str, rendition: str) -> RenditionInfo:
        """One of them. Raises: RecordingNotFound."""
        return self._info(self._known(recording, rendition))

    async def shown(self, recording: str, use: Literal["record", "replay"]) -> frozenset[str]:
        """Who of a finished recording may be shown for a use, by what the ledger says of each now.

        Raises: RecordingNotFound, RecordingConflict, StoreError.
        """
        _, present = await self._people(recording)
        return frozenset(await self._agreeing(recording, present, use))

    async def agree(self, recording: str, people: Collection[str], use: Literal["record", "replay"]) -> bool:
        """Whether all of these people agree to a use of it now. Raises: RecordingNotFound, StoreError."""
        return len(await self._agreeing(recording, people, use)) == len(people)

    async def open_file(
        self, recording: str, rendition: str, name: str, use: Literal["record", "replay"] | None = None
    ) -> OpenFile | None:
        """A finished one, or a file beside it, open to be read; None without such a file.

        `use`: what everybody in it has to agree to, now and as long as it is read.
        Raises: RecordingNotFound; RecordingConflict while it is not finished, when somebody in it has
        withdrawn or does not agree, or when it is damaged; RecorderUnavailable when too many are read.
        """
        held = self._known(recording, rendition)
        with self._transfers.opening(recording, held.people, rendition=held.id, use=use) as transfer:
            if use is not None and not await self.agree(recording, held.people, use):
                raise RecordingConflict(
                    "somebody in it does not agree to it any more: it has to be made again"
                )
            return await self._opened(held, name, transfer)

    async def _opened(self, held: Held, name: str, transfer: Transfer) -> OpenFile | None:
        gone = await self._blocking(lambda: withdrawn(self._folder_of(held.recording)))
        state = "withheld" if gone & set(held.people) else held.state
        if state != "finished":
            raise RecordingConflict(f"the rendition is {state}: it can be fetched when it is finished")
        if name not in held.files:
            return None
        try:
            elsewhere = self._archivist.opener(_place(held))
            file, size_bytes = await asyncio.get_running_loop().run_in_executor(
                self._readers, lambda: self._shelf.open(held, name, elsewhere)
            )
        except FileNotFoundError:
            return None
        except SealError as error:
            raise RecordingConflict(f"the file cannot be read: {error}") from error
        return OpenFile(file, size_bytes, self._readers, self._transfers, transfer)

    async def remove(self, recording: str, rendition: str) -> None:
        """Remove one, whatever its state.

        Raises: RecordingNotFound; RecordingConflict when a legal hold keeps the recording; StoreError.
        """
        held = self._known(recording, rendition)
        if held.is_made and await self._store.holds.held([recording]):
            raise RecordingConflict("a legal hold keeps the recording and its renditions: release it first")
        await self._discard(held)

    async def remove_all(self, recording: str) -> None:
        """Remove every one of a recording."""
        for held in self._of(recording):
            await self._discard(held)
        await self._blocking(lambda: self._shelf.forget(recording))

    async def erase(self, recording: str, person: str, *, is_held: bool) -> None:
        """Take what holds a person out of use, and make it again without them.

        Under a legal hold what is made stays where it is, sealed, until this is called again without one.
        """
        for held in self._of(recording):
            is_made, is_theirs = held.is_made, held.is_of_one and held.wish.person == person
            if person not in held.people and (is_made or (held.is_of_one and not is_theirs)):
                continue
            had = person in held.people
            held.state, held.reason = "withheld", _WITHHELD  # nobody begins it meanwhile
            self._transfers.end(recording, held.id)
            if is_made and is_held:
                await self._note(held)
                continue
            if had:
                copy = self._erased_copy(held, "removed" if is_theirs else "made_again")
                await self._blocking(partial(self._shelf.note_erased, recording, person, copy))
            if is_theirs:
                await self._discard(held)  # nothing of it is left to be made
            else:
                await self._begin_again(held, person)
        self._wake.set()

    async def erasures(self, recording: str, person: str) -> tuple[ErasedCopy, ...]:
        """What came of a person's withdrawals in the renditions of a recording. Raises: OSError."""
        found = await self._blocking(lambda: self._shelf.erased(recording, person))
        for held in self._of(recording):
            if held.state == "withheld" and person in held.people:
                found[held.id] = self._erased_copy(held, "withheld")
        return tuple(found.values())

    # Making

    async def _work(self, *, is_copy: bool) -> None:
        while True:
            self._wake.clear()
            waiting = [held for held in self._held.values() if held.is_copy == is_copy and not held.is_made]
            if not waiting:
                await self._wake.wait()
                continue
            held = min(waiting, key=lambda held: held.created_ms)
            held.reason = None if is_copy else self._lack(has_begun=False)
            if held.reason is not None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_AGAIN_S):
                        await self._wake.wait()
                continue
            task = asyncio.create_task(self._make_or_fail(held), name="rendition")
            self._making[held.id] = task
            try:
                if is_copy:
                    await asyncio.wait({task})
                else:
                    await self._wait_or_give_way(held, task)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                del self._making[held.id]
            if not task.cancelled():
                task.result()
            elif held.state == "rendering":
                held.state = "queued"  # it gave way; the pieces that are whole stay

    async def _wait_or_give_way(self, held: Held, task: asyncio.Task[None]) -> None:
        """Wait for the end of a film's making, or until there is no CPU time for it.

        One that is made already does not give way: its end is noted, and it goes to the archive.
        """
        while not task.done() and (held.state != "rendering" or self._lack(has_begun=True) is None):
            await asyncio.wait({task}, timeout=_LOOK_AGAIN_S)

    async def _make_or_fail(self, held: Held) -> None:
        try:
            await self._make(held)
        except RecordingNotFound:  # it was deleted just as this was asked for
            self._held.pop(held.id, None)
            await self._destroy(held)
        except (OSError, ControlError, StoreError, RecorderError, msgspec.MsgspecError) as error:
            await self._ended(held, "failed", str(error))

    async def _make(self, held: Held) -> None:
        """Have it made, once, by whoever may be in it now."""
        people = await self._allowed(held)
        if people != held.people:
            await self._empty(held)
        if held.is_copy and not people:
            await self._ended(held, "failed", "the person does not agree to it any more")
            return
        held.state, held.people = "rendering", people
        await self._note(held)
        try:
            async with self._archivist.here(shelf_of(held.recording)):
                failure = await self._renderer.run(held, partial(self._progress.__setitem__, held.id))
        finally:
            self._progress.pop(held.id, None)
        if not failure and await self._allowed(held) != people:
            held.state = "queued"  # somebody changed their mind meanwhile
            return
        await self._ended(held, "failed" if failure else "finished", failure or None)

    async def _ended(self, held: Held, state: str, reason: str | None) -> None:
        if held.id not in self._held:
            return
        held.state, held.reason = state, reason
        await self._note(held)
        if state == "finished":
            self._archivist.add(_place(held))
        _log.info("rendition_ended", recording=held.recording, code=state, reason=reason)

    async def _people(self, recording: str) -> tuple[Manifest, list[str]]:
        """The manifest, and everybody in it who has not withdrawn.

        Raises: RecordingNotFound, RecordingConflict.
        """
        manifest = await self._manifest_of(recording)
        gone = await self._blocking(lambda: withdrawn(self._folder_of(recording)))
        return manifest, [entry.person for entry in manifest.people if entry.person not in gone]

    async def _allowed(self, held: Held) -> tuple[str, ...]:
        """Who may be in it, by what the ledger says of each now. Raises: RecorderError, StoreError."""
        _, people = await self._people(held.recording)
        if held.is_of_one:
            people = [person for person in people if person == held.wish.person]
        return tuple(await self._agreeing(held.recording, people, held.wish.use))

    # Removing

    async def _begin_again(self, held: Held, person: str) -> None:
        """Destroy what there is of it, and make it without a person."""
        await self._stop_making(held.id)
        await self._empty(held)
        if held.wish.person == person:
            held.wish = replace(held.wish, person="")
        if held.id in self._held:
            held.unmake()
            await self._note(held)

    async def _stop_making(self, rendition: str) -> None:
        """What makes it has ended when this returns."""
        task = self._making.get(rendition)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _discard(self, held: Held) -> None:
        """It stays known, without its key, until the archive has let it go too. Raises: OSError."""
        held.state, held.reason = "withheld", _REMOVED
        self._transfers.end(held.recording, held.id)
        await self._stop_making(held.id)
        await self._destroy(held)
        self._held.pop(held.id, None)

    def _erased_copy(self, held: Held, outcome: Literal["removed", "made_again", "withheld"]) -> ErasedCopy:
        files = tuple(name for name in (held.name, *held.beside) if name)
        return ErasedCopy(held.id, held.wish.layout, outcome, files, self._wall_ms())

    # Looking

    def _same_copy(self, recording: str, wish: RenderWish) -> Held | None:
        return next(
            (
                held
                for held in self._of(recording)
                if held.is_copy
                and held.state != "failed"
                and (held.wish.person, held.wish.source, held.wish.use)
                == (wish.person, wish.source, wish.use)
            ),
            None,
        )

    def _of(self, recording: str) -> list[Held]:
        return [held for held in self._held.values() if held.recording == recording]

    def _info(self, held: Held) -> RenditionInfo:
        return RenditionInfo(
            id=held.id,
            recording=held.recording,
            state=held.state,
            reason=held.reason,
            progress=1.0 if held.state == "finished" else round(self._progress.get(held.id, 0.0), 3),
            created_ms=held.created_ms,
            name=held.name or None,
            size_bytes=held.size_bytes,
            sha256=held.sha256 or None,
            people=held.people,
            wish=held.wish,
            beside=held.beside,
        )

    def _known(self, recording: str, rendition: str) -> Held:
        held = self._held.get(rendition)
        if held is None or held.recording != recording:
            raise RecordingNotFound(f"the recording has no rendition {rendition[:64]!r}")
        return held

    async def _note(self, held: Held) -> None:
        await self._blocking(lambda: self._shelf.note(held))

    async def _empty(self, held: Held) -> None:
        """Destroy what was made of it; its note stays. Raises: OSError."""
        await self._lose(held)
        await self._blocking(lambda: self._shelf.empty(held))

    async def _destroy(self, held: Held) -> None:
        """Raises: OSError."""
        await self._lose(held)
        await self._blocking(lambda: self._shelf.destroy(held))

    async def _lose(self, held: Held) -> None:
        """Its key first, then what is archived of it. Raises: OSError."""
        self._transfers.end(held.recording, held.id)
        await self._blocking(lambda: self._shelf.destroy_key(held))
        await self._archivist.remove(_place(held))

    async def _blocking(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)


def _none(*, has_begun: bool) -> None:
    """Nothing is known that anybody would have to wait for."""


def _check_copy(manifest: Manifest, wish: RenderWish) -> None:
    sources = {wish.source, {"camera": "mic", "screen": "screen_audio"}[wish.source]}
    if not wish.person:
        raise RecordingConflict("a copy is of one person: say whose in person")
    if not any(file.person == wish.person and file.source in sources for file in manifest.files):
        raise RecordingNotFound(f"nothing of that person's {wish.source} is in the recording")


def _place(held: Held) -> str:
    return shelf_of(held.recording, held.id)
