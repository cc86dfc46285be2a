"""One broadcast as callers know it: the programs that run under one id.

Destinations share a program when they are held back by the same time and people were told of their sites by
the same notice; a destination that is added later on a site that nobody was told of gets a program, and a
notice, of its own.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from rebroadcast.broadcast import Broadcast
from rebroadcast.errors import BroadcastConflict, BroadcastNotFound
from rebroadcast.outlets import Target
from rebroadcast.shown import Showings
from rebroadcast.types import BroadcastInfo, DestinationStatus, Mode
from rooms import Replay

_ORDER: Final = ("running", "starting", "stopping")


class Bundle:
    """The programs of one broadcast. Belongs to the event loop."""

    def __init__(
        self,
        broadcast_id: str,
        room: str,
        mode: Mode,
        programs: Sequence[Broadcast],
        replay: Replay | None = None,
        showings: Showings | None = None,
    ) -> None:
        """`replay`: the recording that is shown, `showings`: who is in it; None of a room."""
        self.id = broadcast_id
        self.room = room
        self.mode: Mode = mode
        self.programs = list(programs)
        self.replay = replay
        self.showings = showings
        self.started_ms = programs[0].started_ms
        self._is_stopping = False

    @property
    def is_ending(self) -> bool:
        """Whether it stops, or has."""
        return self._is_stopping

    @property
    def open_programs(self) -> list[Broadcast]:
        """Those that have not ended."""
        return [program for program in self.programs if not program.is_ending]

    @property
    def destinations(self) -> tuple[DestinationStatus, ...]:
        """How each destination is doing; of one that was taken out and came back, how it is doing now."""
        found = {status.destination: status for program in self.programs for status in program.destinations}
        return tuple(found.values())

    def info(self) -> BroadcastInfo:
        """What callers are shown."""
        states = [program.state for program in self.programs]
        first = next((state for state in _ORDER if state in states), self.programs[0].state)
        is_over = not set(states) & set(_ORDER)
        destinations = self.destinations
        return BroadcastInfo(
            id=self.id,
            room=self.room,
            state=first,
            reason=next((p.reason for p in self.programs if p.state == first and p.reason), None),
            mode=self.mode,
            started_ms=self.started_ms,
            ended_ms=max(p.ended_ms or 0 for p in self.programs) if is_over else None,
            look=None if self.mode == "passthrough" else self.programs[0].look.info(),
            program=next((p.program for p in self.open_programs if p.program is not None), None),
            destinations=destinations,
            replay=self.programs[0].replay,
        )

    def program_for(self, target: Target) -> Broadcast | None:
        """The running program that a destination can join: same delay, and its site was in the notice.

        Raises:
            BroadcastConflict: it is in the broadcast already.
        """
        self._check_new(target.row.id)
        return next(
            (
                program
                for program in self.open_programs
                if program.delay_ms == target.row.delay_ms and program.names(target.partner.id)
            ),
            None,
        )

    def add(self, program: Broadcast) -> None:
        """One more program belongs to it.

        Raises:
            BroadcastConflict: a destination of it is in the broadcast already.
        """
        for destination in program.targets:
            self._check_new(destination)
        self.programs.append(program)

    async def take_out(self, destination: str) -> None:
        """Ends one destination; the others are not disturbed.

        Raises:
            BroadcastNotFound: it is not in it; BroadcastConflict: it is the last one.
        """
        program = next((p for p in self.open_programs if destination in p.targets), None)
        if program is None:
            raise BroadcastNotFound(f"no destination {destination[:64]!r} in this broadcast")
        if sum(len(p.targets) for p in self.open_programs) == 1:
            raise BroadcastConflict("it is the last destination: stop the broadcast instead")
        program.remove(destination, "it was taken out of the broadcast")
        await self.tidy()

    def remove_partner(self, partner: str, reason: str) -> None:
        """Nothing goes to a partner any more, from now on; `tidy` does the rest."""
        for program in self.open_programs:
            for destination, target in list(program.targets.items()):
                if target.partner.id == partner:
                    program.remove(destination, reason)

    async def tidy(self) -> None:
        """Stops programs that go nowhere, and names the sites no longer that nothing goes to."""
        for program in self.open_programs:
            if not program.targets:
                await program.stop(None)
                continue
            served = {target.partner.id for target in program.targets.values()}
            for site in program.activity.sites:
                if site.id not in served:
                    await program.activity.drop_site(site.id)

    def dump(self) -> None:
        """Throws away what the delays hold.

        Raises:
            BroadcastConflict: nothing is held back.
        """
        held = [program for program in self.open_programs if program.delay_ms]
        if not held:
            raise BroadcastConflict("no destination of this broadcast has a delay: there is nothing to dump")
        for program in held:
            program.dump()

    async def stop(self, reason: str | None) -> None:
        """Stops every program; none is added any more."""
        self._is_stopping = True
        async with asyncio.TaskGroup() as group:
            for program in self.programs:
                group.create_task(program.stop(reason))

    def _check_new(self, destination: str) -> None:
        if any(destination in program.targets for program in self.open_programs):
            raise BroadcastConflict("the destination is in this broadcast already")
