"""Configuration of the media plane: one frozen dataclass, filled by the server's configuration.

PURE: no I/O.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MediaConfig:
    """Where media is received and how patient the plane is."""

    addresses: tuple[str, ...] = ("127.0.0.1",)
    """IP addresses to bind, IPv4 or IPv6, concrete (no wildcard: each becomes a candidate)."""

    port: int = 7882
    """UDP port of worker 0; worker n takes `port + n`. 0 lets the system choose (tests)."""

    tcp_port: int | None = None
    """TCP port of ICE, for peers whose networks let no UDP through. 0 lets the system choose;
    None is no ICE-TCP."""

    workers: int = 1
    """Native threads, each with its own sockets."""

    spread: int = 64
    """How many more peers and forwards than the idlest worker a room's home may have before others take its
    peers. Each track that crosses costs a copy and a wake-up, so that small rooms stay on one worker."""

    announced: tuple[str, ...] = ()
    """Addresses put into candidates in place of `addresses`, in the same order (1:1 NAT). Empty: as bound."""

    gate_slots: int = 65_536
    """Slots of the shared gate page: one for each (participant, use), one for each room's epoch."""

    idle_ms: int = 10_000
    """A peer with no authentic packet for so long is reported idle."""

    join_timeout_s: float = 15.0
    """A peer that has not finished ICE and DTLS by then fails with `join_timeout`."""

    handshake_timeout_s: float = 10.0
    """A DTLS handshake that is not done so long after its first datagram fails with `handshake_timeout`."""

    answer_timeout_s: float = 15.0
    """A subscriber that has not answered an offer by then fails with `answer_timeout`."""

    consent_timeout_s: float = 30.0
    """A peer without an authenticated connectivity check for so long fails (RFC 7675)."""

    command_timeout_s: float = 5.0
    """An engine that has not acknowledged a command by then fails the peer that it was for."""

    max_peers_per_room: int = 4_096
    """Transports of one router; beyond it, joining is refused."""

    max_tracks_per_peer: int = 32
    """Tracks that one publisher may have at a time; m-sections beyond are answered as rejected."""

    max_subscriptions: int = 512
    """Tracks that one subscriber may receive at a time."""

    data: bool = True
    """Whether publish connections may carry data channels."""

    data_message_bytes: int = 16_384
    """The longest message of a data channel, envelope included; what descriptions announce."""

    data_queue_bytes: int = 262_144
    """Data messages that wait for one slow peer; beyond it they are dropped and counted."""

    events_limit: int = 8_192
    """Events of one router that wait for its consumer; beyond it they are counted as `EventsLost`."""
