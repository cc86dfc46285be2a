"""The process between two TUN devices: `python -m tests.net.relay FD_NEAR FD_FAR`.

Reads commands from stdin, one JSON object a line: {"up": {...}, "down": {...}} sets `Conditions` of the
direction from far to near and from near to far; {"report": true} is answered on stdout by one line with both
`Report`s.
"""

import dataclasses
import json
import os
import select
import sys
import time
from typing import Any

from tests.net.shaper import Conditions, Shaper

_PACKET = 65_536


def _conditions(fields: dict[str, Any]) -> Conditions:
    return Conditions(**{**fields, "blocked": frozenset(fields.get("blocked", ()))})


def _command(line: bytes, up: Shaper, down: Shaper) -> None:
    command = json.loads(line)
    for name, shaper in (("up", up), ("down", down)):
        if name in command:
            shaper.conditions = _conditions(command[name])
    if command.get("report"):
        answer = {"up": dataclasses.asdict(up.report()), "down": dataclasses.asdict(down.report())}
        print(json.dumps(answer), flush=True)


def _read_all(descriptor: int, shaper: Shaper) -> None:
    while True:
        try:
            packet = os.read(descriptor, _PACKET)
        except BlockingIOError:
            return
        except OSError:  # the device is down
            return
        shaper.receive(packet, time.monotonic())


def _write_due(descriptor: int, shaper: Shaper) -> None:
    for packet in shaper.poll(time.monotonic()):
        try:
            os.write(descriptor, packet)
        except OSError:  # no room, or the device is down: lost
            continue


def main(near: int, far: int) -> None:
    """Relay until stdin closes."""
    up, down = Shaper(seed=1), Shaper(seed=2)
    rest = b""
    poll = select.poll()
    for descriptor in (near, far, 0):
        poll.register(descriptor, select.POLLIN)
    while True:
        due = [at for at in (up.deadline(), down.deadline()) if at is not None]
        wait_ms = max(0.0, (min(due) - time.monotonic()) * 1000) if due else 1000.0
        ready = dict(poll.poll(wait_ms))
        if 0 in ready:
            data = os.read(0, _PACKET)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                _command(line, up, down)
        if near in ready:
            _read_all(near, down)
        if far in ready:
            _read_all(far, up)
        _write_due(far, down)
        _write_due(near, up)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
