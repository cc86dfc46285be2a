"""How the application behaves: one frozen value, filled by the server's configuration.

PURE: no I/O.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final

from rebroadcast import RebroadcastService, Takedowns
from recorder import RecorderService
from rooms import RoomService
from signaling.ice_servers import IceServers
from signaling.limits import Rate
from signaling.session import SessionLimits
from signaling.tokens import KeyRing
from store import Store

_JOINS: Final = Rate(per_s=20.0, burst=200.0)
_REQUESTS: Final = Rate(per_s=50.0, burst=400.0)
_FAILURES: Final = Rate(per_s=1.0, burst=60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalingConfig:
    """What the operator decides about the application."""

    web_root: Path
    """Folder of the pages and the client."""
    site_name: str = "Parley"
    support: str = ""
    """Address for questions, shown to people."""
    privacy: str = ""
    """Address for privacy requests, shown to people."""
    is_development: bool = False
    """The generated key serves on loopback: pages may mint tokens for themselves."""
    hosts: tuple[str, ...] = ()
    """Host names that a development server answers to, besides loopback's (a foreign name is DNS
    rebinding).
    """
    origins: tuple[str, ...] = ()
    """Origins, besides the server's own, whose pages may use WebSocket and API."""
    frame_ancestors: tuple[str, ...] = ()
    """Sites that may frame `/embed/`; empty: any, since what an embed shows needs an external token
    anyway.
    """
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Peers whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."""
    ice_servers: IceServers = field(default_factory=IceServers)
    """What joiners are given."""
    hls_secret: bytes = b""
    """Signs playlist URLs; at least 32 bytes."""
    hls_ttl_s: int = 6 * 3600
    resume_grace_s: float = 30.0
    session: SessionLimits = field(default_factory=SessionLimits)
    outbox_messages: int = 1_000
    """Messages that may wait for one client; beyond it, it is a slow reader."""
    outbox_bytes: int = 4 << 20
    call_timeout_s: float = 15.0
    """A request that takes longer is a fault."""
    ping_s: float = 15.0
    body_timeout_s: float = 10.0
    """A request body that takes longer is refused (slow sender)."""
    joins: Rate = _JOINS
    """Joins (WebSocket upgrades, WHIP, WHEP) of one address."""
    requests: Rate = _REQUESTS
    """Other HTTP requests of one address."""
    failures: Rate = _FAILURES
    """Refused tokens and secrets of one address: guessing gets slow."""
    sockets: int = 5_000
    """WebSocket connections at once."""
    http_sessions: int = 5_000
    """WHIP and WHEP resources at once."""


def _nothing_missing() -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the application stands on. A service that is None answers `unavailable`.

    What a service refuses is raised as an error whose class has a `code` of `signaling.errors.CODES`.
    """

    rooms: RoomService
    keys: KeyRing
    store: Store
    recorder: RecorderService | None = None
    broadcasts: RebroadcastService | None = None
    hls: RebroadcastService | None = None
    takedowns: Takedowns | None = None
    media_counters: Callable[[], Awaitable[dict[str, dict[str, int]]]] | None = None
    """Counters of the media plane by part, for `/metrics`."""
    cpu_cores: Callable[[], Mapping[str, float]] | None = None
    """CPU cores by what runs, for `/metrics`."""
    missing: Callable[[], Sequence[str]] = _nothing_missing
    """What the server does without, in words; empty when everything is there."""

    def address_hash(self, address: str) -> str:
        """Keyed hash of a network address, for bans."""
        return self.store.keyed_hash("address", address)
