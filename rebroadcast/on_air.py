"""The broadcasts that run on this node: found by their ids, counted, noted in the store, and ended."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import structlog

from media.cpu_use import Machine
from media.tasks import TaskScope
from rebroadcast.admission import Load, admit, expected_cores, lack, load_of
from rebroadcast.broadcast import Broadcast
from rebroadcast.bundle import Bundle
from rebroadcast.encodings import check_few
from rebroadcast.errors import BroadcastConflict, BroadcastNotFound
from rebroadcast.hls_view import HlsView
from rebroadcast.opening import ReplayWish, Wish
from rebroadcast.outlets import Target
from rebroadcast.reached import KEY as REACHED
from rebroadcast.reached import kept
from rebroadcast.registry import blocked
from rebroadcast.shown import KEY as SHOWN
from rebroadcast.types import RebroadcastConfig
from rebroadcast.worker.messages import Encoding
from store import BroadcastState, Store, StoreError

log = structlog.get_logger("rebroadcast")

_GOOD_ENDS = frozenset({"closed", "room_closed", "shutting_down", "ended"})


class OnAir:
    """Belongs to one event loop. `scope` runs what ends by itself; rooms live on the same `machine`."""

    def __init__(self, store: Store, config: RebroadcastConfig, scope: TaskScope, machine: Machine) -> None:
        self._store = store
        self._config = config
        self._scope = scope
        self._machine = machine
        self._starting: Counter[str] = Counter()
        self._starting_cores: list[float] = []
        self._shut_out: set[str] = set()
        self.bundles: dict[str, Bundle] = {}
        self.wishes: dict[str, Wish | ReplayWish] = {}

    @contextmanager
    def starting(self, room: str, mode: str, wanted: Sequence[Collection[Encoding]]) -> Iterator[None]:
        """One more begins within this, of programs that encode what is `wanted`; it counts from then on.

        Raises:
            BroadcastConflict: the room runs as many as it may; BroadcastTooDear.
        """
        running = [bundle for bundle in self.bundles.values() if bundle.room == room]
        if len(running) + self._starting[room] >= self._config.broadcasts_per_room:
            raise BroadcastConflict(f"the room runs {len(running)} broadcasts already: stop one first")
        cores = sum(map(expected_cores, wanted)) if mode == "program" else 0.0
        if mode == "program":
            admit(self.load(), cores)
        self._starting[room] += 1
        self._starting_cores.append(cores)
        try:
            yield
        finally:
            self._starting -= Counter([room])
            self._starting_cores.remove(cores)

    def admit_to(self, program: Broadcast | None, target: Target) -> None:
        """Lets a destination join a program that runs, or (None) begin one of its own.

        Raises:
            BroadcastInvalid: too many different encodings; BroadcastTooDear.
        """
        known = program.encodings if program is not None else frozenset()
        wanted = known | set(target.encodings)
        check_few(wanted)
        more = expected_cores(wanted) - expected_cores(known)
        if more:
            admit(self.load(), more, what="another encoding" if known else "one more")

    def lack_of_cores(self, *, has_begun: bool) -> str | None:
        """Why there is no CPU time for work that can wait, or for going on with it; None when there is."""
        return lack(self.load(), has_begun=has_begun)

    def load(self) -> Load:
        """What goes on here, as admission sees it."""
        bundles = [bundle for bundle in self.bundles.values() if bundle.mode == "program"]
        made = [(p.process, p.encodings) for bundle in bundles for p in bundle.open_programs]
        return load_of(self._machine, self._config, made, filter(None, self._starting_cores))

    async def begin(self, bundle: Bundle, wish: Wish | ReplayWish) -> None:
        """It runs from now on; when it cannot, nothing is left of it.

        Raises:
            BroadcastConflict: a partner was blocked meanwhile.
        """
        self.bundles[bundle.id], self.wishes[bundle.id] = bundle, wish
        try:
            for program in bundle.programs:
                self.check_open(*program.targets.values())
            for program in bundle.programs:
                await program.start()
        except BaseException as error:
            await self.finish(bundle, str(error))
            raise

    async def join(self, bundle: Bundle, program: Broadcast) -> None:
        """One more program of a broadcast begins; when it cannot, nothing is left of it.

        Raises:
            BroadcastNotFound: the broadcast was stopped meanwhile; BroadcastConflict: a destination came into
            it meanwhile, or its partner was blocked.
        """
        try:
            self.check_open(*program.targets.values())
            self.bundle(bundle.id).add(program)
            await program.start()
            self.bundle(bundle.id)
        except BaseException:
            await program.stop()
            raise

    def bundle(self, broadcast: str) -> Bundle:
        """One that runs. Raises: BroadcastNotFound."""
        bundle = self.bundles.get(broadcast)
        if bundle is None or bundle.is_ending:
            raise BroadcastNotFound(f"no broadcast {broadcast[:64]!r} runs")
        return bundle

    def program(self, program: str) -> Broadcast | None:
        """The program of that id."""
        return next(
            (p for bundle in self.bundles.values() for p in bundle.programs if p.activity.id == program),
            None,
        )

    def view(self, program: str, destination: str) -> HlsView | None:
        """What players of that destination find, while the program of that id serves it."""
        found = self.program(program)
        target = None if found is None or found.is_ending else found.targets.get(destination)
        if found is None or target is None or target.row.kind != "hls":
            return None
        is_chat_drawn = found.mode == "program" and found.look.has_chat
        return found.hls.view(target.renditions, is_chat_drawn=is_chat_drawn)

    def uses(self, destination: str) -> bool:
        """Whether something goes to that destination."""
        return any(destination in p.targets for b in self.bundles.values() for p in b.open_programs)

    def of_recording(self, recording: str) -> list[Bundle]:
        """The replays of a recording."""
        return [
            bundle
            for bundle in self.bundles.values()
            if bundle.replay is not None and bundle.replay.of.recording == recording
        ]

    def kill(self, program: str, reason: str) -> None:
        """Ends a program process at once."""
        running = self.program(program)
        if running is not None:
            running.kill(reason)

    def ended(self, broadcast: str, reason: str) -> None:
        """A broadcast came to its end by itself: the room closed, or the recording is over."""
        bundle = self.bundles.get(broadcast)
        if bundle is not None:
            why = None if reason in _GOOD_ENDS else reason
            self._scope.start(self.finish(bundle, why), f"end {broadcast}")

    def end(self, broadcast: str, reason: str) -> None:
        """Stops one that need not go on; it is told as stopped, with the reason."""
        bundle = self.bundles.get(broadcast)
        if bundle is not None and not bundle.is_ending:
            self._scope.start(self._stop(bundle, reason), f"end {broadcast}")

    def shown(self, broadcast: str) -> None:
        """Other people are in a replay than before: it is kept soon."""
        bundle = self.bundles.get(broadcast)
        if bundle is not None:
            self._scope.start(self._note_quietly(bundle), "shown")

    def check_open(self, *targets: Target) -> None:
        """The last look before anything can go there: a partner may have been shut out since it was chosen.

        Nothing may be waited for between this and the beginning.

        Raises:
            BroadcastConflict: one was.
        """
        for target in targets:
            if target.partner.id in self._shut_out:
                raise blocked(target.partner)

    def let_in(self, partner: str) -> None:
        """What the store says of a partner counts again."""
        self._shut_out.discard(partner)

    async def shut_out(self, partner: str) -> None:
        """Ends what goes to a partner; when this returns nothing does, and nothing begins until `let_in`."""
        self._shut_out.add(partner)
        reason = "the partner was blocked"
        bundles = list(self.bundles.values())
        for bundle in bundles:
            bundle.remove_partner(partner, reason)
        for bundle in bundles:
            await bundle.tidy()
            if not bundle.open_programs:
                await self.finish(bundle, reason)

    async def note(self, bundle: Bundle) -> None:
        """Keeps where a broadcast went, destinations that were taken out included. Raises: StoreError."""
        row = await self._store.broadcasts.get(bundle.id)
        now = (status.destination for status in bundle.destinations)
        destinations = tuple(dict.fromkeys([*row.destinations, *now]))
        programs = {key: set(served) for key, served in row.details.get("programs", {}).items()}
        for status in bundle.destinations:
            programs.setdefault(status.program, set()).add(status.destination)
        details = {
            **row.details,
            "programs": {key: sorted(served) for key, served in programs.items()},
            REACHED: {**row.details.get(REACHED, {}), **kept(bundle.destinations)},
        }
        if bundle.showings is not None:
            details[SHOWN] = bundle.showings.kept()
        await self._store.broadcasts.change(bundle.id, destinations=destinations, details=details)

    async def finish(self, bundle: Bundle, reason: str | None) -> None:
        """Stops one, and closes the book on it. Raises: StoreError."""
        await bundle.stop(reason)
        ended = bundle.info()
        try:
            if ended.replay is not None:
                await self.note(bundle)
                row = await self._store.broadcasts.get(bundle.id)
                came = {"position_ms": ended.replay.position_ms, "duration_ms": ended.replay.duration_ms}
                replay = {**row.details.get("replay", {}), **came, "turn": ended.replay.turn}
                await self._store.broadcasts.change(bundle.id, details={**row.details, "replay": replay})
            await self._store.broadcasts.change(
                bundle.id,
                state=BroadcastState(ended.state),
                reason=ended.reason or reason or "",
                stopped_at_ms=ended.ended_ms,
            )
        finally:
            self.bundles.pop(bundle.id, None)
            self.wishes.pop(bundle.id, None)

    async def _stop(self, bundle: Bundle, reason: str) -> None:
        log.info("broadcast_ended", broadcast=bundle.id, room=bundle.room, reason=reason)
        await bundle.stop(None)
        await self.finish(bundle, reason)

    async def _note_quietly(self, bundle: Bundle) -> None:
        try:
            await self.note(bundle)
        except StoreError as error:
            # What is shown goes on; the next change, or the end, is noted with everything before it.
            log.warning("showing_not_noted", broadcast=bundle.id, reason=str(error))
