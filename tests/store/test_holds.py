"""Legal holds bind until they are released or their time is over, and stay as a record."""

import pytest

from store import NotFound, Store, StoreConfig

NOW_MS = 1_000


class Wall:
    def __init__(self):
        self.ms = NOW_MS

    def __call__(self):
        return self.ms


async def test_a_hold_binds_until_it_is_released_and_stays_listed():
    store = await Store.open(StoreConfig(data_dir=None), wall_ms=Wall())
    try:
        first = await store.holds.place("rec_1", reason="a claim", by="key/op", until_ms=None)
        second = await store.holds.place("rec_1", reason="another", by="key/op", until_ms=None)
        assert await store.holds.held(["rec_1", "rec_2"]) == {"rec_1"}
        await store.holds.release("rec_1", first.id, by="key/a")
        assert await store.holds.held(["rec_1"]) == {"rec_1"}
        released = await store.holds.release("rec_1", second.id, by="key/a")
        again = await store.holds.release("rec_1", second.id, by="key/b")
        assert again == released
        assert (released.released_by, released.released_at_ms) == ("key/a", NOW_MS)
        assert await store.holds.held(["rec_1"]) == frozenset()
        assert {hold.id for hold in await store.holds.of("rec_1")} == {first.id, second.id}
        for recording, hold in (("rec_2", first.id), ("rec_1", "hold_x")):
            with pytest.raises(NotFound):
                await store.holds.release(recording, hold, by="key/a")
    finally:
        await store.close()


async def test_a_hold_with_an_end_ends_by_itself():
    wall = Wall()
    store = await Store.open(StoreConfig(data_dir=None), wall_ms=wall)
    try:
        await store.holds.place("rec_1", reason="a claim", by="key/op", until_ms=NOW_MS + 1)
        assert await store.holds.held(["rec_1"]) == {"rec_1"}
        wall.ms += 1
        assert await store.holds.held(["rec_1"]) == frozenset()
        assert await store.holds.held([]) == frozenset()
    finally:
        await store.close()
