"""What every negotiation shares: our side of a transport, the peer's side, and the rules of bundling. PURE.

Source: RFC 8829 (JSEP), RFC 8843 (BUNDLE), RFC 8842 (setup), RFC 8839 (ICE attributes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from sfu.engine.types import Kind, TrackId
from sfu.errors import NegotiationError
from sfu.sdp.model import Fingerprint, Media, SessionDescription, Setup

__all__ = [
    "ICE_OPTIONS",
    "Agreed",
    "DtlsRole",
    "ForwardSection",
    "LocalTransport",
    "RemoteTransport",
    "agreed_by",
    "bundled_answer",
    "check_continues",
    "is_ice_restart",
    "is_rtp",
    "media_kind",
    "on_transport",
    "rejected",
    "remote_of_offer",
    "remote_transport",
    "require_bundle",
    "setup_of",
]

ICE_OPTIONS: Final = ("ice2", "trickle")
"""RFC 8445 section 10; a peer may trickle to us, though an ICE-lite agent needs no candidates."""

DtlsRole = Literal["server", "client"]


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """Our side of one peer's transport.

    Attributes:
        ufrag, pwd: ICE credentials (`transport.credentials`).
        fingerprint: of the process's DTLS certificate.
        candidates: values of `a=candidate:` lines (`transport.host_candidates`).
        session_id: random, below 2**62, the same in every description of one peer.
    """

    ufrag: str
    pwd: str
    fingerprint: Fingerprint
    candidates: tuple[str, ...]
    session_id: int


@dataclass(frozen=True, slots=True)
class RemoteTransport:
    """The peer's side of its transport.

    Attributes:
        ufrag, pwd: the peer's ICE credentials.
        fingerprints: the digests of its certificate; at least one.
        dtls_role: OUR role. "server" except for a peer that offers `setup:passive` (FFmpeg's WHIP default).
    """

    ufrag: str
    pwd: str
    fingerprints: tuple[Fingerprint, ...]
    dtls_role: DtlsRole


@dataclass(frozen=True, slots=True)
class ForwardSection:
    """One section that we send on.

    Attributes:
        track: what it carries; None when nothing does (yet).
        ssrc, rtx_ssrc: ours, for as long as the section carries this track, and never used again.
        payload_types: codec name to (payload type, RTX payload type or -1), as `Engine.add_forward` wants it.
        accepted: whether the peer takes media on it.
    """

    mid: str
    kind: Kind
    track: TrackId | None
    ssrc: int
    rtx_ssrc: int
    payload_types: dict[str, tuple[int, int]]
    accepted: bool


@dataclass(frozen=True, slots=True)
class Agreed:
    """What a later offer of the same peer is held to.

    Attributes:
        remote: the peer's side of the transport.
        sections: (kind, mid) of every section in order; mid "" for one that was rejected, whose place is
            free.
        extensions: header extension ids of the transport.
    """

    remote: RemoteTransport
    sections: tuple[tuple[str, str], ...]
    extensions: dict[str, int]


def media_kind(media: Media) -> Kind | None:
    """The section's kind of track, None for anything that is neither audio nor video."""
    if media.kind == "audio":
        return "audio"
    return "video" if media.kind == "video" else None


def is_rtp(media: Media) -> bool:
    """Whether a section is WebRTC media: audio or video over SRTP with feedback."""
    return media_kind(media) is not None and media.protocol.endswith("RTP/SAVPF")


def require_bundle(offer: SessionDescription) -> None:
    """Check that all live media of an offer share one transport with multiplexed RTCP.

    Raises:
        NegotiationError: a section stands alone, has no mid or no rtcp-mux.
    """
    live = [media for media in offer.media if is_rtp(media) and not media.is_stopped]
    for media in live:
        if not media.mid:
            raise NegotiationError(f"the {media.kind} section at line {media.line} has no a=mid")
        if not media.rtcp_mux:
            raise NegotiationError(f"section {media.mid} has no a=rtcp-mux")
    if offer.bundle is None:
        if len(live) > 1:
            raise NegotiationError("all sections must be in one a=group:BUNDLE (bundlePolicy max-bundle)")
        return
    for media in live:
        if media.mid not in offer.bundle:
            raise NegotiationError(
                f"section {media.mid} is not in the BUNDLE group (bundlePolicy max-bundle)"
            )


def remote_transport(
    description: SessionDescription, *, role: DtlsRole | None, answered: bool
) -> RemoteTransport:
    """The peer's transport: that of the first bundled live section (RFC 8843 section 7.3).

    Args:
        description: the peer's offer, or its answer.
        role: our DTLS role so far; None at the first exchange.
        answered: whether the description is an answer (its setup then decides).

    Raises:
        NegotiationError: credentials, fingerprint or setup are missing or contradict the role.
    """
    tagged = _tagged(description)
    if not tagged.ice_ufrag or not tagged.ice_pwd:
        raise NegotiationError(f"section {tagged.mid} has no ice-ufrag and ice-pwd")
    if not tagged.fingerprints:
        raise NegotiationError(f"section {tagged.mid} has no fingerprint")
    return RemoteTransport(
        tagged.ice_ufrag,
        tagged.ice_pwd,
        tagged.fingerprints,
        _our_role(tagged.setup, role, answered=answered),
    )


def remote_of_offer(offer: SessionDescription, previous: Agreed | None) -> RemoteTransport:
    """The peer's transport as an offer tells it, checked against what was agreed before.

    Raises:
        NegotiationError: the transport is incomplete, or the offer does not continue the session.
    """
    if previous is None:
        return remote_transport(offer, role=None, answered=False)
    # A peer that stopped everything describes no transport any more; the old one goes on.
    remote = previous.remote
    if any(not media.is_stopped for media in offer.media):
        remote = remote_transport(offer, role=previous.remote.dtls_role, answered=False)
    check_continues(offer, remote, previous)
    return remote


def is_ice_restart(remote: RemoteTransport, previous: RemoteTransport) -> bool:
    """Whether new credentials ask for an ICE restart (RFC 8839 section 4.4.1.1)."""
    return (remote.ufrag, remote.pwd) != (previous.ufrag, previous.pwd)


def bundled_answer(
    offer: SessionDescription,
    sections: Sequence[Media],
    local: LocalTransport,
    remote: RemoteTransport,
    version: int,
) -> SessionDescription:
    """Answer sections put into one bundle, with our side of the transport."""
    media = list(sections)
    for place, section in enumerate(media):
        if section.port:
            media[place] = on_transport(section, local, setup_of(remote.dtls_role))
    live = {section.mid for section in media if section.port}
    return SessionDescription(
        session_id=local.session_id,
        version=version,
        media=tuple(media),
        bundle=tuple(mid for mid in offer.bundle if mid in live) if offer.bundle is not None else None,
        ice_lite=True,
        ice_options=ICE_OPTIONS,
        extmap_allow_mixed=offer.extmap_allow_mixed,
    )


def on_transport(section: Media, local: LocalTransport, setup: Setup) -> Media:
    """A section with our side of the transport.

    Every section lists the candidates, though the first of a bundle would do (RFC 8843 section 10.1): aiortc
    reads those of the last.
    """
    return replace(
        section,
        ice_ufrag=local.ufrag,
        ice_pwd=local.pwd,
        fingerprints=(local.fingerprint,),
        setup=setup,
        candidates=local.candidates,
        end_of_candidates=True,
    )


def agreed_by(answer: SessionDescription, remote: RemoteTransport, extensions: dict[str, int]) -> Agreed:
    """What an answer of ours holds the peer's next offer to."""
    return Agreed(
        remote,
        tuple((media.kind, media.mid if media.port else "") for media in answer.media),
        dict(extensions),
    )


def setup_of(role: DtlsRole) -> Setup:
    """The `a=setup` that an answer of ours carries."""
    return Setup.PASSIVE if role == "server" else Setup.ACTIVE


def rejected(media: Media) -> Media:
    """A section's refusal: port 0, nothing else repeated than what RFC 3264 section 6 asks for."""
    return Media(media.kind, 0, media.protocol, media.formats[:1], mid=media.mid)


def check_continues(offer: SessionDescription, remote: RemoteTransport, previous: Agreed) -> None:
    """Check that an offer continues a session.

    Raises:
        NegotiationError: sections vanished or changed their meaning, or the certificate changed.
    """
    if len(offer.media) < len(previous.sections):
        raise NegotiationError("an offer must keep every earlier section (RFC 8829 section 5.2.2)")
    for media, (kind, mid) in zip(offer.media, previous.sections, strict=False):
        if mid and not media.is_stopped and (media.kind, media.mid) != (kind, mid):
            raise NegotiationError(f"section {mid} changed its kind or mid")
    if set(remote.fingerprints) != set(previous.remote.fingerprints):
        raise NegotiationError("the DTLS certificate changed: make a new peer connection")


def _tagged(description: SessionDescription) -> Media:
    live = {media.mid: media for media in description.media if not media.is_stopped}
    for mid in description.bundle or ():
        if mid in live:
            return live[mid]
    for media in live.values():
        return media
    raise NegotiationError("every section is rejected, so that no transport is described")


def _our_role(setup: Setup | None, role: DtlsRole | None, *, answered: bool) -> DtlsRole:
    """Our DTLS role; we are the server whenever the peer lets us."""
    if setup is None:
        raise NegotiationError("a=setup is missing")
    if answered and setup is Setup.ACTPASS:
        raise NegotiationError("an answer must choose a=setup:active")
    # A peer that renegotiates may offer actpass again; the roles stay (RFC 8842 section 5.5).
    ours: DtlsRole = "client" if setup is Setup.PASSIVE else "server"
    if role is None:
        return ours
    if setup is not Setup.ACTPASS and role != ours:
        raise NegotiationError("a=setup contradicts the established DTLS roles")
    return role
