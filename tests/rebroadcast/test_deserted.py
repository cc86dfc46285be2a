from rebroadcast.deserted import Deserted


def test_a_broadcast_ends_when_nobody_was_in_its_room_for_so_long():
    deserted = Deserted(1800.0)
    assert deserted.look(["bc_1"], 100.0) == []
    assert deserted.look(["bc_1", "bc_2"], 1899.9) == []
    assert deserted.look(["bc_1", "bc_2"], 1900.0) == ["bc_1"]
    assert deserted.reason == "nobody was in the room for 1800 seconds"


def test_somebody_who_comes_back_begins_the_time_anew():
    deserted = Deserted(60.0)
    assert deserted.look(["bc_1"], 0.0) == []
    assert deserted.look([], 59.0) == []
    assert deserted.look(["bc_1"], 61.0) == []
    assert deserted.look(["bc_1"], 120.9) == []
    assert deserted.look(["bc_1"], 121.0) == ["bc_1"]


def test_without_a_bound_it_goes_on():
    deserted = Deserted(0.0)
    assert deserted.look(["bc_1"], 0.0) == deserted.look(["bc_1"], 1e9) == []
