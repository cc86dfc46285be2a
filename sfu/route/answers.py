"""What a router answers: session descriptions with the ids that belong to their m-sections.

PURE: no I/O.
"""

from dataclasses import dataclass

from sfu.engine.types import Kind, TrackId
from sfu.route.events import PeerId


@dataclass(frozen=True, slots=True)
class PublishedTrack:
    """One accepted m-section of a publisher."""

    track: TrackId
    mid: str
    kind: Kind
    codecs: tuple[str, ...]
    """Names in the publisher's order: `opus`, `vp8`, `vp9`, `h264`, `av1`."""
    simulcast: tuple[str, ...]
    """RIDs, lowest first by their names; empty without simulcast."""
    is_e2ee: bool = False
    """Encrypted end to end."""


@dataclass(frozen=True, slots=True)
class PublishAnswer:
    """Answer to a publisher's offer; ids of tracks that went on are the same as before."""

    peer: PeerId
    sdp: str
    tracks: tuple[PublishedTrack, ...]


@dataclass(frozen=True, slots=True)
class SubscribeOffer:
    """Offer to a subscriber; answer it with the same `version`."""

    version: int
    sdp: str
    tracks: tuple[tuple[str, TrackId], ...]
    """(mid, track) of every m-section that carries media now."""


@dataclass(frozen=True, slots=True)
class ViewerAnswer:
    """Answer to a viewer's offer (WHEP)."""

    peer: PeerId
    sdp: str
    tracks: tuple[tuple[str, TrackId | None], ...]
    """(mid, track) of every accepted m-section; None where nothing feeds it yet."""
