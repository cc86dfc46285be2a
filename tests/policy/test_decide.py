"""The one decision behind every tap and external forward, as a table: each row changes one fact."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import (
    DEFAULT_TERMS,
    LIVE,
    RECORD,
    REPLAY,
    Acceptance,
    ActivityFacts,
    Allow,
    ConsentFacts,
    ConsentState,
    Deny,
    Hold,
    Media,
    PartnerTerms,
    RoomFacts,
    RoomMode,
    RoomSettings,
    Site,
    TermsHistory,
    Use,
    consent_state,
    decide,
    decide_replay,
    has_accepted,
    may_go,
)

NOW = 1_000_000
V1 = replace(DEFAULT_TERMS, version="v1", number=1, effective_at_ms=0)
V2_MATERIAL = replace(DEFAULT_TERMS, version="v2", number=2, effective_at_ms=500_000)
V2_MINOR = replace(V2_MATERIAL, is_material=False)
V2_LATER = replace(V2_MATERIAL, effective_at_ms=2_000_000)
ACCEPTED = Acceptance(terms_version="v1", age_18=True)
SITE = Site(id="tv", name="TV", partner="pt")
PARTNER = PartnerTerms(partner="pt", uses=frozenset({LIVE}), from_ms=0, until_ms=None)

PERSON = ConsentFacts(acceptance=ACCEPTED, acknowledged=frozenset({"n"}))
ACTIVITY = ActivityFacts(use=LIVE, notice_id="n", sites=(SITE,))
ROOM = RoomFacts(settings=RoomSettings(), terms=TermsHistory((V1,)), partners={"pt": PARTNER})
EXPLICIT = replace(ROOM, settings=RoomSettings(mode=RoomMode.EXPLICIT))


def history(*documents: object) -> RoomFacts:
    return replace(ROOM, terms=TermsHistory(documents))  # type: ignore[arg-type]


def uses_without(document, use, *media):  # type: ignore[no-untyped-def]
    kept = frozenset(Media) - set(media)
    return replace(
        document,
        uses=tuple(
            replace(item, media=kept) if item.use == use else item
            for item in document.uses
            if kept or item.use != use
        ),
    )


ALLOWED = {
    "accepted terms in a notice room": (PERSON, ACTIVITY, ROOM),
    "a yes in an explicit room": (PERSON.choosing({LIVE: True}), ACTIVITY, EXPLICIT),
    "a yes in a notice room": (PERSON.choosing({LIVE: True}), ACTIVITY, ROOM),
    "no to another use": (PERSON.choosing({RECORD: False}), ACTIVITY, ROOM),
    "a token that ends later": (replace(PERSON, expires_at_ms=NOW + 1), ACTIVITY, ROOM),
    "a vouched acceptance": (replace(PERSON, acceptance=replace(ACCEPTED, vouched=True)), ACTIVITY, ROOM),
    "a recording without sites": (PERSON, replace(ACTIVITY, use=RECORD, sites=()), ROOM),
    "the operator's own site": (PERSON, replace(ACTIVITY, sites=(Site(id="embed", name="Embed"),)), ROOM),
    "a minor newer version in force": (PERSON, ACTIVITY, history(V1, V2_MINOR)),
    "a material newer version not in force yet": (PERSON, ACTIVITY, history(V1, V2_LATER)),
    "the newer version accepted": (
        replace(PERSON, acceptance=replace(ACCEPTED, terms_version="v2")),
        ACTIVITY,
        history(V1, V2_MATERIAL),
    ),
    "the newer version accepted before it is in force": (
        replace(PERSON, acceptance=replace(ACCEPTED, terms_version="v2")),
        ACTIVITY,
        history(V1, V2_LATER),
    ),
    "other notices not acknowledged": (replace(PERSON, acknowledged=frozenset({"n", "m"})), ACTIVITY, ROOM),
}

DENIED = {
    "the activity is over": (PERSON, replace(ACTIVITY, is_running=False), ROOM, "not_running"),
    "the person left": (replace(PERSON, present=False), ACTIVITY, ROOM, "left"),
    "signalling is lost": (PERSON.held(Hold.SIGNALLING, True), ACTIVITY, ROOM, "suspended"),
    "media is lost": (PERSON.held(Hold.MEDIA, True), ACTIVITY, ROOM, "suspended"),
    "the ledger waits": (PERSON.held(Hold.LEDGER, True), ACTIVITY, ROOM, "suspended"),
    "the token ended now": (replace(PERSON, expires_at_ms=NOW), ACTIVITY, ROOM, "token_expired"),
    "the ledger is broken": (PERSON, ACTIVITY, replace(ROOM, ledger_verified=False), "ledger_failed"),
    "nothing accepted": (replace(PERSON, acceptance=None), ACTIVITY, ROOM, "terms_required"),
    "no age statement": (
        replace(PERSON, acceptance=replace(ACCEPTED, age_18=False)),
        ACTIVITY,
        ROOM,
        "age_required",
    ),
    "an unknown version accepted": (
        replace(PERSON, acceptance=replace(ACCEPTED, terms_version="v9")),
        ACTIVITY,
        ROOM,
        "terms_required",
    ),
    "a material newer version in force": (PERSON, ACTIVITY, history(V1, V2_MATERIAL), "terms_required"),
    "no terms in force": (PERSON, ACTIVITY, history(replace(V1, effective_at_ms=NOW + 1)), "terms_required"),
    "the room does not allow the use": (
        PERSON,
        ACTIVITY,
        replace(ROOM, settings=RoomSettings(uses=frozenset({RECORD}))),
        "use_not_allowed",
    ),
    "the accepted terms do not ask for the use": (
        PERSON,
        ACTIVITY,
        history(replace(V1, uses=tuple(item for item in V1.uses if item.use != LIVE)), V2_MINOR),
        "not_in_terms",
    ),
    "the terms in force do not ask for video": (
        PERSON,
        ACTIVITY,
        history(V1, uses_without(V2_MINOR, LIVE, Media.VIDEO)),
        "not_in_terms",
    ),
    "no answer in an explicit room": (PERSON, ACTIVITY, EXPLICIT, "consent_required"),
    "a yes to another use in an explicit room": (
        PERSON.choosing({RECORD: True}),
        ACTIVITY,
        EXPLICIT,
        "consent_required",
    ),
    "a no in a notice room": (PERSON.choosing({LIVE: False}), ACTIVITY, ROOM, "consent_refused"),
    "a yes taken back": (
        PERSON.choosing({LIVE: True}).choosing({LIVE: False}),
        ACTIVITY,
        EXPLICIT,
        "consent_refused",
    ),
    "the notice not acknowledged": (
        replace(PERSON, acknowledged=frozenset({"m"})),
        ACTIVITY,
        ROOM,
        "notice_required",
    ),
    "an unknown partner": (PERSON, ACTIVITY, replace(ROOM, partners={}), "partner_terms"),
    "the partner's terms ended": (
        PERSON,
        ACTIVITY,
        replace(ROOM, partners={"pt": replace(PARTNER, until_ms=NOW)}),
        "partner_terms",
    ),
    "the partner's terms not begun": (
        PERSON,
        ACTIVITY,
        replace(ROOM, partners={"pt": replace(PARTNER, from_ms=NOW + 1)}),
        "partner_terms",
    ),
    "the partner may only replay": (
        PERSON,
        ACTIVITY,
        replace(ROOM, partners={"pt": replace(PARTNER, uses=frozenset({REPLAY}))}),
        "partner_terms",
    ),
    "one of two partners without terms": (
        PERSON,
        replace(ACTIVITY, sites=(SITE, Site(id="x", name="X", partner="other"))),
        ROOM,
        "partner_terms",
    ),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_allowed(case: str) -> None:
    decision = decide(*ALLOWED[case][:2], Media.VIDEO, ALLOWED[case][2], NOW)
    assert isinstance(decision, Allow), decision
    assert decision.reason


@pytest.mark.parametrize("case", DENIED)
def test_denied(case: str) -> None:
    person, activity, room, code = DENIED[case]
    decision = decide(person, activity, Media.VIDEO, room, NOW)
    assert isinstance(decision, Deny)
    assert decision.code == code
    assert decision.reason


def test_the_reason_says_whether_it_was_agreed_covered_or_vouched() -> None:
    vouched = replace(PERSON, acceptance=replace(ACCEPTED, vouched=True))
    reasons = [
        decide(person, ACTIVITY, Media.AUDIO, ROOM, NOW).reason
        for person in (PERSON, PERSON.choosing({LIVE: True}), vouched)
    ]
    assert reasons == [
        "accepted terms cover live in a notice room",
        "agreed to live",
        "accepted terms cover live in a notice room (vouched)",
    ]


facts = st.builds(
    ConsentFacts,
    present=st.booleans(),
    holds=st.frozensets(st.sampled_from(Hold), max_size=2),
    expires_at_ms=st.none() | st.integers(NOW - 2, NOW + 2),
    acceptance=st.none()
    | st.builds(Acceptance, terms_version=st.sampled_from(["v1", "v2", "v9"]), age_18=st.booleans()),
    choices=st.dictionaries(st.sampled_from([LIVE, RECORD, REPLAY]), st.booleans()),
    acknowledged=st.frozensets(st.sampled_from(["n", "m"])),
)
rooms = st.builds(
    RoomFacts,
    settings=st.builds(
        RoomSettings,
        mode=st.sampled_from(RoomMode),
        uses=st.frozensets(st.sampled_from([LIVE, RECORD, REPLAY])),
    ),
    terms=st.sampled_from(
        [TermsHistory((V1,)), TermsHistory((V1, V2_MATERIAL)), TermsHistory((V1, V2_MINOR))]
    ),
    partners=st.sampled_from([{}, {"pt": PARTNER}]),
    ledger_verified=st.booleans(),
)
activities = st.builds(
    ActivityFacts,
    use=st.sampled_from([LIVE, RECORD, REPLAY, Use("novel")]),
    notice_id=st.sampled_from(["n", "m"]),
    sites=st.sampled_from([(), (SITE,), (Site(id="own", name="Own"),)]),
    is_running=st.booleans(),
)


@given(facts, activities, st.sampled_from(Media), rooms)
def test_whoever_is_allowed_has_everything_that_a_grant_needs(
    person: ConsentFacts, activity: ActivityFacts, media: Media, room: RoomFacts
) -> None:
    if isinstance(decide(person, activity, media, room, NOW), Deny):
        return
    assert person.present
    assert not person.holds
    assert person.acceptance is not None
    assert person.acceptance.age_18
    assert person.acceptance.terms_version in {"v1", "v2"}
    assert activity.use in room.settings.uses
    assert activity.notice_id in person.acknowledged
    assert person.choices.get(activity.use) is not False
    assert room.settings.mode is RoomMode.NOTICE or person.choices[activity.use]
    assert room.ledger_verified
    assert activity.is_running


@given(facts, activities, rooms, st.sampled_from([LIVE, RECORD, REPLAY]))
def test_a_refusal_never_allows_more(
    person: ConsentFacts, activity: ActivityFacts, room: RoomFacts, use: Use
) -> None:
    refused = person.choosing({use: False})
    if isinstance(decide(refused, activity, Media.AUDIO, room, NOW), Allow):
        assert activity.use != use
        assert isinstance(decide(person, activity, Media.AUDIO, room, NOW), Allow)


@pytest.mark.parametrize(
    ("person", "room", "state"),
    [
        (PERSON, ROOM, ConsentState.GRANTED),
        (PERSON, EXPLICIT, ConsentState.ASKED),
        (PERSON.choosing({LIVE: True}), EXPLICIT, ConsentState.GRANTED),
        (PERSON.choosing({LIVE: False}), ROOM, ConsentState.REFUSED),
        (replace(PERSON, acceptance=None), ROOM, ConsentState.ASKED),
        (PERSON, history(V1, V2_MATERIAL), ConsentState.ASKED),
        (PERSON, replace(ROOM, settings=RoomSettings(uses=frozenset())), ConsentState.UNAVAILABLE),
        (PERSON, history(replace(V1, effective_at_ms=NOW + 1)), ConsentState.UNAVAILABLE),
    ],
)
def test_what_the_persons_own_screen_shows(
    person: ConsentFacts, room: RoomFacts, state: ConsentState
) -> None:
    assert consent_state(person, LIVE, room, NOW) is state


def test_an_acceptance_without_the_age_statement_is_named_as_that() -> None:
    refusal = has_accepted(replace(PERSON, acceptance=replace(ACCEPTED, age_18=False)), ROOM, NOW)
    assert refusal is not None
    assert refusal.code == "age_required"


REPLAYED = ActivityFacts(use=REPLAY, notice_id="r", sites=(SITE,))
COVERED = replace(ROOM, partners={"pt": replace(PARTNER, uses=frozenset({LIVE, REPLAY}))})
AGREED = ConsentFacts(acceptance=ACCEPTED, choices={REPLAY: True})


@pytest.mark.parametrize(
    ("person", "room", "code"),
    [
        (AGREED, COVERED, None),
        (replace(AGREED, choices={}), COVERED, "consent_required"),
        (replace(AGREED, choices={REPLAY: False}), COVERED, "consent_refused"),
        (replace(AGREED, choices={REPLAY: True, RECORD: False}), COVERED, "consent_refused"),
        (replace(AGREED, choices={REPLAY: True, RECORD: True}), COVERED, None),
        (replace(AGREED, acceptance=None), COVERED, "terms_required"),
        (replace(AGREED, acceptance=replace(ACCEPTED, age_18=False)), COVERED, "age_required"),
        (AGREED, replace(COVERED, terms=TermsHistory((V1, V2_MATERIAL))), "terms_required"),
        (AGREED, replace(COVERED, terms=TermsHistory((V1, V2_MINOR))), None),
        (AGREED, replace(COVERED, settings=RoomSettings(uses=frozenset({LIVE, RECORD}))), "use_not_allowed"),
        (AGREED, replace(COVERED, ledger_verified=False), "ledger_failed"),
        (AGREED, ROOM, "partner_terms"),
    ],
)
def test_a_replay_needs_a_yes_and_no_notice(person, room, code):  # type: ignore[no-untyped-def]
    decision = decide_replay(person, REPLAYED, Media.VIDEO, room, NOW)
    assert (decision.code if isinstance(decision, Deny) else None) == code


def test_an_activity_may_go_where_every_partner_covers_it():  # type: ignore[no-untyped-def]
    assert isinstance(may_go(REPLAYED, COVERED, NOW), Allow)
    other = replace(REPLAYED, sites=(SITE, Site(id="b", name="B", partner="none")))
    assert isinstance(may_go(other, COVERED, NOW), Deny)
