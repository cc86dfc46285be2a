"""Keyframe wishes are coalesced."""

from sfu.engine.types import TrackId
from sfu.route.keyframes import KeyframeRequests

A, B = TrackId(1), TrackId(2)


def test_the_first_wish_is_served_at_once() -> None:
    requests = KeyframeRequests(min_interval_s=1.0)
    requests.receive(A)
    assert list(requests.poll(10.0)) == [A]
    assert list(requests.poll(10.0)) == []
    assert requests.deadline() is None


def test_wishes_within_the_interval_become_one_at_its_end() -> None:
    requests = KeyframeRequests(min_interval_s=1.0)
    requests.receive(A)
    assert list(requests.poll(10.0)) == [A]
    for now in (10.1, 10.5, 10.9):
        requests.receive(A)
        assert list(requests.poll(now)) == []
    assert requests.deadline() == 11.0
    assert list(requests.poll(11.0)) == [A]


def test_tracks_do_not_hold_each_other_up() -> None:
    requests = KeyframeRequests(min_interval_s=1.0)
    requests.receive(A)
    list(requests.poll(10.0))
    requests.receive(A)
    requests.receive(B)
    assert list(requests.poll(10.2)) == [B]


def test_a_track_that_ends_is_forgotten() -> None:
    requests = KeyframeRequests(min_interval_s=1.0)
    requests.receive(A)
    requests.remove(A)
    requests.remove(B)
    assert list(requests.poll(10.0)) == []
    assert requests.deadline() is None
