"""Events become words once, however many people are told."""

from policy import Permission
from rooms import LayersWanted, ParticipantInfo, ParticipantLeft, RoomClosed, State
from sfu import TrackId
from signaling.notify import Said, Wording, notification
from signaling.wire import Encoding


def test_the_same_event_has_the_same_words_and_bytes_for_everybody():
    wording, event = Wording(), ParticipantLeft("p_1", "left")
    said = wording.of(event)
    assert isinstance(said, Said)
    assert wording.of(event) is said
    assert said.encoded(Encoding.MSGPACK) is said.encoded(Encoding.MSGPACK)
    assert said.encoded(Encoding.JSON).startswith(b'{"method":"participant_left"')


def test_events_that_are_equal_but_not_the_same_have_words_of_their_own():
    wording = Wording()
    said = [wording.of(ParticipantLeft(f"p_{number}", "left")) for number in range(200)]
    assert [item.params["participant"] for item in said] == [f"p_{number}" for number in range(200)]


def test_what_the_connection_acts_on_is_not_put_into_words():
    event = RoomClosed("closed")
    assert Wording().of(event) is event


def test_that_nobody_watches_a_track_without_rids_is_said():
    event = LayersWanted(TrackId(16), (), is_wanted=False)
    assert notification(event) == (
        "layers_wanted",
        {"track": 16, "rids": [], "wanted": False, "spatial": None},
    )


def _person(name: str, number: int = 1) -> ParticipantInfo:
    return ParticipantInfo(
        id=f"p_{number}",
        identity="ada",
        name=name,
        permissions=frozenset({Permission.JOIN}),
        state=State.ACTIVE,
        joined_ms=1,
        tracks=(),
        consent={},
    )


def test_a_person_is_put_into_words_once_until_something_changes():
    wording, person = Wording(), _person("Ada")
    view = wording.of_person(person)
    assert wording.of_person(person) is view
    assert wording.of_person(_person("Ada Lovelace")).name == "Ada Lovelace"
    assert wording.of_person(person).name == "Ada"


def test_of_who_left_and_of_too_many_people_nothing_is_kept():
    wording, person = Wording(), _person("Ada")
    view = wording.of_person(person)
    wording.of(ParticipantLeft("p_1", "left"))
    fresh = wording.of_person(person)
    assert fresh is not view
    for number in range(2, 1100):
        wording.of_person(_person("Bob", number))
    assert wording.of_person(person) is not fresh
