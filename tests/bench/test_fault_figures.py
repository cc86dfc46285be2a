"""What is said of sites that fail."""

from bench.fault_figures import AGAIN_S, FAULTS, KINDS, TRUTH_S, FaultFigures


def test_each_kind_and_fault_has_a_line_and_what_is_late_is_named() -> None:
    found = FaultFigures(times=2)
    for name, seconds in found.s.items():
        most_s = AGAIN_S if name.endswith("after_death") else TRUTH_S
        seconds += [0.5, most_s]
    assert found.problems() == []
    assert len(found.lines()) == len(KINDS) * len(FAULTS)
    assert "SRT hangs, until the API tells: p50 1.2, longest 2.0 s of 2, at most 2" in found.lines()
    found.s["whip_death"].append(2.6)
    assert found.problems() == ["WHIP dies, until the API tells: 2.6 s, at most 2 are promised"]
    assert found.plain()["s"]["whip_death"] == [0.5, 2.0, 2.6]


def test_before_anything_was_measured_nothing_is_wrong() -> None:
    assert FaultFigures().problems() == []
    assert len(FaultFigures().lines()) == len(KINDS) * len(FAULTS)
