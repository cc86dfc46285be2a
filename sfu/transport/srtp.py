"""SRTP sessions out of a DTLS handshake, in the core's form: libsrtp pointers and a profile name.

The sessions are made by pylibsrtp; whoever hands an address to the core must keep the `SrtpSessions` alive
until the core has acknowledged that it let go. Runs on the event loop's thread.

Source: RFC 5764 section 4.2 (key derivation), RFC 3711, RFC 7714 (GCM).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from aiortc.rtcdtlstransport import SRTP_AEAD_AES_128_GCM, SRTP_AES128_CM_SHA1_80, SRTPProtectionProfile
from pylibsrtp import Policy, Session
from pylibsrtp._binding import ffi

from sfu.engine.types import NO_MASTERS, Masters

__all__ = ["PROFILES", "SrtpSessions", "find_profile", "make_sessions", "material_bytes", "openssl_profiles"]

PROFILES: Final[tuple[tuple[str, SRTPProtectionProfile], ...]] = (
    ("AEAD_AES_128_GCM", SRTP_AEAD_AES_128_GCM),
    ("AES128_CM_SHA1_80", SRTP_AES128_CM_SHA1_80),
)
"""By the core's names, the preferred one first: GCM costs a third of SHA1_80. Nothing weaker is accepted."""

_WINDOW: Final = 1024
"""As many packets as the core keeps of a source: what its publisher repairs late is sent on late."""


@dataclass(frozen=True, slots=True)
class SrtpSessions:
    """Both directions of one transport.

    Attributes:
        rx, tx: what the peer sends to us, and what we send to it.
        profile: the core's name of the protection profile.
        masters: key and salt of `rx` and `tx`, where the core may have a cipher of its own for the profile.
    """

    rx: Session
    tx: Session
    profile: str
    masters: Masters = field(default=NO_MASTERS, repr=False)

    @property
    def rx_address(self) -> int:
        """The `srtp_t` of `rx`."""
        return _address(self.rx)

    @property
    def tx_address(self) -> int:
        """The `srtp_t` of `tx`."""
        return _address(self.tx)


def openssl_profiles(names: Sequence[str] | None = None) -> bytes:
    """The profiles as OpenSSL lists them, or those of them that are named; a server's order decides.

    Raises:
        ValueError: no profile of ours is named.
    """
    chosen = [profile.openssl_profile for name, profile in PROFILES if names is None or name in names]
    if not chosen:
        known = ", ".join(name for name, _ in PROFILES)
        raise ValueError(f"none of {', '.join(names or ())} is an SRTP profile that we have: {known}")
    return b":".join(chosen)


def find_profile(selected: bytes) -> tuple[str, SRTPProtectionProfile] | None:
    """The profile that OpenSSL names as negotiated, None for none."""
    return next(((name, profile) for name, profile in PROFILES if profile.openssl_profile == selected), None)


def material_bytes(profile: SRTPProtectionProfile) -> int:
    """How much keying material both directions need."""
    return 2 * (profile.key_length + profile.salt_length)


def make_sessions(
    name: str, profile: SRTPProtectionProfile, material: bytes, *, is_server: bool
) -> SrtpSessions:
    """Sessions from exported keying material, whose first key is the DTLS client's (RFC 5764 section 4.2)."""
    ours, theirs = (1, 0) if is_server else (0, 1)
    rx_master = profile.get_key_and_salt(material, theirs)
    tx_master = profile.get_key_and_salt(material, ours)
    has_cipher = profile is SRTP_AEAD_AES_128_GCM
    return SrtpSessions(
        rx=_session(profile, rx_master, Policy.SSRC_ANY_INBOUND),
        tx=_session(profile, tx_master, Policy.SSRC_ANY_OUTBOUND),
        profile=name,
        masters=(rx_master, tx_master) if has_cipher else NO_MASTERS,
    )


def _session(profile: SRTPProtectionProfile, key: bytes, ssrc_type: int) -> Session:
    policy = Policy(key=key, ssrc_type=ssrc_type, srtp_profile=profile.libsrtp_profile)
    policy.allow_repeat_tx = True
    policy.window_size = _WINDOW
    return Session(policy)


def _address(session: Session) -> int:
    # pylibsrtp keeps its pointer to itself; the core needs it, and pyproject pins the package.
    return int(ffi.cast("uintptr_t", session._srtp[0]))  # noqa: SLF001
