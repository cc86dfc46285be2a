"""Events become words once, however many people are told."""

from rooms import ParticipantLeft, RoomClosed
from signaling.notify import Said, Wording
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
