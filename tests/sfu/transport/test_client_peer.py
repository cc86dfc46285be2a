"""The offering side of a peer connection against the server's own parts, in virtual time."""

import random

import pytest

from sfu.transport import (
    ClientConnected,
    ClientLost,
    ClientPeer,
    ClientSend,
    Dtls,
    DtlsConnected,
    DtlsIdentity,
    IceLite,
    SendDtls,
    SendStun,
)
from sfu.wire import DatagramKind, classify

LOCAL, REMOTE = ("clientufrag1", "c" * 24), ("serverufrag1", "s" * 24)
SERVER, CLIENT = (0, "192.0.2.9", 7882), (3, "198.51.100.1", 4000)


@pytest.fixture(scope="module")
def identities() -> tuple[DtlsIdentity, DtlsIdentity]:
    return DtlsIdentity.generate(), DtlsIdentity.generate()


class Server:
    """The lite agent and the association behind one address."""

    def __init__(self, identity: DtlsIdentity, peer: DtlsIdentity) -> None:
        self.ice = IceLite(ufrag=REMOTE[0], pwd=REMOTE[1], now=0.0)
        self.dtls = Dtls(identity, "server", [peer.fingerprint], 0.0)
        self.is_connected = False

    def answer(self, data: bytes, now: float) -> list[bytes]:
        if classify(data) is DatagramKind.STUN:
            self.ice.receive(data, *CLIENT, now)
        else:
            self.dtls.receive(data, now)
        effects = [*self.ice.poll(), *self.dtls.poll()]
        self.is_connected |= any(isinstance(effect, DtlsConnected) for effect in effects)
        return [effect.data for effect in effects if isinstance(effect, SendStun | SendDtls)]


def made(identities, *, trusts=None, **more) -> ClientPeer:
    ours, theirs = identities
    return ClientPeer(
        identity=ours,
        local=LOCAL,
        remote=REMOTE,
        socket=SERVER[0],
        ip=SERVER[1],
        port=SERVER[2],
        role="client",
        fingerprints=[(trusts or theirs).fingerprint],
        rng=random.Random(1),
        now=0.0,
        **more,
    )


def run(client: ClientPeer, server: Server, now: float) -> list[object]:
    """Carry datagrams both ways until nobody says more; the client's other effects."""
    told = []
    client.tick(now)
    while effects := list(client.poll()):
        for effect in effects:
            if not isinstance(effect, ClientSend):
                told.append(effect)
                continue
            for data in server.answer(effect.data, now):
                client.receive(data, *SERVER, now)
    return told


def test_it_connects_and_both_sides_have_keys(identities):
    client, server = made(identities), Server(identities[1], identities[0])
    (connected,) = run(client, server, 0.0)
    assert isinstance(connected, ClientConnected)
    assert client.is_answered
    assert server.is_connected


def test_the_hello_waits_for_those_who_lose_one_that_comes_at_once(identities):
    client, server = made(identities, hello_after_s=0.05), Server(identities[1], identities[0])
    assert run(client, server, 0.0) == []
    assert client.is_answered
    assert client.deadline() == pytest.approx(0.05)
    (connected,) = run(client, server, 0.05)
    assert isinstance(connected, ClientConnected)


def test_another_certificate_than_was_announced_is_no_connection(identities):
    client, server = made(identities, trusts=identities[0]), Server(identities[1], identities[0])
    (lost,) = run(client, server, 0.0)
    assert isinstance(lost, ClientLost)
    assert lost.reason.startswith("DTLS: ")


def test_silence_is_told(identities):
    client = made(identities)
    told = []
    for _ in range(100):
        if (now := client.deadline()) is None or told:
            break
        client.tick(now)
        told += [effect for effect in client.poll() if isinstance(effect, ClientLost)]
    assert told == [ClientLost("no answer to any check")]
    assert not client.is_answered


def test_goodbyes_are_heard_both_ways(identities):
    client, server = made(identities), Server(identities[1], identities[0])
    run(client, server, 0.0)
    server.dtls.close()
    for effect in server.dtls.poll():
        client.receive(effect.data, *SERVER, 1.0)
    assert ClientLost("the other side closed the connection") in list(client.poll())

    client, server = made(identities), Server(identities[1], identities[0])
    run(client, server, 0.0)
    client.close()
    (goodbye,) = client.poll()
    server.dtls.receive(goodbye.data, 1.0)
    assert [type(effect).__name__ for effect in server.dtls.poll()][-1] == "DtlsClosed"


@pytest.mark.parametrize("data", [b"", b"\x80\x60", bytes(20), b"\x16\xfe\xfd" + bytes(3), b"\x01"])
def test_junk_changes_nothing(identities, data):
    client, server = made(identities), Server(identities[1], identities[0])
    client.receive(data, *SERVER, 0.0)
    (connected,) = run(client, server, 0.0)
    assert isinstance(connected, ClientConnected)
