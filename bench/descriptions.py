"""The load's side of SDP: what it offers to publish, what it accepts of an offer. PURE.

On the terms of every server that is compared: Opus and VP8, NACK and PLI, REMB, no transport-wide feedback,
no retransmission format (but where loss is to be repaired); MID and absolute send time as header extensions.
"""

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
AUDIO_MID, VIDEO_MID = "0", "1"
_WANTED: Final = {"audio": "opus", "video": "vp8"}
_FEEDBACK: Final = ("goog-remb", "nack", "nack pli")


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


def publish_offer(near: Near, ssrcs: tuple[int, int]) -> str:
    """The offer of one camera with sound; `ssrcs` of audio and video."""
    audio_ssrc, video_ssrc = ssrcs
    audio = [
        f"m=audio 9 UDP/TLS/RTP/SAVPF {plan.OPUS_PT}",
        *_transport(near, "actpass", AUDIO_MID, "sendonly"),
        f"a=rtpmap:{plan.OPUS_PT} opus/48000/2",
        f"a=ssrc:{audio_ssrc} cname:bench",
    ]
    video = [
        f"m=video 9 UDP/TLS/RTP/SAVPF {plan.VP8_PT}",
        *_transport(near, "actpass", VIDEO_MID, "sendonly"),
        f"a=rtpmap:{plan.VP8_PT} VP8/90000",
        *(f"a=rtcp-fb:{plan.VP8_PT} {word}" for word in _FEEDBACK),
        f"a=ssrc:{video_ssrc} cname:bench",
    ]
    return _text([*_head(f"{AUDIO_MID} {VIDEO_MID}", near), *audio, *video])


def answer(near: Near, offer: str, *, with_rtx: bool = False) -> str:
    """Accept what an offer sends of Opus and VP8, with the format of its repairs if wanted."""
    sections = _sections(offer)
    bundled = " ".join(media.mid for media in sections if not media.is_stopped)
    lines = _head(bundled, near)
    for media in sections:
        lines += _answered(near, media, with_rtx=with_rtx)
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
                {URIS[item.uri]: item.id for item in media.extensions if item.uri in URIS},
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


def _answered(near: Near, media: Media, *, with_rtx: bool) -> list[str]:
    codec = next((codec for codec in media.codecs if codec.name == _WANTED.get(media.kind)), None)
    if media.is_stopped or codec is None:
        formats = " ".join(media.formats)
        return [f"m={media.kind} 0 UDP/TLS/RTP/SAVPF {formats}", f"a=mid:{media.mid}", "a=inactive"]
    direction = "recvonly" if media.direction.sends else "inactive"
    channels = f"/{codec.channels}" if codec.channels > 1 else ""
    rtx_pt = _rtx_pt(media) if with_rtx else -1
    formats = f"{codec.pt}" if rtx_pt < 0 else f"{codec.pt} {rtx_pt}"
    repairs = [f"a=rtpmap:{rtx_pt} rtx/{codec.clock_hz}", f"a=fmtp:{rtx_pt} apt={codec.pt}"]
    return [
        f"m={media.kind} 9 UDP/TLS/RTP/SAVPF {formats}",
        *_transport(near, "active", media.mid, direction, extensions=False),
        *(f"a=extmap:{item.id} {item.uri}" for item in media.extensions if item.uri in URIS),
        f"a=rtpmap:{codec.pt} {codec.name}/{codec.clock_hz}{channels}",
        *(f"a=rtcp-fb:{codec.pt} {word}" for word in codec.feedback if word in _FEEDBACK),
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


def _transport(near: Near, setup: str, mid: str, direction: str, *, extensions: bool = True) -> list[str]:
    lines = [
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
    if extensions:
        ids = plan.EXTENSIONS
        lines += [f"a=extmap:{ids[name]} {uri}" for uri, name in URIS.items()]
    return lines


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\r\n" for line in lines)
