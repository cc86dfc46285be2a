"""Checks that the core answers with credentials that it was lent, and those that it leaves to Python."""

import os
import struct

import pytest
from aioice import stun as aioice_stun

from sfu.engine import events
from sfu.engine.openssl_hmac import load_hmac
from sfu.transport.stun import StunMessage, binding_request, parse_stun
from tests.sfu.engine.rig import Remote
from tests.sfu.native.peers import House, stranger

PWD = "lent-for-the-time-being-0"
TELLS_WITHIN_S = 2.0


def check(
    remote: Remote, pwd: str = PWD, *, transaction: bytes | None = None, nominates: bool = True
) -> bytes:
    return binding_request(
        transaction or os.urandom(12),
        f"{remote.ufrag}:remote",
        pwd,
        priority=1,
        tie_breaker=1,
        use_candidate=nominates,
    )


def altered(remote: Remote, attributes: list[tuple[int, bytes]]) -> bytes:
    """An authentic check with other attributes."""
    body = b"".join(
        struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)
        for kind, value in [(0x0006, f"{remote.ufrag}:remote".encode()), *attributes]
    )
    data = struct.pack("!HHI", 1, len(body), aioice_stun.COOKIE) + os.urandom(12) + body
    data += struct.pack("!HH", 0x0008, 20) + aioice_stun.message_integrity(data, PWD.encode())
    data += struct.pack("!HHI", 0x8028, 4, aioice_stun.message_fingerprint(data))
    return aioice_stun.set_body_length(data, len(data) - 20)


async def lent(house: House) -> Remote:
    remote = await house.remote()
    await house.engine.lend_credentials(remote.transport, remote.ufrag, PWD)
    return remote


async def answer(remote: Remote) -> StunMessage:
    data = await remote.wire.receive(2.0)
    assert data is not None
    return parse_stun(data)


async def test_a_plain_check_is_answered_and_python_hears_of_it_later(house: House) -> None:
    remote = await lent(house)
    for nominates in (True, False):
        transaction = os.urandom(12)
        remote.wire.send(check(remote, transaction=transaction, nominates=nominates))
        data = await remote.wire.receive(2.0)
        assert data is not None
        told = parse_stun(data)
        assert told.is_success
        assert told.transaction == transaction
        assert told.is_authentic(PWD)
        mapped = aioice_stun.parse_message(data).attributes["XOR-MAPPED-ADDRESS"]
        assert mapped == (remote.wire.ip, remote.wire.port)
    assert not house.of(events.Stun)
    heard = await house.event(events.Heard)
    (row,) = heard.heard
    assert row[0] == remote.transport
    assert row[1] <= TELLS_WITHIN_S * 4 * 1000


async def test_what_is_not_plain_is_pythons(house: House) -> None:
    remote = await lent(house)
    for count, strange in enumerate(
        [
            check(remote, "p" * 24),
            altered(remote, [(0x8029, bytes(8))]),  # ICE-CONTROLLED
            altered(remote, [(0x7001, b"what")]),  # to be understood, and unknown
        ],
        start=1,
    ):
        remote.wire.send(strange)
        await house.counted("stun_delivered", count)
    assert (await house.counters())["stun_answered"] == 0


async def test_attributes_that_may_be_ignored_are(house: House) -> None:
    remote = await lent(house)
    remote.wire.send(altered(remote, [(0x0024, bytes(4)), (0xC057, bytes(4)), (0x802A, bytes(8))]))
    assert (await answer(remote)).is_success


@pytest.mark.parametrize("taken_back", [True, False])
async def test_without_credentials_every_check_is_pythons(house: House, taken_back: bool) -> None:
    remote = await (lent(house) if taken_back else house.remote())
    if taken_back:
        await house.engine.lend_credentials(remote.transport, "", "")
    remote.wire.send(check(remote))
    assert (await house.event(events.Stun)).transport == remote.transport


async def test_a_check_from_elsewhere_is_pythons_unless_it_is_a_copy(house: House) -> None:
    remote = await lent(house)
    elsewhere, target = stranger(house)
    seen = check(remote)
    remote.wire.send(seen)
    assert (await answer(remote)).is_success
    elsewhere.sendto(seen, target)
    await house.counted("drop_stun_replayed", 1)
    assert not house.of(events.Stun)
    fresh = check(remote)
    elsewhere.sendto(fresh, target)
    assert (await house.event(events.Stun)).data == fresh
    # A retransmission from where it came is answered again.
    remote.wire.send(seen)
    assert (await answer(remote)).is_success
    elsewhere.setblocking(False)
    with pytest.raises(BlockingIOError):
        elsewhere.recv(100)
    elsewhere.close()


async def test_a_transport_that_goes_is_heard_no_more(house: House) -> None:
    remote, stays = await lent(house), await lent(house)
    for one in (remote, stays):
        one.wire.send(check(one))
        assert (await answer(one)).is_success
    await house.engine.remove_transport(remote.transport)
    assert [row[0] for row in (await house.event(events.Heard)).heard] == [stays.transport]


async def test_damaged_checks_are_answered_by_nobody(house: House) -> None:
    remote = await lent(house)
    good = check(remote)
    for at in range(len(good)):
        remote.wire.send(good[:at] + bytes([good[at] ^ 0x55]) + good[at + 1 :])
        remote.wire.send(good[:at])
    await house.counted("datagrams_received", 2 * len(good) - 1)
    assert (await house.counters())["stun_answered"] == 0


def test_the_wheels_hmac_is_found_and_right() -> None:
    assert all(load_hmac())
