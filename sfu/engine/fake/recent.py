"""What a forward that begins is sent at once in the model: from the last keyframe on, the newest sound.

PURE: time comes in by parameter.
"""

from dataclasses import dataclass, field
from typing import Final

from media.vp8 import Vp8Error, parse_descriptor
from sfu.engine.fake.rtp import FakeRtp
from sfu.engine.types import Kind

_MAX_PACKETS: Final = 256
_MAX_AGE_S: Final = 0.3
_MAX_SOUND_AGE_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Stored:
    """A packet as it came, and what of it goes to whom."""

    at: float
    packet: FakeRtp
    codec: str
    carried: str
    plain: FakeRtp


@dataclass(slots=True)
class Recent:
    """The packets of one encoding that a newcomer needs to be where everybody else is."""

    kind: Kind
    packets: list[Stored] = field(default_factory=list)

    def receive(self, stored: Stored) -> None:
        """A packet came."""
        is_start = self.kind == "audio" or _is_keyframe(stored)
        is_next = bool(self.packets) and stored.packet.seq == (self.packets[-1].packet.seq + 1) & 0xFFFF
        if is_start or not is_next or len(self.packets) == _MAX_PACKETS:
            self.packets.clear()
        if is_start or self.packets:
            self.packets.append(stored)

    def since(self, oldest: float, now: float) -> list[Stored]:
        """What to send; nothing unless all of it came at `oldest` or later."""
        age = _MAX_SOUND_AGE_S if self.kind == "audio" else _MAX_AGE_S
        oldest = max(oldest, now - age)
        is_whole = bool(self.packets) and all(stored.at >= oldest for stored in self.packets)
        return list(self.packets) if is_whole else []

    def clear(self) -> None:
        """Forget everything: the track was muted."""
        self.packets.clear()


def _is_keyframe(stored: Stored) -> bool:
    if stored.carried != "vp8":
        return False
    payload = stored.packet.payload
    try:
        descriptor = parse_descriptor(payload)
    except Vp8Error:
        return False
    return descriptor.is_frame_start and not payload[descriptor.size] & 1
