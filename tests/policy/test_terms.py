"""Terms documents are immutable, versioned, and say what an acceptance is worth."""

import json
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import DEFAULT_TERMS, LIVE, RECORD, REPLAY, Media, TermsDocument, TermsError, TermsHistory, Use

V1 = replace(DEFAULT_TERMS, version="v1", number=1, effective_at_ms=100)
V2 = replace(DEFAULT_TERMS, version="v2", number=2, effective_at_ms=200, is_material=False)
V3 = replace(DEFAULT_TERMS, version="v3", number=3, effective_at_ms=300)
ALL = TermsHistory.of([V3, V1, V2])


def test_the_shipped_terms_say_what_the_policy_demands() -> None:
    text = " ".join(DEFAULT_TERMS.paragraphs)
    for phrase in (
        "broadcast live through third-party sites",
        "recorded and broadcast again",
        "chat goes along with the video",
        "careful what you disclose",
        "You are told when it happens",
    ):
        assert phrase in text
    assert "18" in DEFAULT_TERMS.age_statement
    assert {item.use for item in DEFAULT_TERMS.uses} == {LIVE, RECORD, REPLAY}
    assert all(item.media == set(Media) for item in DEFAULT_TERMS.uses)


def test_a_document_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        DEFAULT_TERMS.title = "Other"  # type: ignore[misc]


def test_a_document_survives_its_json_with_the_same_digest() -> None:
    copy = TermsDocument.from_json(DEFAULT_TERMS.to_json())
    assert copy == DEFAULT_TERMS
    assert copy.digest() == DEFAULT_TERMS.digest()


@pytest.mark.parametrize(
    "field", ["title", "age_statement", "paragraphs", "version", "number", "is_material"]
)
def test_every_field_counts_in_the_digest(field: str) -> None:
    other = {
        "title": "x",
        "age_statement": "x",
        "paragraphs": ("x",),
        "version": "x",
        "number": 7,
        "is_material": False,
    }[field]
    assert replace(DEFAULT_TERMS, **{field: other}).digest() != DEFAULT_TERMS.digest()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"version": ""},
        {"version": "UPPER"},
        {"version": "../x"},
        {"version": "x" * 33},
        {"number": 0},
        {"title": ""},
        {"age_statement": ""},
        {"paragraphs": ()},
        {"uses": (DEFAULT_TERMS.uses[0], DEFAULT_TERMS.uses[0])},
        {"uses": (replace(DEFAULT_TERMS.uses[0], media=frozenset()),)},
    ],
)
def test_a_document_that_contradicts_itself_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(TermsError):
        replace(DEFAULT_TERMS, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now_ms", "current", "required", "serving"),
    [
        (99, None, None, set()),
        (100, "v1", "v1", {"v1", "v2", "v3"}),
        (250, "v2", "v1", {"v1", "v2", "v3"}),
        (300, "v3", "v3", {"v3"}),
    ],
)
def test_what_is_in_force_and_which_acceptances_serve(
    now_ms: int, current: str | None, required: str | None, serving: set[str]
) -> None:
    found = ALL.current(now_ms)
    assert (found.version if found else None) == current
    needed = ALL.required(now_ms)
    assert (needed.version if needed else None) == required
    assert {version for version in ("v1", "v2", "v3", "v4") if ALL.serves(version, now_ms)} == serving


def test_the_next_change_is_the_next_instant_in_force() -> None:
    assert [ALL.next_change_ms(now_ms) for now_ms in (0, 100, 299, 300)] == [100, 200, 300, None]


def test_publishing_adds_a_newer_version_only() -> None:
    history = TermsHistory((V1,)).publish(V2)
    assert history.get("v2") == V2
    for wrong in (V1, replace(V3, number=2), replace(V3, version="v1"), replace(V3, effective_at_ms=50)):
        with pytest.raises(TermsError):
            history.publish(wrong)
    with pytest.raises(TermsError):
        TermsHistory(())
    with pytest.raises(TermsError):
        TermsHistory((V2, V1))
    with pytest.raises(TermsError):
        TermsHistory((V1, replace(V2, version="v1")))


@given(
    st.text(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    ).map(json.dumps)
)
def test_text_that_is_no_document_raises_its_one_error(text: str) -> None:
    with pytest.raises(TermsError):
        TermsDocument.from_json(text)


def test_a_use_of_the_documents_own_invention_is_known() -> None:
    novel = replace(DEFAULT_TERMS.uses[0], use=Use("training"))
    document = replace(DEFAULT_TERMS, uses=(novel,))
    assert document.covers(Use("training"), Media.CHAT)
    assert not document.covers(LIVE, Media.CHAT)
