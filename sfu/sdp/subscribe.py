"""The subscriber's side of a participant: the server offers, the client answers. PURE.

One session lives as long as its peer connection. Sections keep their place and their mid for ever; one that
is removed turns inactive and, once the client has answered that, may carry another track of the same kind.
One that the client rejects is dead: it stays in its place with port 0 (RFC 8829 section 5.2.2).

    add, remove -> dirty -> offer() -> outstanding -> answer() -> settled (or dirty again)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random
from typing import Final

from sfu.engine.types import Kind, TrackId
from sfu.errors import NegotiationError
from sfu.sdp import extensions as header_extensions
from sfu.sdp.codecs import CodecPolicy, matches_ours, offered, payload_types
from sfu.sdp.model import Direction, Media, SessionDescription, Setup
from sfu.sdp.negotiate import (
    ICE_OPTIONS,
    DtlsRole,
    ForwardSection,
    LocalTransport,
    RemoteTransport,
    on_transport,
    remote_transport,
)
from sfu.sdp.parse import Limits, parse
from sfu.sdp.sources import Source, SourceAllocator, announce
from sfu.sdp.write import write

__all__ = ["ServerOffer", "SubscribeNegotiation", "SubscribeSession"]

_PROTOCOL: Final = "UDP/TLS/RTP/SAVPF"
_CHARS_PER_SECTION: Final = 8_192


class _State(Enum):
    """What a section is good for."""

    LIVE = auto()
    """Carries a track, or waits to be offered with one."""
    LEAVING = auto()
    """Its track is gone, and the client has not answered that yet."""
    FREE = auto()
    """Inactive on both sides: may be reused for its kind."""
    DEAD = auto()
    """Rejected by the client."""


@dataclass(slots=True)
class _Slot:
    mid: str
    kind: Kind
    source: Source
    stream: str
    track: TrackId | None
    state: _State = _State.LIVE
    accepted: bool = False
    payload_types: dict[str, tuple[int, int]] = field(default_factory=dict)

    def section(self) -> ForwardSection:
        return ForwardSection(
            self.mid,
            self.kind,
            self.track,
            self.source.ssrc,
            self.source.rtx_ssrc,
            dict(self.payload_types),
            self.accepted,
        )


@dataclass(frozen=True, slots=True)
class ServerOffer:
    """What to send to the subscriber.

    Attributes:
        version: comes back with the answer.
        tracks: (mid, track) of every section that carries one.
    """

    version: int
    sdp: str
    tracks: tuple[tuple[str, TrackId], ...]


@dataclass(frozen=True, slots=True)
class SubscribeNegotiation:
    """What an answer settled.

    Attributes:
        sections: every section with a track that was offered and is still wanted, accepted or not. One that
            the client rejects is told once.
        extensions: header extension ids for `Engine.set_send_extensions`.
        remote: the subscriber's side of the transport.
        ice_restart: the subscriber answered with new ICE credentials.
    """

    sections: tuple[ForwardSection, ...]
    extensions: dict[str, int]
    remote: RemoteTransport
    ice_restart: bool


class SubscribeSession:
    """Offers one subscriber the tracks that it wants, over any number of renegotiations.

    Args:
        policy: the codecs of the room.
        local: our side of the transport.
        rng: `secrets.SystemRandom()` in production.
        max_sections: sections that ever exist, dead ones included.
    """

    def __init__(
        self, policy: CodecPolicy, local: LocalTransport, *, rng: Random, max_sections: int = 512
    ) -> None:
        self._policy = policy
        self._local = local
        self._sources = SourceAllocator(rng)
        self._max_sections = max_sections
        self._slots: list[_Slot] = []
        self._version = 0
        self._dirty = False
        self._outstanding: tuple[TrackId | None, ...] | None = None
        self._remote: RemoteTransport | None = None

    @property
    def pending(self) -> bool:
        """Whether changes wait to be offered, or an offer waits for its answer."""
        return self._dirty or self._outstanding is not None

    def set_policy(self, policy: CodecPolicy) -> None:
        """Offer these codecs from the next offer on; those of tracks that go on must be among them."""
        self._policy = policy

    @property
    def version(self) -> int:
        """The version of the last offer; 0 before the first."""
        return self._version

    @property
    def dtls_role(self) -> DtlsRole:
        """Our DTLS role."""
        return self._remote.dtls_role if self._remote is not None else "server"

    def add(self, track: TrackId, kind: Kind, *, stream: str) -> ForwardSection:
        """Want a track; twice is once. `stream` is a random id that groups one owner's tracks for lip sync.

        Raises:
            NegotiationError: there are as many sections as may be.
        """
        for slot in self._slots:
            if slot.track == track:
                return slot.section()
        slot = self._free_slot(kind)
        slot.track, slot.stream, slot.state = track, stream, _State.LIVE
        self._dirty = True
        return slot.section()

    def remove(self, track: TrackId) -> None:
        """Stop wanting a track. An unknown one is fine."""
        for slot in self._slots:
            if slot.track == track:
                slot.track, slot.accepted, slot.payload_types = None, False, {}
                if slot.state is not _State.DEAD:
                    slot.state = _State.LEAVING
                    self._dirty = True

    def offer(self, *, restart: LocalTransport | None = None) -> ServerOffer | None:
        """The next offer; None when nothing changed, or an answer is outstanding.

        Args:
            restart: new credentials: restarts ICE, and gives an outstanding offer up.
        """
        if restart is not None:
            self._local = restart
        elif self._outstanding is not None or not self._dirty:
            return None
        if not self._slots:
            return None
        self._version += 1
        self._dirty = False
        carried = tuple(slot.track if slot.state is _State.LIVE else None for slot in self._slots)
        self._outstanding = carried
        mids = (slot.mid for slot in self._slots)
        tracks = tuple((mid, track) for mid, track in zip(mids, carried, strict=True) if track is not None)
        return ServerOffer(self._version, write(self._description()), tracks)

    def answer(self, version: int, sdp: str) -> SubscribeNegotiation:
        """Take the client's answer. When it raises, the offer stays outstanding.

        Raises:
            SdpError: the answer does not parse.
            NegotiationError: it answers another offer, or does not fit.
        """
        if self._outstanding is None or version != self._version:
            raise NegotiationError(f"no offer of version {version} is outstanding")
        limits = Limits(65_536 + _CHARS_PER_SECTION * len(self._outstanding), len(self._outstanding))
        description = parse(sdp, limits)
        self._check_fits(description)
        role = self._remote.dtls_role if self._remote is not None else None
        remote = self._remote
        if remote is None or any(not media.is_stopped for media in description.media):
            remote = remote_transport(description, role=role, answered=True)
        if self._remote is not None and set(remote.fingerprints) != set(self._remote.fingerprints):
            raise NegotiationError("the DTLS certificate changed: make a new peer connection")
        restarted = self._remote is not None and (remote.ufrag, remote.pwd) != (
            self._remote.ufrag,
            self._remote.pwd,
        )
        self._remote = remote
        return self._settle(description, remote, restarted=restarted)

    def sections(self) -> tuple[ForwardSection, ...]:
        """Every section that carries a track, offered or not."""
        return tuple(slot.section() for slot in self._slots if slot.track is not None)

    def _free_slot(self, kind: Kind) -> _Slot:
        for slot in self._slots:
            if slot.state is _State.FREE and slot.kind == kind:
                # An SSRC never serves two forwards: their sequence numbers, and with them the SRTP nonces of
                # one key, could repeat (RFC 3711 section 9.1).
                slot.source = self._sources.draw(kind)
                return slot
        if len(self._slots) >= self._max_sections:
            raise NegotiationError(f"a subscriber may have at most {self._max_sections} sections")
        slot = _Slot(str(len(self._slots)), kind, self._sources.draw(kind), "", None)
        self._slots.append(slot)
        return slot

    def _description(self) -> SessionDescription:
        media = []
        for slot in self._slots:
            section = self._section(slot)
            if section.port:
                # RFC 8842 section 5.2: an offer, also a later one, leaves the choice to the answerer.
                section = on_transport(section, self._local, Setup.ACTPASS)
            media.append(section)
        return SessionDescription(
            session_id=self._local.session_id,
            version=self._version,
            media=tuple(media),
            bundle=tuple(section.mid for section in media if section.port),
            ice_lite=True,
            ice_options=ICE_OPTIONS,
            extmap_allow_mixed=True,
        )

    def _section(self, slot: _Slot) -> Media:
        codecs = offered(self._policy, slot.kind)
        formats = tuple(str(codec.pt) for codec in codecs)
        if slot.state is _State.DEAD:
            return Media(slot.kind, 0, _PROTOCOL, formats[:1], mid=slot.mid)
        section = Media(
            kind=slot.kind,
            port=9,
            protocol=_PROTOCOL,
            formats=formats,
            mid=slot.mid,
            direction=Direction.INACTIVE if slot.track is None else Direction.SENDONLY,
            rtcp_mux=True,
            rtcp_rsize=True,
            codecs=codecs,
            extensions=header_extensions.offered(slot.kind),
        )
        return section if slot.track is None else announce(section, slot.source, slot.stream)

    def _check_fits(self, answer: SessionDescription) -> None:
        offered_count = len(self._outstanding or ())
        if len(answer.media) != offered_count:
            raise NegotiationError(
                f"the offer had {offered_count} sections, the answer has {len(answer.media)}"
            )
        for media, slot in zip(answer.media, self._slots, strict=False):
            if media.kind != slot.kind or (media.mid != slot.mid and not media.is_stopped):
                raise NegotiationError(f"section {slot.mid} is answered out of place")
            if not media.is_stopped and not media.rtcp_mux:
                raise NegotiationError(f"section {slot.mid} has no a=rtcp-mux")
            if not media.is_stopped and slot.mid not in (answer.bundle or ()):
                raise NegotiationError(f"section {slot.mid} is not in the BUNDLE group")

    def _settle(
        self, answer: SessionDescription, remote: RemoteTransport, *, restarted: bool
    ) -> SubscribeNegotiation:
        offered_tracks = self._outstanding or ()
        self._outstanding = None
        extensions: dict[str, int] = {}
        settled: list[ForwardSection] = []
        for slot, media, track in zip(self._slots, answer.media, offered_tracks, strict=False):
            self._settle_slot(slot, media, was_offered=track is not None)
            if slot.accepted:
                extensions |= header_extensions.confirmed(media, slot.kind)
            if slot.track is not None and slot.track == track:
                settled.append(slot.section())
        return SubscribeNegotiation(
            sections=tuple(settled),
            extensions=extensions,
            remote=remote,
            ice_restart=restarted,
        )

    def _settle_slot(self, slot: _Slot, media: Media, *, was_offered: bool) -> None:
        if media.is_stopped:
            slot.state, slot.accepted, slot.payload_types = _State.DEAD, False, {}
        elif slot.state is _State.LEAVING:
            # Removed before this offer: the client has now agreed. Removed since: that is still to be
            # offered.
            slot.state = _State.LEAVING if was_offered else _State.FREE
        elif slot.state is _State.LIVE and was_offered:
            types = payload_types(codec for codec in media.codecs if matches_ours(codec))
            slot.payload_types = types
            slot.accepted = media.direction.receives and bool(types)
