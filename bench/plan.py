"""Who sends what to whom in one run: a plain description that both processes build their half from.

PURE: no I/O, but for the random keys.
"""

import os
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

PROFILES: Final = {"AEAD_AES_128_GCM": 28, "AES128_CM_SHA1_80": 30}
"""SRTP profiles by name, with the bytes of master key and salt."""

OPUS_PT: Final = 111
VP8_PT: Final = 96
FRAMES_PER_S: Final = 31.0
VIDEO_BURST: Final = 6
VIDEO_PER_S: Final = FRAMES_PER_S * VIDEO_BURST
VIDEO_BYTES: Final = 1042
"""1.5 Mb/s with 31 frames of 6 packets: 1 030 bytes of RTP and 12 of header extensions."""
AUDIO_PER_S: Final = 50.0
AUDIO_BYTES: Final = 100
EXTENSIONS: Final = {"mid": 1, "abs_send_time": 2}


@dataclass(frozen=True, slots=True)
class Encoding:
    """One size in which a camera is sent.

    Attributes:
        rid: its name; empty where it is the only one.
        height: what its keyframes tell; 0: nothing.
        burst: packets of each frame.
    """

    rid: str
    height: int
    burst: int


ONE_SIZE: Final = (Encoding("", 0, VIDEO_BURST),)
SIMULCAST: Final = (Encoding("l", 180, 1), Encoding("m", 360, 2), Encoding("h", 720, VIDEO_BURST))


@dataclass(frozen=True, slots=True)
class Leg:
    """One transport between server and load: `sends` to the server, or receives the tracks in `watches`."""

    transport: int
    up_key: str
    """Hex of master key and salt, load to server."""
    down_key: str
    is_checked: bool
    """Whether the load decrypts what it receives (a publisher always does, to hear keyframe requests)."""
    sends: bool = False
    watches: tuple[int, ...] = ()
    """Transports of the publishers that this one receives."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run."""

    profile: str
    legs: tuple[Leg, ...] = field(default_factory=tuple)

    def to_json(self) -> dict[str, Any]:
        """The plan as what `json` takes."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The inverse of `to_json`; trusts its own other process."""
        legs = tuple(Leg(**{**leg, "watches": tuple(leg["watches"])}) for leg in value["legs"])
        return cls(value["profile"], legs)

    @property
    def packets_per_s(self) -> float:
        """RTP packets that all receivers together should get in a second."""
        return sum(len(leg.watches) for leg in self.legs) * (VIDEO_PER_S + AUDIO_PER_S)


def make(publishers: int, subscribers: int, *, mesh: bool, profile: str, check_every: int) -> Plan:
    """Every subscriber receives every publisher; in a mesh `publishers` people see all others."""
    size = PROFILES[profile]
    sending = range(1, publishers + 1)
    receiving = range(publishers + 1, publishers + 1 + (publishers if mesh else subscribers))

    def leg(transport: int, *, is_checked: bool, sends: bool, watches: tuple[int, ...]) -> Leg:
        return Leg(transport, os.urandom(size).hex(), os.urandom(size).hex(), is_checked, sends, watches)

    legs = [leg(n, is_checked=True, sends=True, watches=()) for n in sending]
    for index, number in enumerate(receiving):
        watched = tuple(n for n in sending if not mesh or n != index + 1)
        legs.append(leg(number, is_checked=index % check_every == 0, sends=False, watches=watched))
    return Plan(profile, tuple(legs))


def video_ssrc(transport: int) -> int:
    """The SSRC of a publisher's video, as it sends it."""
    return 0x1000_0000 + transport * 4


def audio_ssrc(transport: int) -> int:
    """The SSRC of a publisher's audio, as it sends it."""
    return 0x1000_0000 + transport * 4 + 1


def encoding_ssrc(video: int, place: int) -> int:
    """The SSRC of one encoding, by its place, of a publisher whose video has that SSRC."""
    return video + (place + 1 if place else 0)


def video_track(transport: int) -> int:
    """The track id of a publisher's video."""
    return transport * 2


def audio_track(transport: int) -> int:
    """The track id of a publisher's audio."""
    return transport * 2 + 1
