"""Subscribers of one room: what they want, and what they answered."""

from media.gates import Gate
from sfu.allocate import Wish
from sfu.engine.types import ALWAYS_OPEN, TrackId
from sfu.errors import TooManyPeers
from sfu.route.answers import SubscribeOffer
from sfu.route.events import PeerId, SubscriberId
from sfu.route.receiver import outlets_of
from sfu.route.registry import Registry
from sfu.route.roster import Roster
from sfu.route.subscriber import Subscriber
from sfu.route.viewing import check_key
from sfu.sdp import CodecPolicy
from sfu.transport.host import PeerHost


class Subscribing:
    """Makes subscribers and carries out what they ask. Raises as `Router` says."""

    def __init__(self, roster: Roster, registry: Registry, host: PeerHost) -> None:
        self._roster = roster
        self._registry = registry
        self._host = host

    async def make(self, owner: str, codecs: CodecPolicy) -> SubscriberId:
        """Make a peer that the server offers tracks to."""
        subscriber = Subscriber(
            owner,
            self._roster.new_peer(),
            codecs,
            self._host.engine,
            self._host.rng,
            max_sections=self._host.config.max_subscriptions,
            answer_timeout_s=self._host.config.answer_timeout_s,
        )
        with self._roster.failing(subscriber.peer):
            ack = self._roster.admit(subscriber)
        await self._roster.settle(subscriber.peer, [ack], is_new=True)
        return SubscriberId(subscriber.peer.id)

    def want(self, sub: SubscriberId, track: TrackId, gate: Gate | None) -> None:
        """Want a track, from the next offer on."""
        subscriber = self._roster.subscriber(sub)
        wanted = self._roster.track(track)
        check_key(wanted, gate)
        if track in subscriber.wanted:
            return
        if len(subscriber.wanted) >= self._host.config.max_subscriptions:
            raise TooManyPeers(f"peer {sub} has {len(subscriber.wanted)} tracks, the most it may")
        subscriber.want(wanted, gate or ALWAYS_OPEN)
        self._roster.steering.want(subscriber, subscriber.feed(track))
        self._roster.need_offer(subscriber)

    async def unwant(self, sub: SubscriberId, track: TrackId) -> None:
        """Stop a track at once."""
        subscriber = self._roster.subscriber(sub)
        if track not in subscriber.wanted:
            return
        self._roster.steering.unwant(sub, track)
        with self._roster.failing(subscriber.peer):
            acks = subscriber.withdraw(track)
        self._roster.need_offer(subscriber)
        await self._roster.settle(subscriber.peer, acks)

    async def offer(self, sub: SubscriberId, *, restart: bool) -> SubscribeOffer | None:
        """What to tell the subscriber next, if anything."""
        subscriber = self._roster.subscriber(sub)
        if restart:
            await self._roster.settle(subscriber.peer, subscriber.peer.restart(subscriber.peer.next_local()))
        return subscriber.offer(restart=restart)

    async def answer(self, sub: SubscriberId, version: int, sdp: str) -> None:
        """Take an answer and start what it accepted."""
        subscriber = self._roster.subscriber(sub)
        known = set(subscriber.undecodable)
        with self._roster.failing(subscriber.peer):
            acks = subscriber.answer(version, sdp, self._registry.next_forward)
        self._roster.remember(subscriber)
        self._roster.steering.renegotiated(sub)
        for track in subscriber.undecodable - known:
            self._roster.on_undecodable(subscriber, track)
        await self._roster.settle(subscriber.peer, acks)
        if subscriber.has_news:
            self._roster.need_offer(subscriber)

    async def wish(self, sub: SubscriberId, wish: Wish) -> None:
        """Say which layer of a track a subscriber wants at most, or pause the track for it."""
        subscriber = self._roster.subscriber(sub)
        feed = subscriber.feed(wish.track)
        was_paused = feed.wish.is_paused
        feed.wish = wish
        self._roster.steering.want(subscriber, feed)
        with self._roster.failing(subscriber.peer):
            outlets = outlets_of(subscriber, wish.track)
            acks = [ack for outlet in outlets for ack in outlet.steer(self._host.engine)]
        await self._roster.settle(subscriber.peer, acks)
        if was_paused and not wish.is_paused:
            self._roster.want_keyframe(wish.track)

    async def set_gate(self, peer: PeerId, track: TrackId, gate: Gate) -> None:
        """Put what a subscriber, or a viewer, gets of a track behind another gate position."""
        member = self._roster.receiver(peer)
        feed = member.feed(track)
        check_key(feed.track, gate)
        feed.gate = gate
        with self._roster.failing(member.peer):
            outlets = outlets_of(member, track)
            acks = [ack for outlet in outlets for ack in outlet.set_gate(self._host.engine, gate)]
        await self._roster.settle(member.peer, acks)
        self._roster.want_keyframe(track)
