"""Quotas of what one person may do, and how long things are kept. PURE."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds that hold in every room; each protects the others from one participant."""

    chat_chars: int = 2_000
    """Characters of one chat line."""
    chat_history: int = 200
    """Chat lines that a room keeps in memory for late joiners."""
    chat_per_s: float = 1.0
    """Chat lines a second that one person may write for long."""
    chat_burst: int = 10
    """Chat lines that one person may write at once."""
    data_per_s: float = 50.0
    """Data messages a second that one person may send for long."""
    data_burst: int = 200
    """Data messages that one person may send at once."""
    data_bytes_per_s: float = 65_536.0
    """Bytes of data messages a second that one person may send for long."""
    data_bytes_burst: int = 262_144
    """Bytes of data messages that one person may send at once."""
    data_room_per_s: float = 1_000.0
    """Deliveries of data messages a second in one room: a message counts once for each who gets it."""
    data_node_per_s: float = 2_000.0
    """Deliveries of data messages a second in all rooms of a node, since one thread makes them."""
    events_waiting: int = 1_000
    """Events that may wait for one participant's session; beyond it the session is ended as a slow reader."""
    activity_events_waiting: int = 4_096
    """Events that may wait for a recorder or program; beyond it the consumer is killed (fail closed)."""
    activities_per_room: int = 8
    """Recordings, broadcasts and external viewings that may run in a room at once."""
    rooms: int = 10_000
    """Rooms open at once on this node."""
    cut_ms: int = 150
    """Time that a consumer has to acknowledge a cut before it is killed."""
    viewing_linger_s: float = 30.0
    """How long external viewing stays announced after its last viewer has gone."""
    ban_s: float = 86_400.0
    """How long a ban holds unless the moderator says otherwise."""
    ledger_retry_s: float = 1.0
    """Pause between attempts to append revocations that the ledger could not take."""
    ledger_waiting: int = 10_000
    """Revocations that may wait for the ledger; beyond it they are only alerted (the cut always happens)."""
