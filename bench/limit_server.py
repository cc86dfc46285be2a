"""The machine's bare limit in the server's place: receive, unprotect, copy, protect, send, no more."""

import asyncio
from typing import Any

from bench import child, keys, plan
from sfu.engine import BareRelay, load_srtp, session_address


class Relay:
    """A `Half`: one native thread that sends what it receives to everybody, each with keys of their own."""

    def __init__(self) -> None:
        self._relay = BareRelay(load_srtp(), "127.0.0.1")
        self._sessions: list[object] = []

    def port(self) -> int:
        """See `Half`."""
        return self._relay.port

    async def build(self, run: plan.Plan, addresses: dict[int, tuple[str, int]]) -> None:
        """See `Half`."""
        senders = [leg for leg in run.legs if leg.sends]
        for leg in senders:
            rx = keys.inbound(run.profile, leg.up_key)
            self._sessions.append(rx)
            self._relay.add_publisher(
                *addresses[leg.transport],
                session_address(rx),
                run.profile,
                keys.master(run.profile, leg.up_key),
            )
        for leg in run.legs:
            if leg.watches:
                tx = keys.outbound(run.profile, leg.down_key)
                self._sessions.append(tx)
                missed = [
                    place for place, sender in enumerate(senders) if sender.transport not in leg.watches
                ]
                self._relay.add_receiver(
                    *addresses[leg.transport],
                    session_address(tx),
                    run.profile,
                    keys.master(run.profile, leg.down_key),
                    missed[0] if missed else -1,
                )
        self._relay.start()

    async def counters(self) -> dict[str, int]:
        """See `Half`."""
        return {"datagrams_sent": self._relay.packets, "messages_sent": self._relay.messages}

    async def close(self) -> None:
        """See `Half`."""
        self._relay.stop()


def _make(_fields: dict[str, Any]) -> Relay:
    return Relay()


if __name__ == "__main__":
    asyncio.run(child.serve(_make))
