"""The process between two TUN devices: `python -m tests.net.relay FD_NEAR FD_FAR`.

Reads commands from stdin, one JSON object a line: {"up": {...}, "down": {...}} sets `Conditions` of the
direction from far to near and from near to far; {"nat": {...}} sets the `Nat` at the near end;
{"report": true} is answered on stdout by one line with both `Report`s.
"""

import dataclasses
import json
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.net.nat import Nat
from tests.net.shaper import Conditions, Shaper

_PACKET = 65_536


def _conditions(fields: dict[str, Any]) -> Conditions:
    return Conditions(**{**fields, "blocked": frozenset(fields.get("blocked", ()))})


@dataclass(slots=True)
class Relay:
    """Both directions, and the translation between them and the near side."""

    up: Shaper
    down: Shaper
    nat: Nat

    def obey(self, line: bytes) -> None:
        """Carry out one command."""
        command = json.loads(line)
        for name, shaper in (("up", self.up), ("down", self.down)):
            if name in command:
                shaper.conditions = _conditions(command[name])
        if "nat" in command:
            self.nat = Nat(**command["nat"])
        if command.get("report"):
            ways = {"up": self.up, "down": self.down}
            answer = {name: dataclasses.asdict(way.report()) for name, way in ways.items()}
            print(json.dumps(answer), flush=True)

    def read_near(self, descriptor: int) -> None:
        """Take what this side sent."""
        for packet in _waiting(descriptor):
            translated = self.nat.down(packet)
            if translated is not None:
                self.down.receive(translated, time.monotonic())

    def read_far(self, descriptor: int) -> None:
        """Take what the far side sent."""
        for packet in _waiting(descriptor):
            self.up.receive(packet, time.monotonic())

    def deadline(self) -> float | None:
        """When something arrives next."""
        return min((at for at in (self.up.deadline(), self.down.deadline()) if at is not None), default=None)


def _waiting(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            yield os.read(descriptor, _PACKET)
        except OSError:  # nothing more, or the device is down
            return


def _write_due(descriptor: int, shaper: Shaper, translate: Callable[[bytes], bytes | None]) -> None:
    for packet in shaper.poll(time.monotonic()):
        translated = translate(packet)
        if translated is None:
            continue
        try:
            os.write(descriptor, translated)
        except OSError:  # no room, or the device is down: lost
            continue


def main(near: int, far: int) -> None:
    """Relay until stdin closes."""
    relay = Relay(Shaper(seed=1), Shaper(seed=2), Nat())
    rest = b""
    poll = select.poll()
    for descriptor in (near, far, 0):
        poll.register(descriptor, select.POLLIN)
    while True:
        due = relay.deadline()
        ready = dict(poll.poll(1000.0 if due is None else max(0.0, (due - time.monotonic()) * 1000)))
        if 0 in ready:
            data = os.read(0, _PACKET)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                relay.obey(line)
        if near in ready:
            relay.read_near(near)
        if far in ready:
            relay.read_far(far)
        _write_due(far, relay.down, lambda packet: packet)
        _write_due(near, relay.up, relay.nat.up)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
