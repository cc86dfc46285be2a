"""Whatever the order in which people publish, subscribe, answer, leave and fail, router and engine agree."""

import random
import re
from contextlib import suppress

import pytest

from sfu import CodecPolicy, MediaConfig, MediaPlane, NegotiationError, PeerId, Router, SubscriberId, TrackId
from sfu.engine.fake import FakeEngine
from sfu.route.publisher import Publisher
from tests.sfu.client import MediaClient
from tests.sfu.wires import FakeWire

STEPS = 100


class Walk:
    """Random calls on one router."""

    def __init__(self, plane: MediaPlane, seed: int) -> None:
        self.rng = random.Random(seed)
        self.plane = plane
        engine = plane.engine
        assert isinstance(engine, FakeEngine)
        self.engine = engine
        self.router: Router = plane.router("r", CodecPolicy())
        self.client = MediaClient(FakeWire(engine), seed=seed)
        self.publishers: list[PeerId] = []
        self.subscribers: dict[SubscriberId, tuple[int, str] | None] = {}
        self.viewers: list[tuple[PeerId, list[str]]] = []

    @property
    def tracks(self) -> list[TrackId]:
        return list(self.router._roster.tracks)

    def offer(self) -> str:
        """Audio and video, either perhaps silent."""
        parts = self.client.offer("chromium-offer-sendonly-av").split("m=")
        for place in (1, 2):
            if self.rng.random() < 0.3:
                parts[place] = parts[place].replace("a=sendonly", "a=inactive")
        return "m=".join(parts)

    async def publish(self) -> None:
        answer = await self.router.publish("p", self.offer())
        self.publishers.append(answer.peer)

    async def republish(self) -> None:
        if self.publishers:
            peer = self.rng.choice(self.publishers)
            await self.router.publish("p", self.offer(), peer=peer)

    async def join(self) -> None:
        self.subscribers[await self.router.subscriber("p")] = None

    async def subscribe(self) -> None:
        if self.subscribers and self.tracks:
            await self.router.subscribe(self.rng.choice(list(self.subscribers)), self.rng.choice(self.tracks))

    async def unsubscribe(self) -> None:
        if self.subscribers and self.tracks:
            await self.router.unsubscribe(
                self.rng.choice(list(self.subscribers)), self.rng.choice(self.tracks)
            )

    async def offer_someone(self) -> None:
        if self.subscribers:
            sub = self.rng.choice(list(self.subscribers))
            offer = await self.router.offer(sub, restart=self.rng.random() < 0.2)
            if offer is not None:
                self.subscribers[sub] = (offer.version, offer.sdp)

    async def answer_someone(self) -> None:
        waiting = [sub for sub, offer in self.subscribers.items() if offer is not None]
        if not waiting:
            return
        sub = self.rng.choice(waiting)
        version, sdp = self.subscribers[sub] or (0, "")
        self.subscribers[sub] = None
        answer = self.client.answer(sdp)
        if self.rng.random() < 0.2:
            answer = re.sub(r"^m=video \d+", "m=video 0", answer, count=1, flags=re.MULTILINE)
        try:
            await self.router.answer(sub, version, answer)
        except NegotiationError:
            # The rejected section may be the one that carried the bundle.
            assert "m=video 0" in answer

    async def view(self) -> None:
        wanted = self.rng.sample(self.tracks, min(2, len(self.tracks)))
        answer = await self.router.whep(
            "v", self.client.offer("chromium-offer-recvonly-av"), wanted, gates={}
        )
        self.viewers.append((answer.peer, [mid for mid, _ in answer.tracks]))

    async def switch(self) -> None:
        if self.viewers and self.tracks:
            peer, mids = self.rng.choice(self.viewers)
            with suppress(NegotiationError):  # kinds differ
                await self.router.set_source(peer, self.rng.choice(mids), self.rng.choice(self.tracks))

    async def leave(self) -> None:
        everyone = [*self.publishers, *self.subscribers, *(peer for peer, _ in self.viewers)]
        if everyone:
            self.forget(peer := self.rng.choice(everyone))
            await self.router.remove_peer(peer)

    async def fail(self) -> None:
        if self.publishers:
            self.forget(peer := self.rng.choice(self.publishers))
            self.router._roster.member(peer).peer.fail("test")

    def forget(self, peer: PeerId) -> None:
        self.publishers = [p for p in self.publishers if p != peer]
        self.viewers = [(p, mids) for p, mids in self.viewers if p != peer]
        self.subscribers.pop(SubscriberId(peer), None)

    async def step(self) -> None:
        steps = [
            self.publish,
            self.republish,
            self.join,
            self.subscribe,
            self.subscribe,
            self.subscribe,
            self.unsubscribe,
            self.offer_someone,
            self.offer_someone,
            self.answer_someone,
            self.answer_someone,
            self.view,
            self.switch,
            self.leave,
            self.fail,
        ]
        await self.rng.choice(steps)()

    def check(self) -> None:
        """Router and engine hold the same tracks and forwards, and the engine never had to refuse."""
        roster = self.router._roster
        assert self.engine.refusals == []
        assert set(self.engine.world.tracks) == set(roster.tracks)
        wanted = roster.forwards()
        assert {forward: state.track or None for forward, state in self.engine.world.forwards.items()} == {
            forward: track for forward, (_, track) in wanted.items()
        }
        for member in map(roster.member, roster.peers):
            if isinstance(member, Publisher):
                assert set(member.tracks) <= set(roster.tracks)


@pytest.mark.parametrize("seed", range(12))
async def test_router_and_engine_agree_whatever_happens(seed: int) -> None:
    plane = await MediaPlane.start(MediaConfig(port=0, gate_slots=8), engine=FakeEngine)
    walk = Walk(plane, seed)
    for _ in range(STEPS):
        await walk.step()
        # Closing happens behind the caller: let it come to the engine before comparing.
        await plane.stats()
        await plane.stats()
        walk.check()
    await walk.router.close()
    await plane.stats()
    assert not walk.engine.world.transports
    assert not walk.engine.world.tracks
    assert not walk.engine.world.forwards
    counters = (await plane.stats()).plane
    assert not any(counters[name] for name in ("peers", "tracks", "forwards", "sinks"))
    walk.client.wire.close()
    await plane.close()
