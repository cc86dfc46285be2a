"""One subscriber: what it wants, what it was offered, and what it accepted."""

import asyncio
import random
from collections.abc import Callable

from media.gates import Gate
from sfu.engine.api import Engine
from sfu.engine.types import Ack, ForwardId, TrackId
from sfu.errors import UnknownTrack
from sfu.route.answers import SubscribeOffer
from sfu.route.outlet import Feed, Outlet
from sfu.route.receiver import outlets_of
from sfu.route.track import Track
from sfu.sdp import CodecPolicy, ForwardSection, SubscribeSession
from sfu.transport.peer import Peer


class Subscriber:
    """A peer that the server offers tracks to: one offer at a time, changes in between are coalesced.

    A subscriber that never answers holds up nobody: after `answer_timeout_s` its peer fails.
    """

    def __init__(
        self,
        owner: str,
        peer: Peer,
        policy: CodecPolicy,
        engine: Engine,
        rng: random.Random,
        *,
        max_sections: int,
        answer_timeout_s: float,
    ) -> None:
        self.owner = owner
        self.peer = peer
        self.wanted: dict[TrackId, Feed] = {}
        self.outlets: dict[str, Outlet] = {}
        self.undecodable: set[TrackId] = set()
        """Wanted tracks whose m-section the peer rejected: it has none of the codecs."""
        self._engine = engine
        self._session = SubscribeSession(policy, peer.local, rng=rng, max_sections=max_sections)
        self._extensions: dict[str, int] = {}
        self._answer_timeout_s = answer_timeout_s
        self._answer_timer: asyncio.TimerHandle | None = None

    def want(self, track: Track, gate: Gate) -> None:
        """Want a track; a second time changes nothing.

        Raises:
            NegotiationError: the peer has as many m-sections as it may.
        """
        if track.id not in self.wanted:
            self._session.add(track.id, track.kind, stream=track.owner)
            self.wanted[track.id] = Feed(track, gate)

    def withdraw(self, track: TrackId) -> list[Ack]:
        """Stop a track at once; its m-section goes silent with the next offer. An unknown one is fine."""
        if self.wanted.pop(track, None) is None:
            return []
        self._session.remove(track)
        self.undecodable.discard(track)
        return [ack for outlet in outlets_of(self, track) for ack in outlet.detach(self._engine)]

    def feed(self, track: TrackId) -> Feed:
        """What the subscriber gets, or will get, of a track.

        Raises:
            UnknownTrack: not subscribed.
        """
        found = self.wanted.get(track)
        if found is None:
            raise UnknownTrack(f"track {track} is not subscribed by peer {self.peer.id}")
        return found

    def set_codecs(self, policy: CodecPolicy) -> None:
        """Be offered these codecs from the next offer on."""
        self._session.set_policy(policy)

    @property
    def has_news(self) -> bool:
        """Whether `offer` would have something to say, now or after the outstanding answer."""
        return self._session.pending

    def offer(self, *, restart: bool) -> SubscribeOffer | None:
        """The next offer; None when nothing changed or an answer is outstanding.

        `restart`: it carries the peer's new credentials.
        """
        offer = self._session.offer(restart=self.peer.local if restart else None)
        if offer is None:
            return None
        self.peer.begin()
        self.unwatch()
        loop = asyncio.get_running_loop()
        self._answer_timer = loop.call_later(self._answer_timeout_s, self.peer.fail, "answer_timeout")
        return SubscribeOffer(offer.version, offer.sdp, offer.tracks)

    def answer(self, version: int, sdp: str, next_forward: Callable[[], ForwardId]) -> list[Ack]:
        """Take an answer, and let through what it newly accepts.

        Raises:
            SdpError: the answer does not parse; the offer stays outstanding.
            NegotiationError: it is not the answer to the outstanding offer.
            QueueFull: the engine is too busy; the peer is of no more use.
        """
        negotiation = self._session.answer(version, sdp)
        self.peer.set_remote(negotiation.remote)
        self.unwatch()
        self.peer.expect_join()
        acks: list[Ack] = []
        if negotiation.extensions != self._extensions:
            self._extensions = negotiation.extensions
            acks.append(self._engine.set_send_extensions(self.peer.transport, negotiation.extensions))
        for section in negotiation.sections:
            acks += self._take(section, next_forward)
        return acks

    def _take(self, section: ForwardSection, next_forward: Callable[[], ForwardId]) -> list[Ack]:
        feed = None if section.track is None else self.wanted.get(section.track)
        outlet = self.outlets.get(section.mid)
        if feed is not None and not section.payload_types:
            self.undecodable.add(feed.track.id)
        if feed is None or not section.accepted:
            return [] if outlet is None else outlet.detach(self._engine)
        if outlet is not None and outlet.feed is feed:
            return []
        if outlet is not None and outlet.section.ssrc != section.ssrc:
            return outlet.renew(self._engine, section, feed)
        if outlet is None:
            outlet = self.outlets[section.mid] = Outlet(self.peer.transport, section)
        return outlet.attach(self._engine, feed, next_forward())

    def unwatch(self) -> None:
        """Stop waiting for an answer."""
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None
