"""The codecs that rooms may use, how a peer's payload types are matched to them, and how we offer them. PURE.

Source: RFC 7587 (Opus), RFC 2198 (RED), RFC 7741 (VP8), RFC 9628 (VP9), RFC 6184 (H.264), the AV1 RTP
specification section 7, RFC 4588 (RTX).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sfu.engine.types import EngineCodec, Kind
from sfu.sdp.model import Codec, Media

__all__ = ["CodecPolicy", "choose", "engine_codecs", "matches_ours", "offered", "payload_types"]

_VIDEO_FEEDBACK: Final = ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
_AUDIO_FEEDBACK: Final = ("transport-cc",)

_OURS: Final[Mapping[str, tuple[Codec, int]]] = MappingProxyType(
    {
        "opus": (
            Codec(111, "opus", 48_000, 2, (("minptime", "10"), ("useinbandfec", "1")), _AUDIO_FEEDBACK),
            -1,
        ),
        "red": (Codec(63, "red", 48_000, 2, (("", "111/111"),)), -1),
        "vp8": (Codec(96, "vp8", 90_000, feedback=_VIDEO_FEEDBACK), 97),
        "vp9": (Codec(98, "vp9", 90_000, fmtp=(("profile-id", "0"),), feedback=_VIDEO_FEEDBACK), 99),
        "h264": (
            Codec(
                102,
                "h264",
                90_000,
                fmtp=(
                    ("level-asymmetry-allowed", "1"),
                    ("packetization-mode", "1"),
                    ("profile-level-id", "42e01f"),
                ),
                feedback=_VIDEO_FEEDBACK,
            ),
            103,
        ),
        "av1": (Codec(45, "av1", 90_000, feedback=_VIDEO_FEEDBACK), 46),
    }
)
"""What we offer ourselves: the codec and the payload type of its RTX (-1: none)."""

_KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {"opus": "audio", "red": "audio", "vp8": "video", "vp9": "video", "h264": "video", "av1": "video"}
)

_H264_PROFILES: Final = (
    # (profile_idc, profile_iop mask, profile_iop value): RFC 6184 section 8.1 table 5, best for everybody
    # first.
    (0x42, 0x4F, 0x40),  # constrained baseline
    (0x4D, 0x8F, 0x80),
    (0x58, 0xCF, 0xC0),
    (0x42, 0x4F, 0x00),  # baseline
    (0x58, 0xCF, 0x80),
    (0x4D, 0xAF, 0x00),  # main
    (0x64, 0xFF, 0x0C),  # constrained high
    (0x64, 0xFF, 0x00),  # high
)


@dataclass(frozen=True, slots=True)
class CodecPolicy:
    """Which codecs a room lets in, in order of preference.

    Attributes:
        video: names among vp8, vp9, h264, av1.
        audio: names among opus, red. RED carries each Opus frame twice, against loss; it is unpacked for
            subscribers without it (Firefox), taps, and whatever leads outside. It needs opus.
    """

    video: tuple[str, ...] = ("vp8", "h264", "vp9", "av1")
    audio: tuple[str, ...] = ("red", "opus")

    def __post_init__(self) -> None:
        for kind in ("video", "audio"):
            names = self.names(kind)
            wrong = [name for name in names if _KINDS.get(name) != kind]
            if wrong or len(set(names)) != len(names):
                raise ValueError(f"{kind} codecs {names}: {wrong or 'a name is repeated'}")

    def names(self, kind: Kind) -> tuple[str, ...]:
        """The names for one kind of track, the preferred one first."""
        return self.audio if kind == "audio" else self.video

    def without(self, codec: str) -> CodecPolicy:
        """The others."""
        return CodecPolicy(
            video=tuple(name for name in self.video if name != codec),
            audio=tuple(name for name in self.audio if name != codec),
        )

    def joined(self, other: CodecPolicy) -> CodecPolicy:
        """The codecs of both, these first."""
        return CodecPolicy(
            video=tuple(dict.fromkeys(self.video + other.video)),
            audio=tuple(dict.fromkeys(self.audio + other.audio)),
        )


def offered(policy: CodecPolicy, kind: Kind) -> tuple[Codec, ...]:
    """The codecs of a section that we offer, each followed by its RTX."""
    codecs: list[Codec] = []
    for name in policy.names(kind):
        codec, rtx_pt = _OURS[name]
        codecs.append(codec)
        if rtx_pt >= 0:
            codecs.append(_rtx(rtx_pt, codec))
    return tuple(codecs)


def choose(media: Media, policy: CodecPolicy, kind: Kind) -> tuple[Codec, ...]:
    """The codecs of a peer's section that we take, in the room's order, each followed by its RTX.

    At most one payload type for a name, the one that the most subscribers can decode; feedback is cut down to
    what we understand.
    """
    repairs = _repairs(media)
    chosen: list[Codec] = []
    for name in policy.names(kind):
        matching = [
            (rank, codec) for codec in media.codecs if (rank := _rank(codec, name, media)) is not None
        ]
        if not matching:
            continue
        _, codec = min(matching, key=lambda pair: pair[0])
        chosen.append(
            Codec(
                codec.pt,
                name,
                codec.clock_hz,
                codec.channels,
                _answer_fmtp(codec),
                _answer_feedback(codec, kind),
            )
        )
        if codec.pt in repairs:
            chosen.append(_rtx(repairs[codec.pt], codec))
    # RED carries Opus: without it there is nothing to carry.
    if [codec.name for codec in chosen] == ["red"]:
        return ()
    return tuple(chosen)


def engine_codecs(codecs: Iterable[Codec]) -> tuple[EngineCodec, ...]:
    """Pair every codec of a section with its RTX, in the form of the engine's commands."""
    listed = tuple(codecs)
    repairs = {_apt(codec): codec.pt for codec in listed if codec.name == "rtx"}
    return tuple(
        EngineCodec(codec.pt, codec.name, codec.clock_hz, repairs.get(codec.pt, -1))
        for codec in listed
        if codec.name in _KINDS
    )


def _rtx(pt: int, codec: Codec) -> Codec:
    return Codec(pt, "rtx", codec.clock_hz, fmtp=(("apt", str(codec.pt)),))


def _repairs(media: Media) -> dict[int, int]:
    """RTX payload types by the payload type that they repair; the first of several wins."""
    repairs: dict[int, int] = {}
    for codec in media.codecs:
        apt = _apt(codec) if codec.name == "rtx" else None
        if apt is not None:
            repairs.setdefault(apt, codec.pt)
    return repairs


def _apt(codec: Codec) -> int | None:
    text = codec.parameter("apt") or ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 3 else None


def _rank(codec: Codec, name: str, media: Media) -> int | None:
    """How well a payload type stands for a codec name: 0 is best, None is not at all."""
    if codec.name != name or codec.clock_hz != _OURS[name][0].clock_hz:
        return None
    return _RANKS[name](codec, media)


def _rank_any(_codec: Codec, _media: Media) -> int | None:
    return 0


def _rank_red(codec: Codec, media: Media) -> int | None:
    opus = {str(other.pt) for other in media.codecs if other.name == "opus"}
    carried = (codec.parameter("") or "").split("/")
    return 0 if set(carried) <= opus else None


def _rank_profile_zero(key: str) -> Callable[[Codec, Media], int | None]:
    return lambda codec, _media: 0 if codec.parameter(key) in {None, "0"} else None


def _rank_h264(codec: Codec, _media: Media) -> int | None:
    # RFC 6184 section 8.1: absent means baseline, and single NAL unit mode.
    text = codec.parameter("profile-level-id") or "420010"
    mode = codec.parameter("packetization-mode") or "0"
    if len(text) != 6 or any(char not in "0123456789abcdefABCDEF" for char in text) or mode not in {"0", "1"}:
        return None
    idc, iop = int(text[:2], 16), int(text[2:4], 16)
    for place, (profile, mask, value) in enumerate(_H264_PROFILES):
        if idc == profile and iop & mask == value:
            return place * 2 + (mode == "0")
    return None


_RANKS: Final[Mapping[str, Callable[[Codec, Media], int | None]]] = MappingProxyType(
    {
        "opus": _rank_any,
        "red": _rank_red,
        "vp8": _rank_any,
        "vp9": _rank_profile_zero("profile-id"),
        "av1": _rank_profile_zero("profile"),
        "h264": _rank_h264,
    }
)

_ECHOED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "h264": ("level-asymmetry-allowed", "packetization-mode", "profile-level-id"),
        "vp9": ("profile-id",),
        "av1": ("profile", "level-idx", "tier"),
    }
)
"""Parameters that an answer repeats: they name the configuration (RFC 3264 section 6.1)."""

_ECHO: Final = re.compile(r"[0-9A-Za-z]{1,8}", re.ASCII)


def _answer_fmtp(codec: Codec) -> tuple[tuple[str, str], ...]:
    """The parameters of an answer: our own wishes for audio, the configuration's name for video."""
    if codec.name == "opus":
        return _OURS["opus"][0].fmtp
    if codec.name == "red":
        return (("", codec.parameter("") or ""),)
    echoed = _ECHOED.get(codec.name, ())
    return tuple((key, value) for key, value in codec.fmtp if key in echoed and _ECHO.fullmatch(value))


def _answer_feedback(codec: Codec, kind: Kind) -> tuple[str, ...]:
    known = _AUDIO_FEEDBACK if kind == "audio" else _VIDEO_FEEDBACK
    return tuple(feedback for feedback in known if feedback in codec.feedback) if codec.name != "red" else ()


def payload_types(codecs: Iterable[Codec]) -> dict[str, tuple[int, int]]:
    """Payload type and RTX payload type (-1: none) by codec name, in the form of the engine's commands."""
    return {codec.name: (codec.pt, codec.rtx_pt) for codec in engine_codecs(codecs)}


def matches_ours(codec: Codec) -> bool:
    """Whether a payload type of an answer still means what our offer said it means."""
    if codec.name == "rtx":
        return any(codec.pt == rtx_pt and _apt(codec) == ours.pt for ours, rtx_pt in _OURS.values())
    return codec.name in _OURS and codec.pt == _OURS[codec.name][0].pt
