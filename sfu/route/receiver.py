"""What a peer that receives is to the router, whoever made the offer."""

from collections.abc import Iterator
from typing import Protocol

from sfu.engine.types import Ack, ForwardId, TrackId
from sfu.route.outlet import Feed, Outlet
from sfu.transport.peer import Peer


class Receiver(Protocol):
    """A subscriber or a viewer."""

    owner: str
    peer: Peer
    outlets: dict[str, Outlet]

    def feed(self, track: TrackId) -> Feed:
        """What the peer gets of a track.

        Raises:
            UnknownTrack: it does not get it.
        """
        ...

    def withdraw(self, track: TrackId) -> list[Ack]:
        """Stop a track at once, in every m-section; an unknown one is fine."""
        ...


def outlets_of(receiver: Receiver, track: TrackId) -> Iterator[Outlet]:
    """The m-sections through which a track goes now."""
    for outlet in receiver.outlets.values():
        if outlet.feed is not None and outlet.feed.track.id == track:
            yield outlet


def outlet_of(receiver: Receiver, forward: ForwardId) -> Outlet | None:
    """The m-section that a forward feeds."""
    return next((outlet for outlet in receiver.outlets.values() if outlet.forward == forward), None)
