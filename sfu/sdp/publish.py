"""A publisher's offer, answered: what it may send, and what the core has to know of it. PURE."""

from __future__ import annotations

from dataclasses import dataclass

from sfu.engine.types import EngineCodec, EngineEncoding, Kind
from sfu.errors import NegotiationError, UnsupportedCodec
from sfu.sdp import extensions as header_extensions
from sfu.sdp import simulcast
from sfu.sdp.codecs import CodecPolicy, choose, engine_codecs
from sfu.sdp.data import DataSection, accepted_data, data_answer
from sfu.sdp.model import Direction, Media, SessionDescription
from sfu.sdp.negotiate import (
    Agreed,
    LocalTransport,
    RemoteTransport,
    agreed_by,
    bundled_answer,
    is_ice_restart,
    is_rtp,
    media_kind,
    rejected,
    remote_of_offer,
    require_bundle,
)
from sfu.sdp.parse import parse
from sfu.sdp.write import write

__all__ = ["NegotiatedTrack", "PublishNegotiation", "answer_publish"]


@dataclass(frozen=True, slots=True)
class NegotiatedTrack:
    """One section on which a publisher will send.

    Attributes:
        codecs: in the room's order.
        encodings: by rid for simulcast (lowest first by name), else by SSRC, else one that the mid finds.
        extensions: header extension ids by name that this section may carry.
        nack, twcc: which feedback the publisher understands.
        fir: whether it understands keyframe requests as FIR alone.
    """

    mid: str
    kind: Kind
    codecs: tuple[EngineCodec, ...]
    encodings: tuple[EngineEncoding, ...]
    extensions: dict[str, int]
    nack: bool
    twcc: bool
    fir: bool = False

    @property
    def rids(self) -> tuple[str, ...]:
        """The simulcast rids, in the encodings' order; empty without simulcast."""
        return tuple(encoding.rid for encoding in self.encodings if encoding.rid)


@dataclass(frozen=True, slots=True)
class PublishNegotiation:
    """The outcome of a publisher's offer.

    Attributes:
        answer: SDP for the publisher.
        tracks: what it sends from now on; a section that fell silent or was refused is not among them.
        extensions: header extension ids of the whole transport.
        remote: the publisher's side of the transport.
        ice_restart: the offer restarted ICE, and the answer carries the credentials of `restart`.
        agreed: what the next offer is held to.
        data: the section of data channels, None when there is none.
    """

    answer: str
    tracks: tuple[NegotiatedTrack, ...]
    extensions: dict[str, int]
    remote: RemoteTransport
    ice_restart: bool
    agreed: Agreed
    data: DataSection | None = None


def answer_publish(
    offer: str,
    policy: CodecPolicy,
    local: LocalTransport,
    *,
    version: int = 1,
    max_tracks: int = 64,
    previous: PublishNegotiation | None = None,
    restart: LocalTransport | None = None,
    data_bytes: int | None = None,
) -> PublishNegotiation:
    """Answer a publisher's offer.

    Args:
        offer: SDP of the publisher.
        policy: the codecs that the room lets in.
        local: our side of the transport.
        version: of the answer's origin line; rises with each answer of one peer.
        max_tracks: sections beyond are answered rejected.
        previous: the last negotiation of this peer, None for its first.
        restart: the credentials to answer with when the offer restarts ICE; without them a restart is
            refused.
        data_bytes: the longest data message that we take; None: data channels are refused.

    Raises:
        SdpError: the offer does not parse.
        UnsupportedCodec: no section has a codec that the room allows.
        NegotiationError: it cannot be agreed to, for the reason given.
    """
    description = parse(offer)
    require_bundle(description)
    data = None if data_bytes is None else accepted_data(description)
    has_media = any(is_rtp(media) and not media.is_stopped for media in description.media)
    if previous is None and not has_media and data is None:
        raise NegotiationError("the offer has no audio or video section")
    remote = remote_of_offer(description, previous.agreed if previous is not None else None)
    ice_restart = previous is not None and is_ice_restart(remote, previous.remote)
    if ice_restart:
        if restart is None:
            raise NegotiationError("the offer restarts ICE, which this peer cannot do")
        local = restart
    taken = dict(previous.extensions) if previous is not None else {}
    sections = _answer_sections(description, policy, taken, max_tracks)
    if data is not None and data_bytes is not None:
        sections[description.media.index(data)] = (data_answer(data, data_bytes), None)
    if previous is None and not any(media.port for media, _ in sections):
        raise UnsupportedCodec(f"no offered codec is allowed here: {', '.join(policy.video + policy.audio)}")
    answer = bundled_answer(description, [media for media, _ in sections], local, remote, version)
    return PublishNegotiation(
        answer=write(answer),
        tracks=tuple(track for _, track in sections if track is not None),
        extensions=taken,
        remote=remote,
        ice_restart=ice_restart,
        agreed=agreed_by(answer, remote, taken),
        data=None if data is None else DataSection(data.mid, data.sctp_port, data.max_message_bytes),
    )


def _answer_sections(
    offer: SessionDescription, policy: CodecPolicy, taken: dict[str, int], max_tracks: int
) -> list[tuple[Media, NegotiatedTrack | None]]:
    """Each section's answer, without its transport, and the track that it carries, if any."""
    sections: list[tuple[Media, NegotiatedTrack | None]] = []
    tracks = 0
    for media in offer.media:
        kind = media_kind(media)
        codecs = (
            choose(media, policy, kind) if kind is not None and is_rtp(media) and not media.is_stopped else ()
        )
        if kind is None or not codecs or tracks >= max_tracks:
            sections.append((rejected(media), None))
            continue
        tracks += 1
        pts = [codec.pt for codec in codecs]
        rids = simulcast.accepted_rids(media, pts) if kind == "video" else ()
        rid_lines, simulcast_line = simulcast.answer(rids)
        agreed = header_extensions.agree(media, header_extensions.RECEIVED[kind], taken, we_receive=True)
        answer = Media(
            kind=media.kind,
            port=9,
            protocol=media.protocol,
            formats=tuple(str(pt) for pt in pts),
            mid=media.mid,
            direction=Direction.RECVONLY if media.direction.sends else Direction.INACTIVE,
            rtcp_mux=True,
            rtcp_rsize=media.rtcp_rsize,
            extmap_allow_mixed=media.extmap_allow_mixed,
            codecs=codecs,
            extensions=agreed,
            rids=rid_lines,
            simulcast=simulcast_line,
        )
        track = _track(media, answer, kind, rids) if answer.direction.receives else None
        sections.append((answer, track))
    return sections


def _track(offer: Media, answer: Media, kind: Kind, rids: tuple[str, ...]) -> NegotiatedTrack:
    feedback = {word for codec in answer.codecs for word in codec.feedback}
    names = header_extensions.ids(answer, header_extensions.RECEIVED[kind])
    return NegotiatedTrack(
        mid=answer.mid,
        kind=kind,
        codecs=engine_codecs(answer.codecs),
        encodings=simulcast.encodings(offer, rids),
        extensions=names,
        nack="nack" in feedback,
        twcc="transport-cc" in feedback and "twcc" in names,
        fir="ccm fir" in feedback and "nack pli" not in feedback,
    )
