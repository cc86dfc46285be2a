"""Who may come in, publish, chat, moderate and start."""

from dataclasses import replace

import pytest

from policy import (
    DEFAULT_TERMS,
    LIVE,
    RECORD,
    REPLAY,
    Acceptance,
    Allow,
    Ban,
    Comer,
    ConsentFacts,
    Decision,
    Deny,
    Door,
    Permission,
    RoomFacts,
    RoomSettings,
    TermsHistory,
    UnknownPermission,
    Use,
    admit,
    may_chat,
    may_moderate,
    may_publish,
    may_start,
    parse_permissions,
)

NOW = 1_000
ROOM = RoomFacts(settings=RoomSettings(), terms=TermsHistory((DEFAULT_TERMS,)))
ACCEPTED = ConsentFacts(acceptance=Acceptance(terms_version=DEFAULT_TERMS.version, age_18=True))
COMER = Comer(
    permissions=frozenset({Permission.JOIN}), identity_hash="i", address_hash="a", expires_at_ms=NOW + 1
)
DOOR = Door(participants=1, viewers=1, max_participants=2, max_viewers=2)
BAN = Ban(identity_hash="i", address_hash="", expires_at_ms=NOW + 1)


def code(decision: Decision) -> str | None:
    return decision.code if isinstance(decision, Deny) else None


@pytest.mark.parametrize(
    ("comer", "door", "expected"),
    [
        (COMER, DOOR, None),
        (replace(COMER, expires_at_ms=None), DOOR, None),
        (replace(COMER, permissions=frozenset(Permission) - {Permission.JOIN}), DOOR, "forbidden"),
        (replace(COMER, expires_at_ms=NOW), DOOR, "unauthorized"),
        (COMER, replace(DOOR, bans=(BAN,)), "banned"),
        (COMER, replace(DOOR, bans=(replace(BAN, expires_at_ms=NOW),)), None),
        (COMER, replace(DOOR, bans=(replace(BAN, identity_hash="x", address_hash="a"),)), "banned"),
        (replace(COMER, address_hash=""), replace(DOOR, bans=(replace(BAN, identity_hash="x"),)), None),
        (COMER, replace(DOOR, participants=2), "room_full"),
        (replace(COMER, is_replacing=True), replace(DOOR, participants=2), None),
        (replace(COMER, is_external=True), replace(DOOR, participants=2), None),
        (replace(COMER, is_external=True), replace(DOOR, viewers=2), "room_full"),
    ],
)
def test_the_door(comer: Comer, door: Door, expected: str | None) -> None:
    assert code(admit(comer, door, NOW)) == expected


PUBLISH = frozenset({Permission.PUBLISH, Permission.CHAT})


@pytest.mark.parametrize(
    ("permissions", "person", "notices", "expected"),
    [
        (PUBLISH, ACCEPTED, (), None),
        (frozenset(), ACCEPTED, (), "forbidden"),
        (PUBLISH, ConsentFacts(), (), "terms_required"),
        (
            PUBLISH,
            replace(ACCEPTED, acceptance=Acceptance(terms_version="2026-11", age_18=False)),
            (),
            "age_required",
        ),
        (PUBLISH, ACCEPTED, ("n",), "notice_required"),
        (PUBLISH, replace(ACCEPTED, acknowledged=frozenset({"n"})), ("n",), None),
        (PUBLISH, replace(ACCEPTED, acknowledged=frozenset({"n"})), ("n", "m"), "notice_required"),
    ],
)
def test_publishing_and_chatting(
    permissions: frozenset[Permission], person: ConsentFacts, notices: tuple[str, ...], expected: str | None
) -> None:
    assert code(may_publish(permissions, person, ROOM, notices, NOW)) == expected
    assert code(may_chat(permissions, person, ROOM, notices, NOW)) == expected


def test_whip_without_terms_publishes_while_nothing_runs_and_an_untold_age_never() -> None:
    assert may_publish(PUBLISH, ConsentFacts(), ROOM, (), NOW, needs_terms=False) == Allow("may disclose")
    assert (
        code(may_publish(PUBLISH, ConsentFacts(), ROOM, ("n",), NOW, needs_terms=False)) == "notice_required"
    )
    minor = ConsentFacts(acceptance=Acceptance(terms_version="2026-11", age_18=False))
    assert code(may_publish(PUBLISH, minor, ROOM, (), NOW, needs_terms=False)) == "age_required"


def test_a_chat_that_is_off_is_off_for_everyone() -> None:
    room = replace(ROOM, settings=RoomSettings(chat=False))
    assert code(may_chat(PUBLISH, ACCEPTED, room, (), NOW)) == "forbidden"


@pytest.mark.parametrize("permission", list(Permission))
def test_only_moderators_and_administrators_moderate(permission: Permission) -> None:
    expected = None if permission in {Permission.MODERATE, Permission.ADMIN} else "forbidden"
    assert code(may_moderate(frozenset({permission}))) == expected


@pytest.mark.parametrize(
    ("use", "permission"),
    [(RECORD, Permission.RECORD), (LIVE, Permission.BROADCAST), (REPLAY, Permission.BROADCAST)],
)
def test_starting_needs_the_permission_of_the_use(use: Use, permission: Permission) -> None:
    assert code(may_start(frozenset({permission}), use, ROOM, NOW)) is None
    assert code(may_start(frozenset({Permission.ADMIN}), use, ROOM, NOW)) is None
    others = frozenset(Permission) - {permission, Permission.ADMIN}
    assert code(may_start(others, use, ROOM, NOW)) == "forbidden"


def test_starting_needs_the_room_and_the_terms() -> None:
    room = replace(ROOM, settings=RoomSettings(uses=frozenset({LIVE})))
    assert code(may_start(frozenset(Permission), RECORD, room, NOW)) == "forbidden"
    bare = replace(ROOM, terms=TermsHistory((replace(DEFAULT_TERMS, uses=()),)))
    assert code(may_start(frozenset(Permission), RECORD, bare, NOW)) == "forbidden"


def test_a_claim_with_an_unknown_permission_is_refused_as_a_whole() -> None:
    assert parse_permissions(["join", "publish"]) == {Permission.JOIN, Permission.PUBLISH}
    with pytest.raises(UnknownPermission):
        parse_permissions(["join", "root"])
