"""Names, journals, history and the signed manifest."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from recorder.errors import ManifestInvalid
from recorder.history import build
from recorder.journal import DELETED, encode_line, read_lines, whole_lines, without_deleted
from recorder.manifest import PartFacts, canonical, parse_draft, parse_signed, sign, verify
from recorder.names import PartName

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()


def event(at_ms, event_, **fields):
    return {"at_ms": at_ms, "event": event_, **fields}


START = event(0, "worker_started", recording="rec_1", room="rm_1", terms_version="t1", origin_unix_ms=5_000)
JOINED = event(10, "person_joined", person="u_a", participant="p_a", name="Ada")
TAP = event(
    20,
    "tap_opened",
    person="u_a",
    participant="p_a",
    track=7,
    kind="video",
    source="camera",
    terms_version="t2",
)


def facts(name="u_a-camera-001.webm", **fields):
    part = PartName.parse(name)
    return PartFacts(
        **{
            "name": name, "kind": part.kind, "person": part.person, "source": part.source, "frames": 3,
            "start_ms": 40, "end_ms": 900, "size_bytes": 10, "sha256": "0" * 64, "is_plain": True, **fields,
        }
    )  # fmt: skip


def manifest(*events, chat=(), parts=()):
    return build([START, *events], chat, parts, ())


@pytest.mark.parametrize(
    "name", ["u_a-camera-001.webm", "u_abc234-screen_audio-999.webm", "u_a-screen-010.mp4"]
)
def test_a_part_name_is_what_it_was_parsed_from(name):
    assert str(PartName.parse(name)) == name


@pytest.mark.parametrize(
    "name",
    ["../u_a-camera-001.webm", "u_a-camera-1.webm", "u_a-attic-001.webm", "u_a-camera-001.exe", "chat.jsonl",
     "u_a-camera-001.webm.tmp", "U_A-camera-001.webm", ""],
)  # fmt: skip
def test_any_other_name_is_no_part(name):
    assert PartName.parse(name) is None


@given(st.lists(st.text(max_size=20), max_size=6), st.integers(0, 200))
def test_a_journal_is_read_up_to_its_torn_end(texts, cut):
    whole = b"".join(encode_line(number, "chat", {"text": text}) for number, text in enumerate(texts))
    torn = whole[:-cut] if cut else whole
    lines = list(read_lines(torn))
    assert [line["text"] for line in lines] == texts[: len(lines)]
    assert whole_lines(torn) == len(b"".join(torn.splitlines(keepends=True)[: len(lines)]))


@given(st.binary(max_size=200))
def test_any_journal_is_read_as_far_as_it_goes(data):
    assert 0 <= whole_lines(data) <= len(data)
    assert all(isinstance(line, dict) for line in read_lines(data))


def test_deleted_lines_are_gone_and_all_others_stay_as_they_are():
    lines = [encode_line(number, "chat", {"id": f"c_{number}", "text": "x"}) for number in range(3)]
    note = encode_line(9, DELETED, {"id": "c_1"})
    assert without_deleted(b"".join([*lines, note])) == lines[0] + lines[2]
    assert without_deleted(b"".join(lines)) == b"".join(lines)


def test_a_grant_lasts_from_the_first_word_to_the_cut():
    found = manifest(
        JOINED, TAP, event(500, "cut", person="u_a", reason="revoked"), event(900, "recording_ended")
    )
    (person,) = found.people
    (grant,) = person.grants
    assert (grant.from_ms, grant.to_ms, grant.ended, grant.terms_version) == (10, 500, "revoked", "t2")
    assert (person.name, found.duration_ms, found.state) == ("Ada", 900, "finished")


def test_a_second_grant_is_listed_apart_and_an_open_one_ends_with_the_recording():
    again = [{**JOINED, "at_ms": 600}, {**TAP, "at_ms": 610, "track": 8}]
    found = manifest(
        JOINED, TAP, event(500, "cut", person="u_a", reason="suspended"), *again, event(900, "gap")
    )
    assert [(grant.from_ms, grant.to_ms, grant.ended) for grant in found.people[0].grants] == [
        (10, 500, "suspended"),
        (600, 900, ""),
    ]
    assert [track.track for track in found.tracks] == [7, 8]


def test_gaps_layers_mutes_and_clock_belong_to_their_track():
    found = manifest(
        TAP,
        event(30, "gap", track=7, packets=2, reason="lost"),
        event(40, "layer_switched", track=7, encoding=2, previous=0),
        event(50, "muted", track=7),
        event(60, "clock", track=7, publisher_unix_ms=1234),
        event(70, "gap", track=99, packets=1, reason="lost"),
        event(80, "tap_closed", track=7, person="u_a", reason="left"),
    )
    (track,) = found.tracks
    assert track.gaps == [{"at_ms": 30, "packets": 2, "reason": "lost"}]
    assert track.layers == [{"at_ms": 40, "encoding": 2, "previous": 0}]
    assert track.mutes == [{"at_ms": 50, "is_muted": True}]
    assert track.clock == [{"at_ms": 60, "publisher_unix_ms": 1234}]
    assert track.to_ms == 80


def test_a_recording_without_its_end_was_interrupted():
    found = manifest(TAP, parts=[facts()])
    assert (found.state, found.reason) == ("interrupted", "the recorder or the server died")
    assert found.duration_ms == 900


def test_a_file_gets_its_codec_from_the_event_that_opened_it():
    opened = event(40, "part_opened", file="u_a-camera-001.webm", track=7, codec="vp8", width=160, height=120)
    (file,) = manifest(TAP, opened, parts=[facts()]).files
    assert (file.codec, file.width, file.track) == ("vp8", 160, 7)


def test_chat_lines_are_counted_for_people():
    assert manifest(JOINED, chat=[{"person": "u_a"}, {"person": "u_a"}]).people[0].chat_lines == 2


@pytest.mark.parametrize(
    "events",
    [[], [event(0, "cut")], [{"event": "worker_started"}], [event(0, "worker_started", recording=5)]],
)
def test_events_that_do_not_say_what_was_recorded_make_no_manifest(events):
    with pytest.raises(ManifestInvalid):
        build(events, (), (), ())


def test_events_of_the_wrong_type_make_no_manifest():
    with pytest.raises(ManifestInvalid):
        manifest(TAP, event(3, "gap", track=7, packets="many"))


def test_a_signed_manifest_verifies_and_comes_back():
    found = manifest(JOINED, TAP, parts=[facts()])
    assert verify(sign(found, KEY), PUBLIC) == found
    assert verify(sign(found, KEY)) == found


def test_anybody_can_check_the_signature_from_the_published_file_alone():
    content = json.loads(sign(manifest(JOINED), KEY))
    signed = json.dumps(content["manifest"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert signed.encode() == canonical(manifest(JOINED))


@pytest.mark.parametrize("change", ["duration_ms", "name", "value", "public_key"])
def test_a_changed_manifest_does_not_verify(change):
    content = json.loads(sign(manifest(JOINED), KEY))
    match change:
        case "duration_ms":
            content["manifest"]["duration_ms"] += 1
        case "name":
            content["manifest"]["people"][0]["name"] = "Eve"
        case _:
            content["signature"][change] = "A" * 43 + "="
    with pytest.raises(ManifestInvalid):
        verify(json.dumps(content).encode(), PUBLIC)


def test_a_manifest_of_another_key_is_refused():
    with pytest.raises(ManifestInvalid):
        verify(sign(manifest(), KEY), bytes(32))


@given(st.binary(max_size=200))
def test_any_bytes_verify_or_are_refused(data):
    for read in (verify, parse_draft, parse_signed):
        with pytest.raises(ManifestInvalid):
            read(data)
