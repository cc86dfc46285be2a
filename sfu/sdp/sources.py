"""The random names under which we send: SSRCs, and the track ids of `msid`. PURE.

Nothing here is derived from a participant, so that no description tells one peer anything about another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from sfu.engine.types import Kind
from sfu.sdp.model import Media, SsrcGroup

__all__ = ["Source", "SourceAllocator", "announce"]


@dataclass(frozen=True, slots=True)
class Source:
    """One outgoing source: its SSRCs (`rtx_ssrc` 0: none) and its random track id."""

    ssrc: int
    rtx_ssrc: int
    track_id: str


class SourceAllocator:
    """Draws sources that are unique within one transport.

    Args:
        rng: `secrets.SystemRandom()` in production.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._used: set[int] = set()

    def draw(self, kind: Kind) -> Source:
        """A new source; audio has no RTX."""
        return Source(self._ssrc(), self._ssrc() if kind == "video" else 0, self.token())

    def token(self) -> str:
        """A random id of 128 bits."""
        return f"{self._rng.getrandbits(128):032x}"

    def _ssrc(self) -> int:
        while True:
            ssrc = self._rng.randrange(1, 1 << 32)
            if ssrc not in self._used:
                self._used.add(ssrc)
                return ssrc


def announce(section: Media, source: Source, stream: str) -> Media:
    """A section that says what it sends: SSRCs with one cname for each stream, RTX pair, msid (RFC 8830).

    `stream` groups the tracks of one owner, which players then keep in sync.
    """
    return replace(
        section,
        ssrcs=(source.ssrc, source.rtx_ssrc) if source.rtx_ssrc else (source.ssrc,),
        ssrc_groups=(SsrcGroup("FID", (source.ssrc, source.rtx_ssrc)),) if source.rtx_ssrc else (),
        cname=stream,
        msid=(stream, source.track_id),
    )
