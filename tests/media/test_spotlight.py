from media.clock_map import SECOND_NS
from media.spotlight import KEEPS_NS, TAKES_NS, Spotlight

PEOPLE = ["ada", "bob", "cal"]


def speaking(*speakers, at_s=0.0, spotlight=None):
    spotlight = spotlight or Spotlight()
    spotlight.main(PEOPLE, int(at_s * SECOND_NS) - KEEPS_NS)
    spotlight.hear(speakers, int(at_s * SECOND_NS))
    return spotlight


def test_somebody_has_the_place_before_anybody_speaks():
    assert Spotlight().main(PEOPLE, 0) == "ada"
    assert Spotlight().main([], 0) is None


def test_whoever_speaks_for_a_second_takes_the_place_and_not_before():
    spotlight = speaking("bob")
    assert spotlight.main(PEOPLE, TAKES_NS - 1) == "ada"
    assert spotlight.main(PEOPLE, TAKES_NS) == "bob"


def test_a_cough_moves_nothing():
    spotlight = speaking("bob")
    spotlight.hear(["ada", "bob"], TAKES_NS // 2)
    spotlight.hear(["bob"], TAKES_NS * 3 // 4)
    assert spotlight.main(PEOPLE, TAKES_NS * 5 // 4) == "ada"


def test_two_that_talk_over_each_other_do_not_make_it_flicker():
    spotlight, changes, main = speaking("ada"), 0, "ada"
    for tenth in range(600):
        at_ns = tenth * SECOND_NS // 10
        spotlight.hear(["ada", "bob"] if tenth // 11 % 2 else ["bob", "ada"], at_ns)
        now = spotlight.main(PEOPLE, at_ns)
        changes += now != main
        main = now
    assert changes <= 60 * SECOND_NS // KEEPS_NS


def test_silence_leaves_the_place_to_whoever_spoke_last():
    spotlight = speaking("bob")
    spotlight.main(PEOPLE, 2 * TAKES_NS)
    spotlight.hear([], 3 * TAKES_NS)
    assert spotlight.main(PEOPLE, 100 * TAKES_NS) == "bob"


def test_the_place_of_somebody_who_leaves_is_taken_at_once():
    spotlight = speaking("bob")
    spotlight.main(PEOPLE, TAKES_NS)
    spotlight.hear(["cal"], TAKES_NS + 1)
    assert spotlight.main(["ada", "cal"], TAKES_NS + 2) == "cal"
    assert spotlight.main(["ada"], TAKES_NS + 3) == "ada"
