"""One viewer's downlink: who gets which layer when the path carries less than everybody wants."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.allocate import SCREEN_PRIORITY, Allocator, Choice, Layer, SoundRates, Wish, ladder_of, rising
from sfu.engine.types import TrackId

A, B, C, SOUND = (TrackId(number) for number in (1, 2, 3, 9))

SIMULCAST = (
    Layer(0, 0, 60_000, 180),
    Layer(0, 1, 100_000, 180),
    Layer(1, 0, 200_000, 360),
    Layer(1, 1, 350_000, 360),
    Layer(2, 0, 700_000, 720),
    Layer(2, 1, 1_200_000, 720),
)


def video(track: TrackId, **wish: object) -> Wish:
    return Wish(track, "video", **wish)  # type: ignore[arg-type]


def told(allocator: Allocator) -> dict[TrackId, Choice]:
    return {choice.track: choice for choice in allocator.poll()}


def allocator_with(*wishes: Wish, layers: Sequence[Layer] = SIMULCAST, bps: float | None = None) -> Allocator:
    allocator = Allocator()
    for wish in wishes:
        allocator.want(wish, 0.0)
        allocator.receive_layers(wish.track, layers, 0.0)
    allocator.receive_estimate(bps, 0.0)
    return allocator


def test_without_an_estimate_everybody_gets_the_best() -> None:
    assert told(allocator_with(video(A), video(B))) == {
        A: Choice(A, is_paused=False, spatial=-1, temporal=-1),
        B: Choice(B, is_paused=False, spatial=-1, temporal=-1),
    }


@pytest.mark.parametrize(
    ("bps", "spatial", "temporal"),
    [(80_000, 0, 0), (150_000, 0, 1), (300_000, 1, 0), (500_000, 1, 1), (1_000_000, 2, 0)],
)
def test_a_viewer_gets_the_layer_that_fits(bps: int, spatial: int, temporal: int) -> None:
    choice = told(climbed(video(A), bps=bps))[A]
    assert (choice.is_paused, choice.spatial, choice.temporal) == (False, spatial, temporal)


@pytest.mark.parametrize(
    ("bps", "spatial", "temporal"),
    [(104_000, 0, 0), (106_000, 0, 1), (211_000, 0, 1), (222_000, 1, 0), (368_000, 1, 1)],
)
def test_a_larger_picture_needs_headroom_and_more_frames_of_the_same_need_none(
    bps: int, spatial: int, temporal: int
) -> None:
    allocator = allocator_with(video(A), bps=80_000)
    allocator.receive_estimate(bps, 10.0)
    allocator.tick(20.0)
    choice = told(allocator)[A]
    assert (choice.spatial, choice.temporal) == (spatial, temporal)


def climbed(*wishes: Wish, bps: float, layers: Sequence[Layer] = SIMULCAST) -> Allocator:
    allocator = allocator_with(*wishes, layers=layers, bps=bps)
    for second in range(1, 20):
        allocator.tick(float(second))
    return allocator


def test_everybody_gets_the_lowest_layer_before_anybody_climbs() -> None:
    choices = told(climbed(video(A, height=720), video(B, height=180), video(C, height=180), bps=240_000))
    assert [choices[track].is_paused for track in (A, B, C)] == [False, False, False]


def test_what_does_not_fit_is_paused_and_said_to_be_starved() -> None:
    choices = told(climbed(video(A, priority=2), video(B), bps=100_000))
    assert (choices[A].is_paused, choices[B].is_paused, choices[B].is_starved) == (False, True, True)


def test_sound_comes_before_every_picture() -> None:
    choices = told(climbed(Wish(SOUND, "audio"), video(A), bps=90_000))
    assert (choices[SOUND].is_paused, choices[A].is_starved) == (False, True)


def test_sound_with_copies_takes_what_the_copies_take() -> None:
    allocator = climbed(Wish(SOUND, "audio"), video(A), bps=120_000)
    allocator.receive_redundancy(A, 30.0, has_copies=True)  # not of sound
    assert not told(allocator)[A].is_starved
    plain = allocator.wanted_bps
    allocator.receive_redundancy(SOUND, 30.0, has_copies=True)
    assert told(allocator)[A].is_starved
    assert allocator.wanted_bps > plain + 30_000
    allocator.receive_redundancy(SOUND, 40.0, has_copies=False)
    assert allocator.wanted_bps == plain


def test_loud_voices_leave_the_pictures_what_they_do_not_take() -> None:
    allocator = Allocator()
    voices = [TrackId(100 + number) for number in range(8)]
    for voice in voices:
        allocator.want(Wish(voice, "audio"), 0.0)
    allocator.want(video(A), 0.0)
    allocator.receive_layers(A, SIMULCAST, 0.0)
    allocator.receive_estimate(1_000_000, 0.0)
    allocator.tick(3.0)
    choice = told(allocator)[A]
    assert (choice.spatial, choice.temporal) == (1, 1)
    for voice in voices:
        allocator.receive_sound(voice, SoundRates(93_000, 153_000), 4.0)
    allocator.receive_sound(A, SoundRates(1_000_000, 1_000_000), 4.0)  # not a sound
    choice = told(allocator)[A]
    assert (choice.spatial, choice.temporal) == (1, 0)
    assert allocator.wanted_bps == 8 * 93_000 + 1.05 * 1_200_000


def test_a_shared_screen_climbs_before_a_face() -> None:
    choices = told(
        climbed(video(A, height=720), video(B, height=720, priority=SCREEN_PRIORITY), bps=1_600_000)
    )
    assert choices[B].spatial == 2
    assert choices[A].spatial < 2


def test_a_small_picture_never_takes_a_large_layer() -> None:
    assert told(climbed(video(A, height=180), bps=10_000_000))[A].spatial == 0
    assert told(climbed(video(A, height=200), bps=10_000_000))[A].spatial == 1


def test_a_fixed_layer_is_a_bound() -> None:
    assert told(climbed(video(A, spatial=1, temporal=0), bps=10_000_000))[A] == Choice(A, False, 1, 0)


@pytest.mark.parametrize(("bps", "spatial"), [(100_000, 2), (500_000, 1), (10_000_000, -1)])
def test_encodings_numbered_from_the_largest_are_climbed_by_their_heights(bps: int, spatial: int) -> None:
    downwards = (Layer(0, 0, 1_200_000, 720), Layer(1, 0, 350_000, 360), Layer(2, 0, 60_000, 180))
    assert told(climbed(video(A), bps=bps, layers=downwards))[A].spatial == spatial
    sized = allocator_with(video(A, height=360), layers=downwards, bps=10_000_000)
    assert told(sized)[A].spatial == 1
    assert sized.useful(A, 3) == {1, 2}, "the small one may be needed when the path falls"
    assert sized.rank(told(climbed(video(A, height=360), layers=downwards, bps=10_000_000))[A]) == 1
    assert told(allocator_with(video(A, spatial=0), layers=downwards, bps=10_000_000))[A].spatial == 2


def test_encodings_of_equal_size_are_climbed_by_their_rates() -> None:
    layers = (Layer(0, 0, 900_000, 720), Layer(1, 0, 200_000, 720), Layer(2, 0, 400_000, 720))
    assert [layer.spatial for layer in ladder_of(layers, video(A))] == [1, 2, 0]


def test_the_dearer_of_equal_pictures_is_named_where_its_number_is_the_lower() -> None:
    layers = (Layer(0, 0, 700_000, 720), Layer(1, 0, 500_000, 720))
    assert told(allocator_with(video(A), layers=layers, bps=10_000_000))[A].spatial == 0


@given(heights=st.permutations([90, 180, 360, 720]), bps=st.integers(50_000, 4_000_000), wish=st.data())
def test_however_encodings_are_numbered_a_viewer_gets_the_same_picture(
    heights: list[int], bps: int, wish: st.DataObject
) -> None:
    asked = {
        "height": wish.draw(st.sampled_from([None, 90, 200, 360, 1080])),
        "spatial": wish.draw(st.sampled_from([None, 0, 1, 3])),
    }
    pictures = []
    for numbered in (heights, sorted(heights)):
        layers = [Layer(number, 0, 1_000 * height, height) for number, height in enumerate(numbered)]
        allocator = climbed(video(A, **asked), layers=layers, bps=bps)
        choice = told(allocator)[A]
        useful = {numbered[number] for number in allocator.useful(A, len(numbered))}
        best = ladder_of(layers, video(A))[-1].spatial
        picture = numbered[best if choice.spatial == -1 else choice.spatial]
        pictures.append((choice.is_paused, picture, allocator.rank(choice), useful))
    assert pictures[0] == pictures[1]


def test_an_encoding_of_unknown_height_keeps_the_place_of_its_number() -> None:
    layers = (Layer(0, 0, 900_000, 720), Layer(1, 0, 50_000), Layer(2, 0, 200_000, 360))
    assert rising(layers) == [2, 1, 0]
    assert rising(layers[:1], range(3)) == [0, 1, 2]


def test_a_fall_acts_at_once_and_a_rise_waits() -> None:
    allocator = allocator_with(video(A), bps=2_000_000)
    allocator.receive_estimate(500_000, 10.0)
    assert told(allocator)[A].spatial == 1
    allocator.receive_estimate(2_000_000, 10.5)
    assert told(allocator) == {}
    deadline = allocator.deadline()
    assert deadline is not None
    assert deadline <= 11.0
    allocator.tick(11.0)
    assert told(allocator) == {}
    allocator.tick(13.0)
    assert told(allocator)[A].spatial == -1


def test_only_a_fall_of_the_path_forces_a_step_down() -> None:
    allocator = allocator_with(video(A), bps=2_000_000)
    told(allocator)
    allocator.want(video(A, height=180), 1.0)
    assert [(c.spatial, c.is_forced) for c in allocator.poll()] == [(0, False)]
    allocator.want(video(A), 2.0)
    allocator.tick(5.0)
    told(allocator)
    allocator.receive_estimate(500_000, 10.0)
    assert [(c.spatial, c.is_forced) for c in allocator.poll()] == [(1, True)]
    allocator.receive_estimate(2_000_000, 20.0)
    assert [(c.spatial, c.is_forced) for c in allocator.poll()] == [(-1, False)]


def test_an_estimate_that_wavers_moves_nothing() -> None:
    allocator = climbed(video(A), bps=420_000)
    told(allocator)
    for second in range(100):
        allocator.receive_estimate(420_000 * (1.08 if second % 2 else 0.98), 30.0 + second)
    assert told(allocator) == {}


def test_a_paused_track_costs_nothing() -> None:
    allocator = climbed(video(A), video(B), bps=160_000)
    before = allocator.wanted_bps
    told(allocator)
    allocator.want(video(B, is_paused=True), 40.0)
    allocator.tick(43.0)
    choices = told(allocator)
    assert choices[B] == Choice(B, True, -1, -1)
    assert choices[A].temporal == 1
    assert allocator.wanted_bps < before


def test_a_track_that_goes_frees_its_share() -> None:
    allocator = climbed(video(A, priority=2), video(B), bps=100_000)
    assert told(allocator)[B].is_starved
    allocator.remove(A, 50.0)
    assert not told(allocator)[B].is_paused


def test_layers_that_die_are_not_chosen() -> None:
    allocator = climbed(video(A), bps=1_000_000)
    assert told(allocator)[A].spatial == 2
    allocator.receive_layers(A, SIMULCAST[:2], 60.0)
    assert told(allocator)[A] == Choice(A, False, -1, -1)  # the best of what there is
    assert allocator.deadline() is None


def test_a_layer_that_costs_as_much_as_a_better_one_has_no_place() -> None:
    layers = (Layer(0, 0, 100), Layer(0, 1, 200), Layer(1, 0, 150), Layer(1, 1, 300))
    assert [layer.bps for layer in ladder_of(layers, video(A))] == [100, 150, 300]


def test_a_large_still_picture_that_costs_less_than_a_small_one_is_taken() -> None:
    layers = (Layer(0, 2, 40_000, 135), Layer(1, 2, 53_000, 270), Layer(2, 2, 50_000, 540))
    assert [layer.height for layer in ladder_of(layers, video(A))] == [135, 540]
    allocator = climbed(video(A), bps=800_000)
    allocator.receive_layers(A, layers, 60.0)
    assert told(allocator)[A].spatial == -1


def test_whole_small_pictures_are_better_than_large_ones_at_a_quarter_of_the_frames() -> None:
    layers = tuple(
        Layer(spatial, temporal, (100_000 << 2 * spatial) * (temporal + 2))
        for spatial in range(3)
        for temporal in range(3)
    )
    steps = [(layer.spatial, layer.temporal) for layer in ladder_of(layers, video(A))]
    assert steps == [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2)]


rates = st.lists(st.integers(10_000, 3_000_000), min_size=1, max_size=9)


@given(
    ladders=st.lists(rates, min_size=1, max_size=6),
    estimates=st.lists(st.integers(20_000, 20_000_000), min_size=1, max_size=8),
    priorities=st.lists(st.integers(1, 255), min_size=6, max_size=6),
)
def test_what_is_forwarded_never_costs_more_than_the_path_carries(
    ladders: list[list[int]], estimates: list[int], priorities: list[int]
) -> None:
    allocator = Allocator()
    layers: dict[TrackId, tuple[Layer, ...]] = {}
    for number, bps in enumerate(ladders):
        track = TrackId(number)
        layers[track] = tuple(
            Layer(at // 3, at % 3, rate, 180 << (at // 3)) for at, rate in enumerate(sorted(bps))
        )
        allocator.want(video(track, height=720, priority=priorities[number]), 0.0)
        allocator.receive_layers(track, layers[track], 0.0)
    choices: dict[TrackId, Choice] = {}
    for round_number, estimate in enumerate(estimates):
        allocator.receive_estimate(estimate, round_number * 1.0)
        choices |= told(allocator)
        used = sum(
            max(
                layer.bps
                for layer in layers[track]
                if (layer.spatial, layer.temporal) <= (choice.spatial % 100, choice.temporal % 100)
            )
            for track, choice in choices.items()
            if not choice.is_paused
        )
        assert used <= estimate


@pytest.mark.parametrize(
    ("wish", "useful"),
    [
        (video(A), {0, 1, 2, 3}),
        (video(A, height=360), {0, 1}),
        (video(A, height=1080), {0, 1, 2, 3}),
        (video(A, spatial=1), {0, 1}),
        (video(A, spatial=1, height=1080), {0, 1}),
        (video(A, is_paused=True), set()),
    ],
)
def test_a_layer_that_is_not_there_may_be_of_use(wish: Wish, useful: set[int]) -> None:
    assert allocator_with(wish).useful(A, 4) == useful


def test_nothing_is_of_use_of_a_track_that_nobody_wants() -> None:
    assert Allocator().useful(A, 3) == frozenset()


def test_in_a_large_room_only_the_voices_that_come_through_take_bits() -> None:
    allocator = allocator_with(video(A), bps=400_000)
    for number in range(20):
        allocator.want(Wish(TrackId(100 + number), "audio"), 0.0)
    assert told(allocator)[A].is_starved
    allocator.set_voices(3, 1.0)
    choice = told(allocator)[A]
    assert not choice.is_paused
    allocator.set_voices(0, 2.0)
    assert told(allocator)[A].is_starved
