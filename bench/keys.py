"""SRTP sessions for both halves of a run, from the keys of its plan (no handshake: that is another bench)."""

from typing import Final

from pylibsrtp import Policy, Session

_PROFILES: Final = {
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AES128_CM_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}


def outbound(profile: str, key: str) -> Session:
    """A session that protects."""
    return _session(profile, key, Policy.SSRC_ANY_OUTBOUND)


def inbound(profile: str, key: str) -> Session:
    """A session that unprotects."""
    return _session(profile, key, Policy.SSRC_ANY_INBOUND)


def master(profile: str, key: str) -> bytes:
    """Key and salt for the core's own cipher, where it has one for the profile; else nothing."""
    return bytes.fromhex(key) if profile == "AEAD_AES_128_GCM" else b""


def _session(profile: str, key: str, direction: int) -> Session:
    policy = Policy(key=bytes.fromhex(key), ssrc_type=direction, srtp_profile=_PROFILES[profile])
    policy.allow_repeat_tx = True
    policy.window_size = 1024
    return Session(policy)
