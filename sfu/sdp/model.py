"""What a session description says, as frozen values: the one form that parse, write and negotiate share.

PURE.

Only what an SFU reads is kept; unknown attributes are dropped by the parser and can never be written back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

__all__ = [
    "Codec",
    "Direction",
    "ExtMap",
    "Fingerprint",
    "Media",
    "Rid",
    "SessionDescription",
    "Setup",
    "Simulcast",
    "SimulcastStream",
    "SsrcGroup",
]


class Direction(StrEnum):
    """Which way media flows, seen from the side whose description it is."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        """Whether this side sends."""
        return self in {Direction.SENDRECV, Direction.SENDONLY}

    @property
    def receives(self) -> bool:
        """Whether this side receives."""
        return self in {Direction.SENDRECV, Direction.RECVONLY}


class Setup(StrEnum):
    """Who sends the DTLS hello. Source: RFC 8842 section 5."""

    ACTPASS = "actpass"
    ACTIVE = "active"
    PASSIVE = "passive"


class Fingerprint(NamedTuple):
    """The digest of a DTLS certificate.

    Attributes:
        algorithm: lower case, as in `sha-256`.
        value: upper case hex pairs with colons.
    """

    algorithm: str
    value: str


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload type of a section.

    Attributes:
        pt: 0-127.
        name: lower case, as in `vp8`.
        clock_hz: RTP clock.
        channels: 1 unless the mapping says more.
        fmtp: parameters as `key=value` pairs in the order given; keys lower case. A parameter without `=` has
            the key "" (RED's `111/111`, telephone-event's `0-15`).
        feedback: `rtcp-fb` values such as `nack pli`, wildcards included.
    """

    pt: int
    name: str
    clock_hz: int
    channels: int = 1
    fmtp: tuple[tuple[str, str], ...] = ()
    feedback: tuple[str, ...] = ()

    def parameter(self, key: str) -> str | None:
        """The value of one format parameter, None when absent."""
        for name, value in self.fmtp:
            if name == key:
                return value
        return None


@dataclass(frozen=True, slots=True)
class ExtMap:
    """One header extension. Source: RFC 8285 section 8."""

    id: int
    uri: str
    direction: Direction = Direction.SENDRECV


@dataclass(frozen=True, slots=True)
class Rid:
    """One restriction id. Source: RFC 8851.

    Attributes:
        rid: its name.
        sends: True for `send`, False for `recv`.
        pts: payload types it is restricted to; empty means all.
    """

    rid: str
    sends: bool
    pts: tuple[int, ...] = ()


class SimulcastStream(NamedTuple):
    """One simulcast stream: its alternatives in order of preference (RFC 8853)."""

    rids: tuple[str, ...]
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Simulcast:
    """The `a=simulcast` of a section, by direction. Source: RFC 8853 section 5.1."""

    send: tuple[SimulcastStream, ...] = ()
    recv: tuple[SimulcastStream, ...] = ()


@dataclass(frozen=True, slots=True)
class SsrcGroup:
    """Sources that belong together, as in `FID` (media, repair). Source: RFC 5576 section 4.2."""

    semantics: str
    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Media:
    """One section of a description.

    Attributes:
        kind: the word after `m=`: audio, video, application or anything else that is a token.
        port: 0 with `bundle_only` False means the section is rejected or stopped.
        protocol: as in `UDP/TLS/RTP/SAVPF`.
        formats: the words after the protocol.
        mid: "" when absent.
        ice_ufrag, ice_pwd: the section's own, else the session's; "" when neither gives them.
        fingerprints: the section's own, else the session's.
        msid: (stream, track), empty words when absent.
        candidates: the raw values after `a=candidate:`; never written to anybody else.
        sctp_port: of a section of data channels; 0 when absent.
        max_message_bytes: longest data message that this side takes, 0 for any (RFC 8841 section 6.1).
        line: where the section begins in the text that was parsed; 0 for a section that was built.
    """

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    mid: str = ""
    direction: Direction = Direction.SENDRECV
    ice_ufrag: str = ""
    ice_pwd: str = ""
    fingerprints: tuple[Fingerprint, ...] = ()
    setup: Setup | None = None
    rtcp_mux: bool = False
    rtcp_rsize: bool = False
    bundle_only: bool = False
    extmap_allow_mixed: bool = False
    codecs: tuple[Codec, ...] = ()
    extensions: tuple[ExtMap, ...] = ()
    rids: tuple[Rid, ...] = ()
    simulcast: Simulcast | None = None
    ssrcs: tuple[int, ...] = ()
    ssrc_groups: tuple[SsrcGroup, ...] = ()
    cname: str = ""
    msid: tuple[str, str] = ("", "")
    candidates: tuple[str, ...] = ()
    end_of_candidates: bool = False
    sctp_port: int = 0
    max_message_bytes: int = 65_536
    line: int = 0

    @property
    def is_stopped(self) -> bool:
        """Whether the section is rejected or stopped: port 0, and not for `bundle-only` (RFC 8843)."""
        return self.port == 0 and not self.bundle_only


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A whole description.

    Attributes:
        session_id: the number of the origin line, below 2**63.
        version: rises by one with each description of a session.
        bundle: the mids of the first BUNDLE group; None when there is no group.
        ice_lite: the side only answers checks.
        media: the sections, in order; their place is their identity over renegotiations (RFC 8829).
    """

    session_id: int
    version: int
    media: tuple[Media, ...]
    bundle: tuple[str, ...] | None = None
    ice_lite: bool = False
    ice_options: tuple[str, ...] = ()
    extmap_allow_mixed: bool = False
