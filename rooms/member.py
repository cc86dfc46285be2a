"""One place in a room: everything that outlives the session which holds it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from operator import is_
from typing import Protocol

from policy import ConsentFacts, ConsentState, Hold, Permission, RoomFacts, Site, Use, consent_state, name_key
from rooms.clock import Timer
from rooms.data_account import DataAccount
from rooms.events import RoomEvent
from rooms.mailbox import Mailbox
from rooms.tracks import Kind, Track
from rooms.types import ParticipantInfo, State, Transport
from sfu import PeerId, SubscriberId, TrackId


class Session(Protocol):
    """The handle that a session holds; a later session of the same place has another one."""

    events: Mailbox[RoomEvent]


@dataclass(slots=True, eq=False)
class Viewing:
    """The peer of a viewer (WHEP) and what its m-sections show."""

    peer: PeerId
    target: str | None
    """Identity, or None for whoever speaks."""
    sections: dict[str, Kind]
    """mid -> kind."""
    shown: dict[str, TrackId | None]
    """mid -> track that feeds it now."""
    versions: dict[str, int] = field(default_factory=dict)
    """mid -> gate version that was set with the track (external viewers)."""


@dataclass(slots=True, eq=False, kw_only=True)
class Member:
    """State of one participant or viewer; changed by the rooms package only, on the event loop's thread."""

    id: str
    person: str
    identity: str
    identity_hash: str
    address_hash: str
    name: str
    permissions: frozenset[Permission]
    transport: Transport
    is_external: bool
    site: Site | None
    joined_ms: int
    facts: ConsentFacts
    acknowledges_all: bool = False
    """A vouched WHIP publisher: the token acknowledges every notice."""
    unrecorded: frozenset[str] = frozenset()
    """Notices that the person has acknowledged while the ledger could not be written.

    No grant comes of them yet.
    """
    state: State = State.ACTIVE
    session: Session | None = None
    resume_hash: bytes = b""
    tracks: dict[TrackId, Track] = field(default_factory=dict)
    enforced: set[Kind] = field(default_factory=set)
    """Kinds that a moderator muted; later tracks of the kind are muted too."""
    publish_peer: PeerId | None = None
    publish_connection: str = ""
    publish_lost: str = ""
    """Why the publish connection is gone by itself; empty while there is one, and before the first."""
    is_negotiating: bool = False
    subscriber: SubscriberId | None = None
    is_subscriber_fresh: bool = False
    is_offer_outstanding: bool = False
    wants_restart: bool = False
    viewing: Viewing | None = None
    told: dict[str, str] = field(default_factory=dict)
    """The newest chat lines that went to this viewer outside: the author's participant id by the line's."""
    choice_generation: int = 0
    """Counts refusals, so that an agreement that was under way when a refusal came does not take effect."""
    suspensions: Counter[Hold] = field(default_factory=Counter)
    """Counts them by hold: a resumption that was under way when the next one came does not lift that."""
    chat_tokens: float = -1.0
    chat_at: float = 0.0
    data: DataAccount | None = None
    """Use of data channels; None before the first message."""
    keyed: tuple[str, str] = ("", "")
    """A name, and its key."""
    stands: tuple[object, ...] = ()
    """What `standing` was worked out from."""
    standing: Mapping[Use, ConsentState] = field(default_factory=dict)
    portrait: ParticipantInfo | None = None
    """What `info` told last."""
    grace: Timer | None = None
    expiry: Timer | None = None

    @property
    def is_present(self) -> bool:
        """Whether the place is still held (active or suspended)."""
        return self.state is not State.LEFT

    @property
    def seen(self) -> ConsentFacts:
        """The facts for what the person may do, with the acknowledgements that the ledger lacks yet."""
        return replace(self.facts, acknowledged=self.facts.acknowledged | self.unrecorded)

    @property
    def name_key(self) -> str:
        """What tells the name from others'; worked out once for each name."""
        if self.keyed[0] != self.name:
            self.keyed = (self.name, name_key(self.name))
        return self.keyed[1]

    def tell(self, event: RoomEvent) -> None:
        """Put an event into the session's mailbox; dropped while no session is attached."""
        if self.session is not None and not self.is_external:
            self.session.events.put(event)

    def consent(self, room: RoomFacts, now_ms: int) -> Mapping[Use, ConsentState]:
        """How the person stands towards every use of the terms in force."""
        current, required = room.terms.current(now_ms), room.terms.required(now_ms)
        basis = (self.facts, room.settings, room.terms, current, required)
        # Everybody who joins is told how everybody else stands: it is worked out once for each change.
        if len(self.stands) != len(basis) or not all(map(is_, self.stands, basis)):
            uses = sorted({item.use for item in current.uses} | room.settings.uses) if current else ()
            self.standing = {use: consent_state(self.facts, use, room, now_ms) for use in uses}
            self.stands = basis
        return self.standing

    def info(self, room: RoomFacts, now_ms: int) -> ParticipantInfo:
        """The participant as others see them: the same object until something of it changes."""
        consent = self.consent(room, now_ms)
        tracks = tuple(track.info() for track in self.tracks.values())
        known = self.portrait
        if (
            known is not None
            and known.consent is consent
            and (known.name, known.permissions, known.state, known.tracks)
            == (self.name, self.permissions, self.state, tracks)
        ):
            return known
        self.portrait = ParticipantInfo(
            id=self.id,
            identity=self.identity,
            name=self.name,
            permissions=self.permissions,
            state=self.state,
            joined_ms=self.joined_ms,
            tracks=tracks,
            consent=consent,
            transport=self.transport,
        )
        return self.portrait

    def stop_timers(self) -> None:
        """Unset the timers of grace, expiry and news of data."""
        for timer in (self.grace, self.expiry):
            if timer is not None:
                timer.cancel()
        self.grace = self.expiry = None
        if self.data is not None and self.data.timer is not None:
            self.data.timer.cancel()
            self.data.timer = None
