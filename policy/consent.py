"""Who may be used for what: the one pure decision behind every tap and every external forward. PURE.

`decide` answers for one person, one activity and one medium, from facts alone, with a reason. A grant holds
when accepted terms AND room setting AND the person's choice AND the acknowledged notice AND the partner's
terms hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from policy.settings import RoomMode, RoomSettings
from policy.terms import TermsHistory
from policy.uses import RECORD, Media, Use

OWN_PARTNER: Final = "self"
"""The partner id of the operator's own sites, whose terms are the operator's and always in force."""


class ConsentState(StrEnum):
    """How one person stands towards one use, as clients see it."""

    GRANTED = "granted"
    ASKED = "asked"
    """Not answered yet (explicit rooms), or the terms are not accepted yet: nothing is used meanwhile."""
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    """The room does not allow the use, or the terms in force do not ask for it."""


class Hold(StrEnum):
    """A reason for which a person's grants rest without being lost."""

    SIGNALLING = "signalling"
    """The signalling connection is lost; the place is kept for the grace time."""
    MEDIA = "media"
    """No authentic media packet for a while."""
    LEDGER = "ledger"
    """The ledger could not note that the grants open again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """One person's acceptance of the terms, with the age statement as a boolean."""

    terms_version: str
    age_18: bool
    vouched: bool = False
    """True when an embedder's token says so for the person; the ledger keeps the difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where an activity goes, as people are told."""

    id: str
    name: str
    partner: str = OWN_PARTNER
    """Whose terms must be in force for this site."""
    url: str = ""
    """The public address of the site, for the notice; never a destination URL or a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerTerms:
    """What a partner site has signed: the uses it may make, and from when until when."""

    partner: str
    uses: frozenset[Use]
    from_ms: int = 0
    until_ms: int | None = None

    def in_force(self, use: Use, now_ms: int) -> bool:
        """Whether the partner may make `use` at `now_ms`."""
        return (
            use in self.uses and self.from_ms <= now_ms and (self.until_ms is None or now_ms < self.until_ms)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentFacts:
    """All that is known of one person in one room; immutable, each change makes a new value."""

    present: bool = True
    """False for ever once the person has left, was removed or banned."""
    holds: frozenset[Hold] = frozenset()
    expires_at_ms: int | None = None
    """When the token ends; None = no token bounds it."""
    acceptance: Acceptance | None = None
    choices: Mapping[Use, bool] = field(default_factory=dict)
    """True = said yes, False = said no; absent = not answered."""
    acknowledged: frozenset[str] = frozenset()
    """Ids of the notices that the person has acknowledged."""

    def choosing(self, choices: Mapping[Use, bool]) -> "ConsentFacts":
        """The facts after the person answered for some uses."""
        return replace(self, choices={**self.choices, **choices})

    def held(self, hold: Hold, on: bool) -> "ConsentFacts":
        """The facts with one hold laid on or lifted."""
        return replace(self, holds=self.holds | {hold} if on else self.holds - {hold})


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityFacts:
    """All that is known of one recording, broadcast or external viewing."""

    use: Use
    notice_id: str
    sites: tuple[Site, ...] = ()
    is_running: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomFacts:
    """What holds for everyone in the room."""

    settings: RoomSettings
    terms: TermsHistory
    partners: Mapping[str, PartnerTerms] = field(default_factory=dict)
    ledger_verified: bool = True
    """False once the ledger failed verification: then nobody's grant holds."""


@dataclass(frozen=True, slots=True)
class Allow:
    """The person may be used, because of `reason`."""

    reason: str


@dataclass(frozen=True, slots=True)
class Deny:
    """The person may not be used: `reason` for people, `code` for programs."""

    reason: str
    code: str


Decision = Allow | Deny


def decide(
    person: ConsentFacts, activity: ActivityFacts, media: Media, room: RoomFacts, now_ms: int
) -> Decision:
    """Whether `media` of the person may go into the activity at `now_ms` (wall clock, Unix milliseconds)."""
    return (
        _deny_by_state(person, activity, room, now_ms)
        or _deny_by_terms(person, activity.use, media, room, now_ms)
        or _deny_by_choice(person, activity.use, room.settings)
        or _deny_by_notice(person, activity)
        or _deny_by_partner(activity, room, now_ms)
        or Allow(_reason(person, activity.use, room.settings))
    )


def decide_replay(
    person: ConsentFacts, activity: ActivityFacts, media: Media, room: RoomFacts, now_ms: int
) -> Decision:
    """Whether `media` that was recorded of the person may be shown again at `now_ms`.

    `person` is what the ledger says of them; `room` holds the settings of the room that was recorded. People
    are not there to be given a notice: so only a yes counts, in a `notice` room too, and no notice is asked
    for. Whoever has taken back being recorded is not shown.
    """
    if person.choices.get(RECORD) is False:
        return Deny(f"refused {RECORD}", "consent_refused")
    explicit = replace(room, settings=replace(room.settings, mode=RoomMode.EXPLICIT))
    told = replace(person, acknowledged=person.acknowledged | {activity.notice_id})
    return decide(told, activity, media, explicit, now_ms)


def consent_state(person: ConsentFacts, use: Use, room: RoomFacts, now_ms: int) -> ConsentState:
    """How the person stands towards `use`, whatever runs now: what the person's own screen shows."""
    current = room.terms.current(now_ms)
    if use not in room.settings.uses or current is None or current.use(use) is None:
        return ConsentState.UNAVAILABLE
    if person.choices.get(use) is False:
        return ConsentState.REFUSED
    is_covered = any(_deny_by_terms(person, use, media, room, now_ms) is None for media in Media)
    if not is_covered or _deny_by_choice(person, use, room.settings) is not None:
        return ConsentState.ASKED
    return ConsentState.GRANTED


def may_go(activity: ActivityFacts, room: RoomFacts, now_ms: int) -> Decision:
    """Whether the terms of every partner let the activity go to its sites at `now_ms`."""
    return _deny_by_partner(activity, room, now_ms) or Allow("the partners' terms cover it")


def has_accepted(person: ConsentFacts, room: RoomFacts, now_ms: int) -> Deny | None:
    """Why the person's acceptance does not serve now, or None when it does (age statement included)."""
    acceptance = person.acceptance
    if acceptance is None:
        return Deny("the broadcast terms are not accepted yet", "terms_required")
    if not acceptance.age_18:
        return Deny("only people of 18 or older may publish", "age_required")
    if not room.terms.serves(acceptance.terms_version, now_ms):
        return Deny("the broadcast terms have changed and must be accepted again", "terms_required")
    return None


def _deny_by_state(
    person: ConsentFacts, activity: ActivityFacts, room: RoomFacts, now_ms: int
) -> Deny | None:
    if not activity.is_running:
        return Deny("nothing runs", "not_running")
    if not person.present:
        return Deny("the person is not in the room", "left")
    if person.holds:
        return Deny(f"suspended: {', '.join(sorted(person.holds))}", "suspended")
    if person.expires_at_ms is not None and now_ms >= person.expires_at_ms:
        return Deny("the token has expired", "token_expired")
    if not room.ledger_verified:
        return Deny("the consent ledger failed verification", "ledger_failed")
    return None


def _deny_by_terms(person: ConsentFacts, use: Use, media: Media, room: RoomFacts, now_ms: int) -> Deny | None:
    refused = has_accepted(person, room, now_ms)
    if refused is not None or person.acceptance is None:
        return refused
    if use not in room.settings.uses:
        return Deny(f"the room does not allow {use}", "use_not_allowed")
    accepted = room.terms.get(person.acceptance.terms_version)
    current = room.terms.current(now_ms)
    # Both documents must ask for it: the one the person read, and the one that is in force now.
    if (
        accepted is None
        or current is None
        or not (accepted.covers(use, media) and current.covers(use, media))
    ):
        return Deny(f"the terms do not ask for {use} of {media}", "not_in_terms")
    return None


def _deny_by_choice(person: ConsentFacts, use: Use, settings: RoomSettings) -> Deny | None:
    choice = person.choices.get(use)
    if choice is False:
        return Deny(f"refused {use}", "consent_refused")
    if choice is None and settings.mode is RoomMode.EXPLICIT:
        return Deny(f"has not agreed to {use} yet", "consent_required")
    return None


def _deny_by_notice(person: ConsentFacts, activity: ActivityFacts) -> Deny | None:
    if activity.notice_id not in person.acknowledged:
        return Deny("has not acknowledged the notice yet", "notice_required")
    return None


def _deny_by_partner(activity: ActivityFacts, room: RoomFacts, now_ms: int) -> Deny | None:
    for site in activity.sites:
        if site.partner == OWN_PARTNER:
            continue
        terms = room.partners.get(site.partner)
        if terms is None or not terms.in_force(activity.use, now_ms):
            return Deny(f"no terms with {site.name} are in force for {activity.use}", "partner_terms")
    return None


def _reason(person: ConsentFacts, use: Use, settings: RoomSettings) -> str:
    vouched = " (vouched)" if person.acceptance is not None and person.acceptance.vouched else ""
    if person.choices.get(use):
        return f"agreed to {use}{vouched}"
    return f"accepted terms cover {use} in a {settings.mode} room{vouched}"
