"""Fuzz target: STUN datagrams, at the codec's guard and at both ICE agents."""

import contextlib
import random

from sfu.transport import IceClient, IceLite, SendStun
from sfu.transport.stun import StunError, parse_stun
from tests.fuzz import harness

_PWD = "o" * 24


def one_input(data: bytes) -> None:
    with contextlib.suppress(StunError):
        parse_stun(data).is_authentic(_PWD)
    agent = IceLite(ufrag="ourufrag1234", pwd=_PWD, now=0.0)
    client = IceClient(
        local=("themufrag123", "t" * 24),
        remote=("ourufrag1234", _PWD),
        socket=0,
        ip="198.51.100.7",
        port=7882,
        rng=random.Random(1),
        now=0.0,
    )
    client.tick(0.0)
    list(client.poll())
    for number, datagram in enumerate([data, *harness.split(data)]):
        agent.receive(datagram, 0, "192.0.2.1", 5000 + number, float(number))
        client.receive(datagram, 0, "198.51.100.7", 7882, float(number))
        sent = [effect for effect in agent.poll() if isinstance(effect, SendStun)]
        # Without the password (which no input of this corpus knows) there is no answer.
        if sent and not parse_stun(datagram).is_authentic(_PWD):
            raise AssertionError("a stranger was answered")
    agent.tick(100.0)
    client.tick(100.0)


if __name__ == "__main__":
    harness.run(one_input)
