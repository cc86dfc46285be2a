"""Broadcasts, destinations and partner sites as callers see them: plain immutable values. PURE."""

from dataclasses import dataclass
from typing import Literal

Mode = Literal["program", "passthrough"]
Kind = Literal["rtmp", "hls"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationStatus:
    """How one destination of a broadcast is doing."""

    destination: str
    name: str
    site: str
    kind: str
    state: str
    """`idle`, `connecting`, `live`, `degraded`, `slate`, `backing_off`, `failed`, `stopped`."""
    reason: str | None
    """What a person can act on when it is not `live`."""
    bytes_acknowledged: int
    """RTMP: what the site's host acknowledged, over all connections. HLS: what players could fetch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastInfo:
    """One broadcast."""

    id: str
    room: str
    state: str
    """`starting`, `running`, `stopping`, `stopped`, `failed`."""
    reason: str | None
    mode: str
    started_ms: int
    ended_ms: int | None
    has_hls: bool
    destinations: tuple[DestinationStatus, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationInfo:
    """One registered destination; never its key."""

    id: str
    name: str
    partner: str
    site: str
    kind: str
    rooms: tuple[str, ...]
    shown_url: str | None
    """Scheme, host and application; None for HLS."""
    key_hint: str | None
    """Last four characters of the stream key; None without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerInfo:
    """One partner site with the terms it agreed to."""

    id: str
    name: str
    site: str
    policy_url: str
    uses: tuple[str, ...]
    terms_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RebroadcastConfig:
    """How programs are made when a broadcast does not say otherwise."""

    width: int = 1280
    """Pixels, even."""
    height: int = 720
    """Pixels, even."""
    fps: int = 30
    video_bps: int = 2_500_000
    audio_bps: int = 128_000
    segment_s: float = 2.0
    """Length of an HLS segment, and the longest wait of a new output for a keyframe."""
    allow_private_destinations: bool = False
    """Destinations on loopback and private addresses: for partners on the operator's own network."""
    broadcasts_per_room: int = 4
    """Programs that one room may run at the same time."""
