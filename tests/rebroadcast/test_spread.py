"""Where somebody went, as the ledger tells it: never shorter than what was sent."""

from rebroadcast.spread import Span, spans_of
from store import LedgerKind, LedgerRow


def row(seq, kind, *, activity="", room="rm_1", uses=(), person="u_1"):
    return LedgerRow(
        seq=seq,
        at_ms=seq * 100,
        kind=kind,
        person=person,
        room=room,
        uses=tuple(uses),
        activity=activity,
        previous="",
        hash="",
    )


def seen(seq, activity="bc_1", **more):
    return row(seq, LedgerKind.NOTICE_ACKNOWLEDGED, activity=activity, **more)


def test_a_span_begins_with_the_notice_and_ends_with_the_program():
    assert spans_of([seen(1)], {}) == [Span("bc_1", 100, None)]
    assert spans_of([seen(1)], {"bc_1": 900}) == [Span("bc_1", 100, 900)]


def test_a_revocation_ends_every_program_of_its_room_and_no_other():
    rows = [seen(1), seen(2, "bc_2"), seen(3, "bc_3", room="rm_2"), row(5, LedgerKind.REVOKED)]
    assert spans_of(rows, {}) == [Span("bc_1", 100, 500), Span("bc_2", 200, 500), Span("bc_3", 300, None)]


def test_taking_back_another_use_ends_nothing():
    assert spans_of([seen(1), row(5, LedgerKind.REVOKED, uses=["record"])], {}) == [Span("bc_1", 100, None)]
    assert spans_of([seen(1), row(5, LedgerKind.REVOKED, uses=["live"])], {}) == [Span("bc_1", 100, 500)]


def test_who_comes_back_is_in_it_again():
    rows = [seen(1), row(3, LedgerKind.SUSPENDED), row(5, LedgerKind.RESUMED)]
    assert spans_of(rows, {}) == [Span("bc_1", 100, 300), Span("bc_1", 500, None)]
    rows = [seen(1), row(3, LedgerKind.REVOKED, uses=["live"]), row(5, LedgerKind.USE_AGREED, uses=["live"])]
    assert spans_of(rows, {"bc_1": 900}) == [Span("bc_1", 100, 300), Span("bc_1", 500, 900)]
    assert spans_of(rows, {"bc_1": 400}) == [Span("bc_1", 100, 300)], "it was over before"


def test_whoever_acknowledged_nothing_went_nowhere():
    assert spans_of([row(1, LedgerKind.TERMS_ACCEPTED), row(2, LedgerKind.REVOKED)], {}) == []
