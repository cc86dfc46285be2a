"""The load's side of SDP: what it offers to publish, what it accepts of an offer. PURE.

On the terms of every server that is compared: Opus and VP8, NACK and PLI, REMB, no transport-wide feedback,
no retransmission format (but where loss is to be repaired); MID and absolute send time as header extensions.
`Terms` adds to that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from bench import plan
from sfu.sdp import Fingerprint, Media, Setup, parse
from sfu.transport import parse_candidate

URIS: Final = {
    "urn:ietf:params:rtp-hdrext:sdes:mid": "mid",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time": "abs_send_time",
}
_TWCC: Final = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
_RID: Final = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
_KNOWN: Final = {**URIS, _TWCC: "twcc", _RID: "rid"}
_IDS: Final = {**plan.EXTENSIONS, "twcc": 3, "rid": 4}
AUDIO_MID, VIDEO_MID = "0", "1"
_WANTED: Final = {"audio": "opus", "video": "vp8"}
_FEEDBACK: Final = ("goog-remb", "nack", "nack pli")


@dataclass(frozen=True, slots=True)
class Terms:
    """What is negotiated beyond what every server is compared by.

    Attributes:
        with_rtx: subscribers take the format of repairs.
        with_twcc: transport-wide numbers and feedback, both ways.
        rids: of the encodings in which a camera is sent; empty: one without a name.
    """

    with_rtx: bool = False
    with_twcc: bool = False
    rids: Sequence[str] = ()

    @property
    def uris(self) -> list[str]:
        """The header extensions."""
        return [*URIS, *([_TWCC] if self.with_twcc else [])]

    @property
    def feedback(self) -> tuple[str, ...]:
        """What video may be answered with."""
        return (*_FEEDBACK, "transport-cc") if self.with_twcc else _FEEDBACK


@dataclass(frozen=True, slots=True)
class Near:
    """Our end of one peer connection."""

    ufrag: str
    pwd: str
    fingerprint: Fingerprint
    ip: str
    port: int


@dataclass(frozen=True, slots=True)
class Far:
    """The server's end of one peer connection, out of its description.

    Attributes:
        role: our own DTLS role.
        extensions: the header extensions that are in use, by the engine's names.
    """

    ufrag: str
    pwd: str
    fingerprints: tuple[Fingerprint, ...]
    role: Literal["server", "client"]
    ip: str
    port: int
    extensions: dict[str, int]
    rtx_pt: int
    """What repairs of VP8 come as; -1: not at all."""


class NoWay(Exception):
    """The server's description offers nothing that the load could use; says what is missing."""


def publish_offer(near: Near, ssrcs: tuple[int, int], terms: Terms = Terms()) -> str:
    """The offer of one camera with sound; `ssrcs` of audio and video. Encodings with names have no others."""
    audio_ssrc, video_ssrc = ssrcs
    sources = [f"a=ssrc:{video_ssrc} cname:bench"]
    if terms.rids:
        sources = [f"a=rid:{rid} send" for rid in terms.rids] + [f"a=simulcast:send {';'.join(terms.rids)}"]
    audio = [
        f"m=audio 9 UDP/TLS/RTP/SAVPF {plan.OPUS_PT}",
        *_transport(near, "actpass", AUDIO_MID, "sendonly"),
        *_extmaps(terms.uris),
        f"a=rtpmap:{plan.OPUS_PT} opus/48000/2",
        f"a=ssrc:{audio_ssrc} cname:bench",
    ]
    video = [
        f"m=video 9 UDP/TLS/RTP/SAVPF {plan.VP8_PT}",
        *_transport(near, "actpass", VIDEO_MID, "sendonly"),
        *_extmaps([*terms.uris, *([_RID] if terms.rids else [])]),
        f"a=rtpmap:{plan.VP8_PT} VP8/90000",
        *(f"a=rtcp-fb:{plan.VP8_PT} {word}" for word in terms.feedback),
        *sources,
    ]
    return _text([*_head(f"{AUDIO_MID} {VIDEO_MID}", near), *audio, *video])


def answer(near: Near, offer: str, terms: Terms = Terms()) -> str:
    """Accept what an offer sends of Opus and VP8."""
    sections = _sections(offer)
    bundled = " ".join(media.mid for media in sections if not media.is_stopped)
    lines = _head(bundled, near)
    for media in sections:
        lines += _answered(near, media, terms)
    return _text(lines)


def far(description: str) -> Far:
    """What a server's offer or answer says of its transport.

    Raises:
        NoWay: there is no section with an address to go to.
    """
    sections = _sections(description)
    for media in sections:
        found = None if media.is_stopped else _address(media)
        if found is not None:
            return Far(
                media.ice_ufrag,
                media.ice_pwd,
                media.fingerprints,
                "server" if media.setup is Setup.ACTIVE else "client",
                *found,
                {
                    _KNOWN[item.uri]: item.id
                    for other in sections
                    for item in other.extensions
                    if item.uri in _KNOWN
                },
                max((_rtx_pt(other) for other in sections), default=-1),
            )
    raise NoWay("no section of the server's description has a UDP candidate on IPv4")


@lru_cache(maxsize=1)
def _sections(description: str) -> tuple[Media, ...]:
    """An offer is read for its answer, then for where it leads."""
    return parse(description).media


def _address(media: Media) -> tuple[str, int] | None:
    for line in media.candidates:
        candidate = parse_candidate(line)
        if candidate.protocol == "udp" and candidate.ip and ":" not in candidate.ip:
            return candidate.ip, candidate.port
    return None


def _rtx_pt(media: Media) -> int:
    """The payload type that repairs the section's VP8; -1: none."""
    main = next((codec.pt for codec in media.codecs if codec.name == _WANTED["video"]), None)
    repairs = (codec for codec in media.codecs if codec.name == "rtx" and codec.parameter("apt") == str(main))
    return next((codec.pt for codec in repairs), -1)


def _answered(near: Near, media: Media, terms: Terms) -> list[str]:
    codec = next((codec for codec in media.codecs if codec.name == _WANTED.get(media.kind)), None)
    if media.is_stopped or codec is None:
        formats = " ".join(media.formats)
        return [f"m={media.kind} 0 UDP/TLS/RTP/SAVPF {formats}", f"a=mid:{media.mid}", "a=inactive"]
    direction = "recvonly" if media.direction.sends else "inactive"
    channels = f"/{codec.channels}" if codec.channels > 1 else ""
    rtx_pt = _rtx_pt(media) if terms.with_rtx else -1
    formats = f"{codec.pt}" if rtx_pt < 0 else f"{codec.pt} {rtx_pt}"
    repairs = [f"a=rtpmap:{rtx_pt} rtx/{codec.clock_hz}", f"a=fmtp:{rtx_pt} apt={codec.pt}"]
    return [
        f"m={media.kind} 9 UDP/TLS/RTP/SAVPF {formats}",
        *_transport(near, "active", media.mid, direction),
        *(f"a=extmap:{item.id} {item.uri}" for item in media.extensions if item.uri in terms.uris),
        f"a=rtpmap:{codec.pt} {codec.name}/{codec.clock_hz}{channels}",
        *(f"a=rtcp-fb:{codec.pt} {word}" for word in codec.feedback if word in terms.feedback),
        *(repairs if rtx_pt >= 0 else []),
    ]


def _head(bundled: str, near: Near) -> list[str]:
    return [
        "v=0",
        f"o=- {near.port}{abs(hash(near.ufrag)) % 10**9} 1 IN IP4 {near.ip}",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {bundled}",
    ]


def _transport(near: Near, setup: str, mid: str, direction: str) -> list[str]:
    return [
        f"c=IN IP4 {near.ip}",
        f"a=ice-ufrag:{near.ufrag}",
        f"a=ice-pwd:{near.pwd}",
        f"a=fingerprint:{near.fingerprint.algorithm} {near.fingerprint.value}",
        f"a=setup:{setup}",
        f"a=mid:{mid}",
        f"a={direction}",
        "a=rtcp-mux",
        f"a=candidate:1 1 udp 2130706431 {near.ip} {near.port} typ host",
        "a=end-of-candidates",
    ]


def _extmaps(uris: Sequence[str]) -> list[str]:
    return [f"a=extmap:{_IDS[_KNOWN[uri]]} {uri}" for uri in uris]


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\r\n" for line in lines)
