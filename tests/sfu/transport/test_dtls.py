import gc
import random
import struct
import time
import tracemalloc
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.sdp import Fingerprint
from sfu.transport import (
    Dtls,
    DtlsClosed,
    DtlsConnected,
    DtlsData,
    DtlsFailed,
    DtlsIdentity,
    DtlsState,
    SendDtls,
)
from sfu.transport.dtls import MTU
from tests.sfu.transport.associations import (
    RawPeer,
    carry,
    client,
    client_identity,
    rsa_identity,
    server,
    server_identity,
    shake,
)

_HELLOS = Path(__file__).parents[2] / "fixtures" / "dtls"
_RTP = struct.pack("!BBHII", 0x80, 96, 1, 2, 3) + b"payload"
_RTCP = struct.pack("!BBHI", 0x80, 201, 1, 3)


def _connected(**more):
    ours, theirs = server(**more), client()
    theirs.start(0.0)
    effects = carry(ours, theirs)
    assert {type(effect) for _, effect in effects} == {DtlsConnected}
    return ours, theirs


def _end(effects):
    """The last effect that is no datagram."""
    return [effect for effect in effects if not isinstance(effect, SendDtls)][-1]


def test_a_handshake_gives_both_ends_matching_keys_with_gcm_first():
    ours, theirs = _connected()
    assert ours.state is theirs.state is DtlsState.CONNECTED
    assert ours.sessions().profile == "AEAD_AES_128_GCM"
    assert theirs.sessions().rx.unprotect(ours.sessions().tx.protect(_RTP)) == _RTP
    assert ours.sessions().rx.unprotect(theirs.sessions().tx.protect(_RTP)) == _RTP
    assert ours.sessions().rx.unprotect_rtcp(theirs.sessions().tx.protect_rtcp(_RTCP)) == _RTCP
    assert ours.deadline() is None
    assert theirs.deadline() is None


def test_the_core_gets_distinct_pointers():
    sessions = _connected()[0].sessions()
    assert sessions.rx_address
    assert sessions.tx_address
    assert sessions.rx_address != sessions.tx_address


@pytest.mark.parametrize(
    ("profiles", "chosen"),
    [
        (b"SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM", "AEAD_AES_128_GCM"),
        (b"SRTP_AES128_CM_SHA1_80:SRTP_AES128_CM_SHA1_32", "AES128_CM_SHA1_80"),
    ],
)
def test_our_order_of_profiles_decides(profiles, chosen):
    raw = RawPeer(profiles=profiles)
    ours = server(raw.fingerprint)
    assert isinstance(_end(shake(raw, ours)), DtlsConnected)
    assert ours.sessions().profile == chosen


@pytest.mark.parametrize("profiles", [b"SRTP_AES128_CM_SHA1_32", b"SRTP_AEAD_AES_256_GCM", None])
def test_a_peer_with_weaker_or_other_profiles_only_fails_and_is_told_which_we_take(profiles):
    raw = RawPeer(profiles=profiles)
    ours = server(raw.fingerprint)
    failure = _end(shake(raw, ours))
    assert isinstance(failure, DtlsFailed)
    assert failure.code == "no_srtp_profile"
    assert "AEAD_AES_128_GCM, AES128_CM_SHA1_80" in failure.reason
    with pytest.raises(RuntimeError):
        ours.sessions()


def test_a_wrong_fingerprint_yields_no_keys_and_no_data():
    wrong = Fingerprint("sha-256", ":".join(["00"] * 32))
    ours, theirs = server(wrong, keep=True), client(keep=True)
    theirs.start(0.0)
    effects = carry(ours, theirs, deliver=lambda _, data: [] if data[0] == 21 else [data])
    theirs.send(b"hello", 0.0)  # its side is up, and our goodbye was lost
    effects += carry(ours, theirs)
    mine = [effect for role, effect in effects if role == "server"]
    assert [type(effect) for effect in mine] == [DtlsFailed]
    assert mine[0].code == "fingerprint_mismatch"
    assert ours.state is DtlsState.FAILED
    with pytest.raises(RuntimeError):
        ours.sessions()


@pytest.mark.parametrize(
    ("others", "accepted"),
    [
        (["sha-256 right"], True),
        (["sha-256 wrong", "sha-256 right"], True),  # one of several certificates
        (["sha-1 wrong", "sha-256 right"], True),  # a hash that we do not take is not looked at
        (["sha-512 right", "sha-256 wrong"], True),  # the strongest decides
        (["sha-512 wrong", "sha-256 right"], False),
        (["sha-1 right"], False),
        ([], False),
    ],
)
def test_the_strongest_hash_decides(others, accepted):
    raw = RawPeer(profiles=b"SRTP_AEAD_AES_128_GCM")
    algorithms = {"sha-1": hashes.SHA1(), "sha-256": hashes.SHA256(), "sha-512": hashes.SHA512()}
    fingerprints = []
    for text in others:
        name, _, which = text.partition(" ")
        digest = raw.certificate.fingerprint(algorithms[name]).hex(":").upper()
        fingerprints.append(Fingerprint(name, digest if which == "right" else digest[:-2] + "??"))
    ours = server(fingerprints=fingerprints)
    assert isinstance(_end(shake(raw, ours)), DtlsConnected) is accepted


def test_a_hello_may_come_before_the_answer_but_nothing_is_trusted_until_then():
    ours, theirs = server(fingerprints=None), client()
    theirs.start(0.0)
    effects = carry(ours, theirs)
    assert [role for role, _ in effects] == ["client"], "the client is through, we wait"
    assert ours.state is DtlsState.CONNECTING
    ours.set_fingerprints([client_identity().fingerprint])
    assert [type(effect) for effect in ours.poll()] == [DtlsConnected]
    ours.set_fingerprints([])
    assert ours.state is DtlsState.CONNECTED


def test_an_answer_that_never_comes_is_a_timeout():
    ours, theirs = server(fingerprints=None), client()
    theirs.start(0.0)
    carry(ours, theirs)
    ours.tick(10.0)
    [failure] = ours.poll()
    assert failure == DtlsFailed("handshake_timeout", "no end for the peer's description after 10 s")


# Real and unusual peers


@pytest.mark.parametrize("browser", ["chromium", "firefox"])
@pytest.mark.parametrize("order", [(1, 2), (2, 1), (1, 1, 2, 2)])
def test_browsers_dtls_1_3_hellos_in_two_datagrams_are_answered_with_1_2(browser, order):
    ours = server()
    flights = []
    for part in order:
        ours.receive((_HELLOS / f"{browser}-client-hello-{part}.bin").read_bytes(), 0.0)
        flights += [effect.data for effect in ours.poll()]
    assert flights
    hello = flights[0]
    assert (hello[0], hello[13]) == (22, 2), "a ServerHello"
    assert hello[25:27] == b"\xfe\xfd", "of DTLS 1.2"
    assert all(len(data) <= MTU for data in flights)
    assert ours.state is DtlsState.CONNECTING


def test_a_client_with_an_rsa_certificate_connects():
    ours, theirs = server(rsa_identity().fingerprint), client(rsa_identity())
    theirs.start(0.0)
    assert {type(effect) for _, effect in carry(ours, theirs)} == {DtlsConnected}


def test_we_connect_as_client_to_an_rsa_server():
    ours = Dtls(client_identity(), "client", [rsa_identity().fingerprint], 0.0)
    theirs = Dtls(rsa_identity(), "server", [client_identity().fingerprint], 0.0)
    ours.start(0.0)
    assert {type(effect) for _, effect in carry(ours, theirs)} == {DtlsConnected}


def test_no_datagram_is_longer_than_the_mtu_even_with_a_large_certificate():
    big = rsa_identity(4096)
    ours = Dtls(big, "server", [client_identity().fingerprint], 0.0)
    theirs = client(fingerprints=[big.fingerprint])
    sizes = []

    def deliver(_, data):
        sizes.append(len(data))
        return [data]

    theirs.start(0.0)
    assert {type(effect) for _, effect in carry(ours, theirs, deliver=deliver)} == {DtlsConnected}
    assert max(sizes) <= MTU
    assert sum(size > 1000 for size in sizes) >= 1


def test_a_peer_that_speaks_only_what_we_do_not_take_fails_with_a_reason():
    raw = RawPeer(profiles=b"SRTP_AEAD_AES_128_GCM", ciphers=b"ECDHE-ECDSA-AES128-SHA")
    failure = _end(shake(raw, server(raw.fingerprint)))
    assert isinstance(failure, DtlsFailed)
    assert failure.code == "handshake_failed"
    assert "no shared cipher" in failure.reason


def test_a_peer_without_a_certificate_fails():
    failure = _end(shake(RawPeer(profiles=b"SRTP_AEAD_AES_128_GCM", shows_certificate=False), server()))
    assert isinstance(failure, DtlsFailed)
    assert "certificate" in failure.reason


# Loss, floods, deadlines


@pytest.mark.parametrize(("lost", "ends"), [(2, 0), (3, 0), (4, 1)])
def test_a_lost_flight_is_repeated_after_a_second(lost, ends):
    """The hello gets through; lost is the server's flight, the client's, or the server's last."""
    # Retransmission follows OpenSSL's clock, which no test can turn.
    start = now = time.monotonic()
    ours, theirs = server(now=now), client(now=now)
    count = 0

    def deliver(_, data):
        nonlocal count
        count += 1
        return [] if count == lost else [data]

    theirs.start(now)
    effects = carry(ours, theirs, now=now, deliver=deliver)
    assert len(effects) == ends
    assert 0.5 < theirs.deadline() - start <= 1.1
    while len(effects) < 2 and now < start + 5.0:
        time.sleep(0.02)
        now = time.monotonic()
        for end in (ours, theirs):
            if end.deadline() is not None and end.deadline() <= now:
                end.tick(now)
        effects += carry(ours, theirs, now=now)
    assert [type(effect) for _, effect in effects] == [DtlsConnected, DtlsConnected]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_duplicates_and_reordering_do_no_harm(seed):
    rng = random.Random(seed)
    ours, theirs = server(), client()
    held = []

    def deliver(_, data):
        batch = [data, data] if rng.random() < 0.4 else [data]
        if held and rng.random() < 0.5:
            batch.append(rng.choice(held))  # an old one again
        held.append(data)
        return batch

    theirs.start(0.0)
    effects = carry(ours, theirs, deliver=deliver)
    assert sorted(type(effect).__name__ for _, effect in effects) == ["DtlsConnected"] * 2


def test_a_dripped_handshake_ends_at_its_deadline_within_bounded_memory():
    """Row 10 of the threat model: fragments with gaps and overlaps, for 60 s."""
    rng = random.Random(1)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    ours = server()
    failures = []
    now = 0.0
    while now < 60.0:
        ours.receive(_fragment(rng, sequence=int(now * 20)), now)
        if ours.deadline() is not None and now >= ours.deadline():
            ours.tick(now)
        failures += [(now, effect) for effect in ours.poll() if isinstance(effect, DtlsFailed)]
        now = round(now + 0.05, 3)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(failures) == 1
    assert failures[0][0] <= 10.0
    assert ours.is_freed
    assert ours.deadline() is None
    assert after - before < 256 * 1024


def _fragment(rng, sequence):
    """A piece of a 4 000-byte ClientHello that never becomes whole."""
    start = rng.randrange(0, 3000)
    body = rng.randbytes(rng.randrange(1, 200))
    handshake = (
        b"\x01"
        + (4000).to_bytes(3, "big")
        + b"\0\0"
        + start.to_bytes(3, "big")
        + len(body).to_bytes(3, "big")
        + body
    )
    return b"\x16\xfe\xff\0\0" + sequence.to_bytes(6, "big") + len(handshake).to_bytes(2, "big") + handshake


def test_a_handshake_of_too_many_bytes_is_ended_before_its_deadline():
    rng = random.Random(2)
    ours = server()
    fed = 0
    while ours.state is not DtlsState.FAILED:
        data = _fragment(rng, fed)
        ours.receive(data, 0.0)
        fed += len(data)
        assert fed < 200_000
    assert _end(list(ours.poll())).code == "handshake_too_large"


def test_tiny_datagrams_are_charged_too():
    ours = server()
    tiny = b"\x16\xfe\xff" + bytes(8) + b"\0\0"
    for _ in range(2000):
        ours.receive(tiny, 0.0)
    assert ours.state is DtlsState.FAILED


@pytest.mark.parametrize(
    "data", [b"", b"\x16", b"\x16" * 12, b"\x80" + bytes(40), b"\0" * 40, b"\x16" * 5000]
)
def test_what_is_no_dtls_record_is_not_even_looked_at(data):
    ours = server()
    ours.receive(data, 0.0)
    assert ours.state is DtlsState.NEW
    established, theirs = _connected()
    established.receive(data, 0.0)
    assert list(established.poll()) == []
    assert established.state is DtlsState.CONNECTED
    assert theirs.state is DtlsState.CONNECTED


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(min_size=13, max_size=300), max_size=6), st.integers(20, 63))
def test_any_records_raise_nothing(datagrams, first):
    ours = server()
    for data in datagrams:
        ours.receive(bytes([first]) + data[1:], 0.0)
    for effect in ours.poll():
        assert isinstance(effect, SendDtls | DtlsFailed)


def test_a_client_hello_after_the_handshake_changes_nothing():
    ours, theirs = _connected()
    intruder = client()
    intruder.start(0.0)
    for effect in intruder.poll():
        ours.receive(effect.data, 0.0)
    assert not [effect for effect in ours.poll() if not isinstance(effect, SendDtls)]
    assert ours.state is DtlsState.CONNECTED
    assert theirs.sessions().rx.unprotect(ours.sessions().tx.protect(_RTP)) == _RTP


def test_a_server_waits_and_a_client_begins():
    ours, theirs = server(), client()
    ours.start(0.0)
    assert list(ours.poll()) == []
    assert ours.is_freed
    assert ours.deadline() == 10.0
    theirs.receive(b"\x16" + bytes(20), 0.0)
    assert theirs.state is DtlsState.NEW
    theirs.start(0.0)
    [hello] = theirs.poll()
    assert hello.data[13] == 1
    theirs.start(0.0)
    assert list(theirs.poll()) == []


# The end


def test_goodbye_reaches_the_other_side():
    ours, theirs = _connected()
    theirs.close()
    assert [effect for _, effect in carry(ours, theirs)] == [DtlsClosed()]
    assert ours.state is DtlsState.CLOSED
    assert ours.is_freed
    theirs.close()
    assert list(theirs.poll()) == []


def test_a_proven_peer_frees_openssl_and_still_gets_its_goodbye():
    ours, theirs = _connected()
    ours.proven()
    assert ours.is_freed
    assert ours.state is DtlsState.CONNECTED
    assert list(ours.poll()) == []
    ours.receive(b"\x16\xfe\xfd" + bytes(30), 1.0)
    ours.tick(100.0)
    ours.close()
    assert [effect for _, effect in carry(ours, theirs)] == [DtlsClosed()]
    assert ours.sessions().profile


def test_a_peer_cannot_be_proven_before_it_is_connected():
    ours = server()
    ours.proven()
    assert ours.state is DtlsState.NEW
    ours, theirs = server(fingerprints=None), client()
    theirs.start(0.0)
    carry(ours, theirs)
    ours.proven()
    assert not ours.is_freed


def test_closing_midway_is_silent():
    ours, theirs = server(), client()
    theirs.start(0.0)
    [hello] = theirs.poll()
    ours.receive(hello.data, 0.0)
    list(ours.poll())
    ours.close()
    assert list(ours.poll()) == []
    assert ours.state is DtlsState.CLOSED
    ours.receive(hello.data, 0.0)
    assert ours.is_freed


def test_application_data_passes_only_when_it_is_wanted():
    ours, theirs = server(keep=True), client(keep=True)
    theirs.start(0.0)
    carry(ours, theirs)
    theirs.send(b"hello", 0.0)
    assert [effect for _, effect in carry(ours, theirs)] == [DtlsData(b"hello")]
    ours.proven()
    assert not ours.is_freed
    plain, theirs = server(), client(keep=True)
    theirs.start(0.0)
    carry(plain, theirs)
    theirs.send(b"hello", 0.0)
    assert carry(plain, theirs) == []
    plain.proven()
    with pytest.raises(RuntimeError):
        plain.send(b"x", 0.0)


def test_a_broken_record_after_the_handshake_is_dropped():
    ours, theirs = server(keep=True), client(keep=True)
    theirs.start(0.0)
    carry(ours, theirs)
    theirs.send(b"hello", 0.0)
    [sent] = theirs.poll()
    ours.receive(sent.data[:-1] + bytes([sent.data[-1] ^ 1]), 0.0)
    assert list(ours.poll()) == []
    ours.receive(sent.data, 0.0)
    assert list(ours.poll()) == [DtlsData(b"hello")]


# Cost


def test_identities_differ_and_are_of_p256():
    one, other = DtlsIdentity.generate(), DtlsIdentity.generate()
    assert one.fingerprint != other.fingerprint
    assert len(one.fingerprint.value) == 95
    assert server_identity().fingerprint.algorithm == "sha-256"


def test_a_hundred_proven_associations_hold_little_memory():
    def resident_kib():
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4

    for _ in range(20):
        _connected()
    gc.collect()
    before = resident_kib()
    kept = []
    for _ in range(100):
        ours, _theirs = _connected()
        ours.proven()
        kept.append(ours)
    gc.collect()
    assert (resident_kib() - before) / len(kept) < 60
