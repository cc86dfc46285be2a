"""The shape of one run: how many people, for how long, on which terms. PURE."""

from dataclasses import dataclass
from typing import Final

from bench import plan

_SPARE_SOCKETS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What one run does.

    Attributes:
        mesh: people in a room who each publish and see all others; 0: publishers and subscribers apart.
        rooms: so many rooms of that shape.
        churn: subscribers a second that leave and are replaced while it is measured.
        loss: share of the packets that subscribers lose before they ask for them again; all then decrypt.
        frames_per_s: of each camera; fewer where a machine cannot make the load of as many people else.
        with_twcc: transport-wide feedback and RTX are negotiated, and given: the server estimates and paces.
        check_every: one subscriber in so many decrypts; the others count.
        is_pinned: the server's media threads on core 0, everything else on core 1.
    """

    publishers: int = 1
    subscribers: int = 50
    mesh: int = 0
    rooms: int = 1
    seconds: float = 10.0
    warm_up: float = 2.0
    workers: int = 1
    profile: str = "AEAD_AES_128_GCM"
    churn: float = 0.0
    loss: float = 0.0
    frames_per_s: float = plan.FRAMES_PER_S
    with_twcc: bool = False
    check_every: int = 20
    gro: bool = True
    is_pinned: bool = False

    @property
    def streams(self) -> int:
        """Cameras that arrive, over all subscribers."""
        here = self.mesh * (self.mesh - 1) if self.mesh else self.publishers * self.subscribers
        return here * self.rooms

    @property
    def watchers(self) -> int:
        """People who receive."""
        return (self.mesh or self.subscribers) * self.rooms

    @property
    def sockets(self) -> int:
        """Peer connections that there are at a time."""
        senders = (self.mesh or self.publishers) * self.rooms
        return senders + self.watchers + _SPARE_SOCKETS + int(self.churn * 4)

    @property
    def packets_per_s(self) -> float:
        """RTP packets that all subscribers together should get in a second."""
        return self.streams * self.packets_per_stream_s

    @property
    def packets_per_stream_s(self) -> float:
        """RTP packets of one camera with its sound in a second."""
        return self.frames_per_s * plan.VIDEO_BURST + plan.AUDIO_PER_S

    def shape(self) -> str:
        """In a few characters: `1 x 50`."""
        here = f"{self.mesh} x {self.mesh}" if self.mesh else f"{self.publishers} x {self.subscribers}"
        told = ", transport-cc" if self.with_twcc else ""
        paced = "" if self.frames_per_s == plan.FRAMES_PER_S else f", {self.frames_per_s:g} frames/s"
        return (here if self.rooms == 1 else f"{self.rooms} rooms of {here}") + paced + told
