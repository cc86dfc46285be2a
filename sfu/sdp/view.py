"""A viewer's offer, answered: WHEP, where the client offers to receive. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from sfu.engine.types import Kind, TrackId
from sfu.errors import NegotiationError, UnsupportedCodec
from sfu.sdp import extensions as header_extensions
from sfu.sdp.codecs import CodecPolicy, choose, payload_types
from sfu.sdp.model import Direction, Media
from sfu.sdp.negotiate import (
    ForwardSection,
    LocalTransport,
    RemoteTransport,
    bundled_answer,
    is_rtp,
    media_kind,
    rejected,
    remote_of_offer,
    require_bundle,
)
from sfu.sdp.parse import parse
from sfu.sdp.sources import Source, SourceAllocator, announce
from sfu.sdp.write import write

__all__ = ["ViewNegotiation", "ViewTrack", "answer_view"]


@dataclass(frozen=True, slots=True)
class ViewTrack:
    """One track to be shown.

    Attributes:
        stream: a random id that groups the tracks of one owner for lip sync; "" for one of its own.
    """

    track: TrackId
    kind: Kind
    stream: str = ""


@dataclass(frozen=True, slots=True)
class ViewNegotiation:
    """The outcome of a viewer's offer.

    Attributes:
        answer: SDP for the viewer.
        sections: every section that it takes media on, in order.
        extensions: header extension ids for `Engine.set_send_extensions`.
    """

    answer: str
    sections: tuple[ForwardSection, ...]
    extensions: dict[str, int]
    remote: RemoteTransport


def answer_view(
    offer: str,
    policy: CodecPolicy,
    local: LocalTransport,
    tracks: Sequence[ViewTrack],
    *,
    rng: Random,
    version: int = 1,
) -> ViewNegotiation:
    """Answer a viewer's offer.

    Each track takes the first free section of its kind. A section without a track gets a source all the same,
    so that a track can be attached to it later without renegotiation.

    Raises:
        SdpError: the offer does not parse.
        UnsupportedCodec: no section has a codec that the room allows.
        NegotiationError: it cannot be agreed to, for the reason given.
    """
    description = parse(offer)
    require_bundle(description)
    if not any(
        is_rtp(media) and media.direction.receives and not media.is_stopped for media in description.media
    ):
        raise NegotiationError("the offer has no audio or video section that receives")
    remote = remote_of_offer(description, None)
    waiting = list(tracks)
    sources = SourceAllocator(rng)
    fallback_stream = sources.token()
    taken: dict[str, int] = {}
    answers: list[Media] = []
    sections: list[ForwardSection] = []
    for media in description.media:
        answer, kind = _answer_section(media, policy, taken)
        if kind is not None and answer.direction.sends:
            track = next((track for track in waiting if track.kind == kind), None)
            if track is not None:
                waiting.remove(track)
            source = sources.draw(kind)
            stream = (track.stream if track is not None else "") or fallback_stream
            answer = announce(answer, _without_rtx(source, answer), stream)
            sections.append(_section(answer, kind, track, source))
        answers.append(answer)
    if not sections:
        raise UnsupportedCodec(f"no offered codec is allowed here: {', '.join(policy.video + policy.audio)}")
    return ViewNegotiation(
        answer=write(bundled_answer(description, answers, local, remote, version)),
        sections=tuple(sections),
        extensions=taken,
        remote=remote,
    )


def _answer_section(media: Media, policy: CodecPolicy, taken: dict[str, int]) -> tuple[Media, Kind | None]:
    """A section's answer without source and transport, and its kind; None with a refused section."""
    kind = media_kind(media)
    codecs = (
        choose(media, policy, kind) if kind is not None and is_rtp(media) and not media.is_stopped else ()
    )
    if kind is None or not codecs:
        return rejected(media), None
    answer = Media(
        kind=media.kind,
        port=9,
        protocol=media.protocol,
        formats=tuple(str(codec.pt) for codec in codecs),
        mid=media.mid,
        direction=Direction.SENDONLY if media.direction.receives else Direction.INACTIVE,
        rtcp_mux=True,
        rtcp_rsize=media.rtcp_rsize,
        extmap_allow_mixed=media.extmap_allow_mixed,
        codecs=codecs,
        extensions=header_extensions.agree(media, header_extensions.SENT[kind], taken, we_receive=False),
    )
    return answer, kind


def _without_rtx(source: Source, answer: Media) -> Source:
    """The source as announced: a viewer that cannot repair is told no repair SSRC."""
    if any(codec.name == "rtx" for codec in answer.codecs):
        return source
    return Source(source.ssrc, 0, source.track_id)


def _section(answer: Media, kind: Kind, track: ViewTrack | None, source: Source) -> ForwardSection:
    return ForwardSection(
        mid=answer.mid,
        kind=kind,
        track=track.track if track is not None else None,
        ssrc=source.ssrc,
        rtx_ssrc=source.rtx_ssrc,
        payload_types=payload_types(answer.codecs),
        accepted=True,
    )
