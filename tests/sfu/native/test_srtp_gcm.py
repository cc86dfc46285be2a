"""The core's own SRTP against libsrtp, packet for packet, in any order, lost, repeated or damaged."""

import dataclasses
import os
import platform

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pylibsrtp import Error, Policy, Session

from sfu.engine import _core, _debug
from tests.sfu.engine.rig import Remote, opus
from tests.sfu.native.peers import House, hear

MASTER = bytes(range(28))
thorough = settings(max_examples=120, deadline=None)


def session(direction: int) -> Session:
    policy = Policy(key=MASTER, ssrc_type=direction, srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM)
    policy.window_size = 1024
    return Session(policy)


def outbound() -> Session:
    return session(Policy.SSRC_ANY_OUTBOUND)


def inbound() -> Session:
    return session(Policy.SSRC_ANY_INBOUND)


def ciphers() -> _debug.GcmCiphers:
    return _debug.GcmCiphers(MASTER, MASTER)


def packet(
    index: int, ssrc: int = 7, payload: bytes = b"seen", *, csrcs: int = 0, extension: bytes = b""
) -> bytes:
    first = 0x80 | csrcs | (0x10 if extension else 0)
    fixed = bytes((first, 96)) + (index % 65536).to_bytes(2) + index.to_bytes(4) + ssrc.to_bytes(4)
    words = b"\xbe\xde" + (len(extension) // 4).to_bytes(2) + extension if extension else b""
    return fixed + bytes(4 * csrcs) + words + payload


def by_libsrtp(session: Session, data: bytes, *, protects: bool) -> bytes | None:
    try:
        return session.protect(data) if protects else session.unprotect(data)
    except Error:
        return None


@st.composite
def walks(draw: st.DrawFn) -> list[int]:
    """Indexes of one source as packets may come: overtaken, repeated, over the end of the numbers."""
    index = draw(st.sampled_from((0, 100, 32_700, 32_800, 65_400, 65_535)))
    steps = st.one_of(
        st.integers(1, 3), st.integers(-140, 140), st.sampled_from((0, 900, -1030, 20_000, 32_000))
    )
    found = []
    for step in draw(st.lists(steps, min_size=1, max_size=60)):
        index = max(index + step, 0)
        found.append(index)
    return found


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the library is of this architecture alone")
def test_this_machine_has_the_cipher() -> None:
    assert _core.aes_gcm().startswith("intel-ipsec-mb")


@thorough
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.binary(max_size=1300), st.integers(0, 15), st.integers(0, 9)),
        max_size=40,
    )
)
def test_what_we_seal_libsrtp_opens_and_the_other_way_round(parts: list[tuple[int, bytes, int, int]]) -> None:
    ours, sender, receiver = ciphers(), outbound(), inbound()
    for index, (ssrc, payload, csrcs, words) in enumerate(parts, 65_500):
        plain = packet(index, ssrc, payload, csrcs=csrcs, extension=os.urandom(4 * words))
        sealed = ours.protect(plain)
        assert sealed == sender.protect(plain)
        assert receiver.unprotect(sealed) == plain
        assert ours.unprotect(sealed) == plain


@thorough
@given(walks())
def test_both_open_and_refuse_the_same(indexes: list[int]) -> None:
    # A sender that keeps no account: any index, as often as it likes.
    ours, theirs = ciphers(), inbound()
    for index in indexes:
        sealed = sealed_at(index)
        assert ours.unprotect(sealed) == by_libsrtp(theirs, sealed, protects=False)


@thorough
@given(walks())
def test_both_seal_and_refuse_the_same(indexes: list[int]) -> None:
    ours, theirs = ciphers(), outbound()
    for index in indexes:
        plain = packet(index)
        assert ours.protect(plain) == by_libsrtp(theirs, plain, protects=True)


@thorough
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_by_both(data: bytes) -> None:
    ours = ciphers()
    assert ours.unprotect(data) is None
    assert ours.unprotect(packet(5)[:12] + data) is None
    good = sealed_at(5)
    assert ours.unprotect(good) == packet(5)


def test_a_source_that_was_never_authentic_costs_nothing() -> None:
    ours, theirs = ciphers(), outbound()
    for ssrc in range(20_000):
        assert ours.unprotect(packet(1, ssrc, bytes(40))) is None
    for ssrc in range(8192):
        assert ours.unprotect(theirs.protect(packet(1, ssrc))) is not None
    assert ours.unprotect(theirs.protect(packet(1, 9000))) is None


async def test_an_engine_that_has_the_cipher_takes_it_for_rtp(house: House) -> None:
    """The sessions are of other keys: what passes passed by the masters."""
    publisher, viewer = await house.peer(), await house.peer()
    await house.watch(await house.audio(publisher), viewer)
    for remote in (publisher, viewer):
        own = remote.engine_sessions
        other = Remote(remote.wire, remote.transport, remote.ufrag).engine_sessions
        remote.engine_sessions = dataclasses.replace(other, masters=own.masters)
        await house.secure(remote)
    publisher.send_rtp(opus(1))
    packets = (await hear(viewer)).rtp
    assert [packet.payload for packet in packets] == [opus(1).payload] * bool(_core.aes_gcm())


def test_masters_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="no cipher"):
        _debug.GcmCiphers(bytes(30), bytes(30))


def sealed_at(index: int) -> bytes:
    """A packet of one index, sealed by a session that begins just before it."""
    sender = outbound()
    for before in range(30_000, index, 30_000):
        sender.protect(packet(before))
    return sender.protect(packet(index))
