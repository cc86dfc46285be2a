"""A published track as the router knows it.

PURE: no I/O.
"""

from dataclasses import dataclass

from sfu.engine.types import Kind, TrackId
from sfu.route.answers import PublishedTrack
from sfu.route.events import PeerId, TrackAdded
from sfu.sdp import NegotiatedTrack


@dataclass(slots=True)
class Track:
    """One audio or video source of one publisher."""

    id: TrackId
    peer: PeerId
    owner: str
    negotiated: NegotiatedTrack
    is_e2ee: bool = False
    """Encrypted end to end: taps, and forwards to outside the room, are refused."""
    codec: str = ""
    """What it sends now; empty before its first packet."""
    is_announced: bool = False
    """Whether the room was told (it is when the publisher is connected)."""

    @property
    def kind(self) -> Kind:
        """Audio or video."""
        return self.negotiated.kind

    @property
    def codecs(self) -> tuple[str, ...]:
        """Codec names in the publisher's order, each once."""
        return tuple(dict.fromkeys(codec.name for codec in self.negotiated.codecs))

    def continues_as(self, other: NegotiatedTrack) -> bool:
        """Whether a renegotiated section is still this source, for the engine too."""
        mine = self.negotiated
        return (
            (mine.mid, mine.kind, mine.nack, mine.twcc, mine.fir)
            == (other.mid, other.kind, other.nack, other.twcc, other.fir)
            and set(mine.codecs) == set(other.codecs)
            and mine.encodings == other.encodings
        )

    def published(self) -> PublishedTrack:
        """How the publisher is told of it."""
        section = self.negotiated
        return PublishedTrack(self.id, section.mid, self.kind, self.codecs, section.rids, self.is_e2ee)

    def added(self) -> TrackAdded:
        """How the room is told of it."""
        return TrackAdded(self.id, self.peer, self.owner, self.kind, self.negotiated.mid, self.codecs)
