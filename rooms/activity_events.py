"""What a recorder or program is told about the people in a room: frozen events. PURE.

Their order is a promise: a person's `PersonChanged` comes before their first `TapOpened`; a `Cut` comes
before the `TapClosed` it causes. None of them enforces anything: the shared gate page does.
"""

from dataclasses import dataclass
from typing import Literal

from rooms.types import Source
from sfu import TapId, TrackId


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonChanged:
    """Somebody is there, is granted, or is gone.

    `name` is None while the person has no grant: an anonymous, silent placeholder. `person` is the ledger's
    random id, `participant` the id of this join.
    """

    person: str
    participant: str
    name: str | None
    is_present: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TapOpened:
    """Records of `tap` may come on the sink, as long as the page shows (`slot`, `version`) open."""

    tap: TapId
    person: str
    participant: str
    track: TrackId
    kind: Literal["audio", "video"]
    source: Source
    codecs: tuple[str, ...]
    slot: int
    version: int
    terms_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TapClosed:
    """No more records of `tap`: the reason of the cut, or `unpublished`, `stopped`, `sink_lost`."""

    tap: TapId
    person: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TapMuted:
    """The owner or a moderator muted the track (no packets are expected), or lifted it."""

    tap: TapId
    is_muted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatLine:
    """A line that may go out while the page shows (`slot`, `version`) open: check just before each write."""

    id: str
    person: str
    participant: str
    name: str
    text: str
    at_ms: int
    slot: int
    version: int


@dataclass(frozen=True, slots=True)
class ChatLineDeleted:
    """A line of before is no more: show and keep it no longer. No consumer need know of it."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Gates closed and the activity's epoch advanced already: discard what holds this person, and say so.

    `Activity.acknowledge(cut_id)` must come within 150 ms, else the consumer is killed and its sink closed.
    `reason`: `revoked`, `suspended`, `left`, `removed`, `banned`, `token_expired`, `terms_changed`,
    `partner_terms`, `ledger_failed`, `settings_changed`.
    """

    cut_id: int
    person: str
    participant: str
    slots: tuple[tuple[int, int], ...]
    """(slot, version) pairs that were open and are not any more."""
    epoch: int
    """The activity's cut epoch from now on; composed material of an older one must not leave."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Speakers:
    """Who speaks, loudest first: participant ids of people with a grant only."""

    participants: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SitesChanged:
    """A site was dropped from the activity (its partner's terms ended): stop sending there."""

    dropped: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkLost:
    """The sink and its taps are gone: `cut_timeout`, `consumer_gone`. `Activity.new_sink()` goes on."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityEnded:
    """The last event: `closed` by its owner, `room_closed`, `overflow`, `shutting_down`."""

    reason: str


ActivityEvent = (
    PersonChanged
    | TapOpened
    | TapClosed
    | TapMuted
    | ChatLine
    | ChatLineDeleted
    | Cut
    | Speakers
    | SitesChanged
    | SinkLost
    | ActivityEnded
)
