"""Audio first and whole; video as wished."""

from hypothesis import given
from hypothesis import strategies as st

from sfu.allocate import BEST, Choice, Wish, choose
from sfu.engine.types import TrackId

layer = st.none() | st.integers(0, 5)
wishes = st.lists(
    st.builds(
        Wish,
        st.integers(1, 50).map(TrackId),
        st.sampled_from(["audio", "video"]),
        st.booleans(),
        layer,
        layer,
    )
)


def test_a_plain_wish_gets_the_best_layer() -> None:
    assert choose([Wish(TrackId(1), "video")]) == [Choice(TrackId(1), False, BEST, BEST)]


def test_a_wish_is_an_upper_bound() -> None:
    assert choose([Wish(TrackId(1), "video", spatial=0, temporal=1)]) == [Choice(TrackId(1), False, 0, 1)]


def test_audio_has_no_layers() -> None:
    assert choose([Wish(TrackId(1), "audio", spatial=0)]) == [Choice(TrackId(1), False, BEST, BEST)]


@given(wishes)
def test_audio_comes_before_video_and_each_wish_has_one_choice(given_wishes: list[Wish]) -> None:
    choices = choose(given_wishes)
    kinds = {wish.track: wish.kind for wish in given_wishes}
    assert sorted(choice.track for choice in choices) == sorted(wish.track for wish in given_wishes)
    if len(kinds) == len(given_wishes):
        order = [kinds[choice.track] for choice in choices]
        assert order == sorted(order)
