"""Rooms among several nodes: open on one at a time, and what is shared may be gone for a while."""

import pytest

from cluster import ClusterUnavailable, LocalCluster, Node
from rooms import Code, Refused, RoomClosed
from tests.rooms.rig import rig, until

HEARTBEAT_S = 3


class Flaky(LocalCluster):
    """A cluster of two nodes that share one memory, and whose line to it can be cut for this one."""

    def __init__(self) -> None:
        super().__init__(monotonic=lambda: self.now)
        self.now = 0.0
        self.is_cut = False

    def _line(self) -> None:
        if self.is_cut:
            raise ClusterUnavailable("cut")

    async def announce(self, node: Node) -> frozenset[str]:
        self._line()
        return await super().announce(node)

    async def claim(self, room: str, node_id: str) -> str:
        self._line()
        return await super().claim(room, node_id)

    async def release(self, room: str, node_id: str) -> None:
        self._line()
        await super().release(room, node_id)

    async def withdraw(self, node_id: str) -> None:
        self._line()
        await super().withdraw(node_id)

    async def publish(self, topic: str, message: bytes) -> None:
        await super().publish(topic, message)
        self._line()


async def of_another(shared: Flaky, room: str) -> str:
    """Another node announces itself and claims a room; who has it then."""
    await LocalCluster.announce(shared, Node(id="other"))
    return await LocalCluster.claim(shared, room, "other")


async def test_a_room_that_another_node_has_open_is_refused_with_a_time_to_try_again() -> None:
    shared = LocalCluster()
    async with rig(cluster=shared) as house:
        ada = await house.join("ada")
        room_id = ada.room.id
        await ada.leave()
        await house.service.close_room("demo")
        await shared.announce(Node(id="other"))
        assert await shared.claim(room_id, "other") == "other"
        with pytest.raises(Refused) as refusal:
            await house.join("ada")
        assert (refusal.value.code, refusal.value.retry_after_s) == (Code.CONFLICT, 1.0)


async def test_without_the_others_open_rooms_go_on_and_new_ones_are_refused() -> None:
    shared = Flaky()
    async with rig(cluster=shared) as house:
        ada = await house.join("ada")
        shared.is_cut = True
        bob = await house.join("bob")
        await bob.chat("still here")
        await house.publish(ada)
        with pytest.raises(Refused) as refusal:
            await house.join("cleo", room="new")
        assert (refusal.value.code, refusal.value.retry_after_s) == (Code.UNAVAILABLE, 2.0)
        # Withdrawals stand in the ledger: nothing is lost when nobody can be told.
        withdrawal = await house.service.withdrawals.withdraw(ada.person)
        assert await anext(house.service.withdrawals.follow()) == (withdrawal,)
        await house.clock.advance(2 * HEARTBEAT_S)
        shared.is_cut = False
        await house.join("cleo", room="new")
        # Closing while the line is cut ends all the same.
        shared.is_cut = True
        await house.service.close_room("demo")
        assert house.service.room("demo") is None


async def test_a_room_that_was_taken_meanwhile_is_closed_at_the_next_heartbeat() -> None:
    shared = Flaky()
    async with rig(cluster=shared) as house:
        ada, bob = await house.join("ada"), await house.join("bob", room="kept")
        house.drain(ada)
        shared.is_cut = True
        await house.clock.advance(30)
        shared.now += 30
        assert await of_another(shared, ada.room.id) == "other"
        shared.is_cut = False
        await house.clock.advance(HEARTBEAT_S + 0.1)
        await until(lambda: house.service.room("demo") is None, "the room's end")
        assert any(isinstance(event, RoomClosed) for event in house.drain(ada))
        assert house.service.room("kept") is bob.room
        assert await shared.home(ada.room.id) == "other"
