"""The four libsrtp functions that the core calls, taken from the pylibsrtp wheel and proved before use.

The wheel carries libsrtp with OpenSSL (hardware AES) inside its extension module; only cffi knows where.
"""

from typing import Final, NamedTuple

from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi, lib

from sfu.engine import _core
from sfu.engine.types import Masters
from sfu.errors import EngineError

_SIGNATURE: Final = "int (*)(void *, void *, int *)"
GCM_MASTER_BYTES: Final = 28
"""Master key and master salt of AEAD_AES_128_GCM (RFC 7714 section 12)."""
_TRAILER: Final = 32
_KEY: Final = bytes(range(16))
_PACKET: Final = bytes.fromhex("8060123400aabbcc11223344") + b"parley known answer"
# Computed with another implementation: keys by RFC 3711 section 4.3, packets by RFC 7714 and RFC 3711.
_GCM_ANSWER: Final = bytes.fromhex(
    "8060123400aabbcc112233440bf032e3eae628f56bc403c7a1a5baa3d0f0531408257c5bae6afad3eba804ae6aeb9c"
)
_CM_ANSWER: Final = bytes.fromhex(
    "8060123400aabbcc11223344666ce04df8c2a5e35e68122eab5e468cd269efacf23d39244c4bcc852a"
)


class SrtpTable(NamedTuple):
    """Addresses of `int (*)(srtp_t, void *packet, int *length)`, in the order that `_core` wants."""

    protect: int
    unprotect: int
    protect_rtcp: int
    unprotect_rtcp: int


def load_srtp() -> SrtpTable:
    """The wheel's functions, after a known-answer check of both profiles through the very pointers.

    Raises:
        EngineError: a function is missing or answers wrongly (another libsrtp than this was written for).
    """
    names = ("srtp_protect", "srtp_unprotect", "srtp_protect_rtcp", "srtp_unprotect_rtcp")
    try:
        table = SrtpTable(*(int(ffi.cast("uintptr_t", ffi.addressof(lib, name))) for name in names))
    except (AttributeError, ffi.error) as error:
        raise EngineError(f"pylibsrtp lacks a function of libsrtp 2: {error}") from error
    _check(table, Policy.SRTP_PROFILE_AEAD_AES_128_GCM, bytes(range(100, 112)), _GCM_ANSWER)
    _check(table, Policy.SRTP_PROFILE_AES128_CM_SHA1_80, bytes(range(100, 114)), _CM_ANSWER)
    return table


def check_srtp() -> None:
    """The known-answer check alone.

    Raises:
        EngineError: as `load`.
    """
    load_srtp()


def check_masters(profile: str, masters: Masters) -> None:
    """What the core says of masters that it does not take.

    Raises:
        ValueError: they are of another profile, or of another length.
    """
    if any(masters) and profile != "AEAD_AES_128_GCM":
        raise ValueError(f"masters are taken for AEAD_AES_128_GCM alone, not for {profile}")
    if any(len(master) not in {0, GCM_MASTER_BYTES} for master in masters):
        raise ValueError("a master of AES-128-GCM has 16 bytes of key and 12 of salt")


def gcm_implementation() -> str:
    """What seals and opens RTP packets of AES-128-GCM: the core's own cipher, else "libsrtp"."""
    return _core.aes_gcm() or "libsrtp"


def session_address(session: Session) -> int:
    """The `srtp_t` of a session, for `set_srtp`; the session object must outlive the engine's use of it."""
    return int(ffi.cast("uintptr_t", session._srtp[0]))  # noqa: SLF001 - cffi's only door to the pointer


def _check(table: SrtpTable, profile: int, salt: bytes, answer: bytes) -> None:
    sender = _session(profile, salt, Policy.SSRC_ANY_OUTBOUND)
    receiver = _session(profile, salt, Policy.SSRC_ANY_INBOUND)
    protected = _call(table.protect, sender, _PACKET)
    if protected != answer or _call(table.unprotect, receiver, protected) != _PACKET:
        raise EngineError("libsrtp fails the SRTP known-answer check")
    report = bytes.fromhex("80c9000111223344")
    protected = _call(table.protect_rtcp, sender, report)
    if protected == report or _call(table.unprotect_rtcp, receiver, protected) != report:
        raise EngineError("libsrtp fails the SRTCP round trip")


def _session(profile: int, salt: bytes, ssrc_type: int) -> Session:
    return Session(Policy(key=_KEY + salt, ssrc_type=ssrc_type, srtp_profile=profile))


def _call(address: int, session: Session, packet: bytes) -> bytes:
    function = ffi.cast(_SIGNATURE, address)
    buffer = ffi.new("char[]", len(packet) + _TRAILER)
    ffi.buffer(buffer)[0 : len(packet)] = packet
    length = ffi.new("int *", len(packet))
    if function(session._srtp[0], buffer, length) != 0:  # noqa: SLF001 - as above
        return b""
    return bytes(ffi.buffer(buffer)[0 : length[0]])
