"""What the lines of one section have said so far, and the value that comes of it. PURE."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from sfu.sdp import grammar
from sfu.sdp.model import Codec, Direction, ExtMap, Fingerprint, Media, Rid, Setup, Simulcast, SsrcGroup

__all__ = ["EVERY_PT", "Section"]

EVERY_PT: Final = -1
"""The key under which wildcard feedback (`rtcp-fb:* nack`) is kept."""


@dataclass(slots=True)
class Section:
    """What the lines of one section (or of the session, before the first one) have said so far."""

    kind: str = ""
    port: int = 0
    protocol: str = ""
    formats: tuple[str, ...] = ()
    line: int = 0
    mid: str = ""
    direction: Direction | None = None
    ice_ufrag: str = ""
    ice_pwd: str = ""
    fingerprints: list[Fingerprint] = field(default_factory=list)
    setup: Setup | None = None
    flags: set[str] = field(default_factory=set)
    rtpmaps: dict[int, tuple[str, int, int]] = field(default_factory=dict)
    fmtps: dict[int, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    feedback: dict[int, list[str]] = field(default_factory=dict)
    extensions: dict[int, ExtMap] = field(default_factory=dict)
    rids: dict[str, Rid] = field(default_factory=dict)
    simulcast: Simulcast | None = None
    ssrcs: dict[int, str] = field(default_factory=dict)
    ssrc_groups: list[SsrcGroup] = field(default_factory=list)
    msid: tuple[str, str] = ("", "")
    candidates: list[str] = field(default_factory=list)
    sctp_port: int = 0
    max_message_bytes: int = 65_536
    bundle: tuple[str, ...] | None = None
    ice_options: tuple[str, ...] = ()

    def finish(self, session: Section) -> Media:
        """The section as a value; what it does not say itself comes from the session's part."""
        return Media(
            kind=self.kind,
            port=self.port,
            protocol=self.protocol,
            formats=self.formats,
            mid=self.mid,
            direction=self.direction or session.direction or Direction.SENDRECV,
            ice_ufrag=self.ice_ufrag or session.ice_ufrag,
            ice_pwd=self.ice_pwd or session.ice_pwd,
            fingerprints=tuple(self.fingerprints or session.fingerprints),
            setup=self.setup or session.setup,
            rtcp_mux="rtcp-mux" in self.flags,
            rtcp_rsize="rtcp-rsize" in self.flags,
            bundle_only="bundle-only" in self.flags,
            extmap_allow_mixed="extmap-allow-mixed" in self.flags,
            codecs=self._codecs(),
            extensions=tuple(self.extensions.values()),
            rids=tuple(self.rids.values()),
            simulcast=self.simulcast,
            ssrcs=tuple(self.ssrcs),
            ssrc_groups=tuple(self.ssrc_groups),
            cname=next((cname for cname in self.ssrcs.values() if cname), ""),
            msid=self.msid,
            candidates=tuple(self.candidates),
            end_of_candidates="end-of-candidates" in self.flags,
            sctp_port=self.sctp_port,
            max_message_bytes=self.max_message_bytes,
            line=self.line,
        )

    def _codecs(self) -> tuple[Codec, ...]:
        """The mapped payload types, in the order of the m-line (which is the order of preference)."""
        every = self.feedback.get(EVERY_PT, [])
        codecs = []
        for word in self.formats:
            pt = grammar.parse_uint(word, 127)
            if pt is None or pt not in self.rtpmaps:
                continue
            name, clock_hz, channels = self.rtpmaps[pt]
            feedback = dict.fromkeys([*self.feedback.get(pt, []), *every])
            codecs.append(Codec(pt, name, clock_hz, channels, self.fmtps.get(pt, ()), tuple(feedback)))
        return tuple(codecs)
