"""One published track as its room knows it. PURE."""

from dataclasses import dataclass
from typing import Literal

from rooms.types import Source, TrackInfo
from sfu import TrackId

Kind = Literal["audio", "video"]


@dataclass(slots=True, eq=False)
class Track:
    """State of one published track."""

    id: TrackId
    owner: str
    """Participant id."""
    kind: Kind
    mid: str
    source: Source
    codecs: tuple[str, ...]
    is_simulcast: bool
    is_e2ee: bool = False
    """Encrypted end to end: for participants alone."""
    codec: str | None = None
    is_muted: bool = False
    is_enforced: bool = False

    @property
    def is_enabled(self) -> bool:
        """Whether its packets may pass the server at all."""
        return not (self.is_muted or self.is_enforced)

    def info(self) -> TrackInfo:
        """The track as others see it."""
        return TrackInfo(
            track=self.id,
            kind=self.kind,
            source=self.source,
            is_muted=self.is_muted,
            is_enforced=self.is_enforced,
            codec=self.codec,
            is_simulcast=self.is_simulcast,
            is_e2ee=self.is_e2ee,
            mid=self.mid,
        )


def fitting_source(kind: Kind, wanted: Source | None) -> Source:
    """The source that the client named when it fits the kind, else the usual one."""
    fitting = {"audio": (Source.MIC, Source.SCREEN_AUDIO), "video": (Source.CAMERA, Source.SCREEN)}[kind]
    return wanted if wanted in fitting else fitting[0]
