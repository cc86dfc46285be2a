"""The encodings of a publisher's section, by rid or by SSRC, and what we answer to them. PURE.

Source: RFC 8853 (simulcast), RFC 8851 (rid), RFC 5576 section 4 (FID), and the SIM groups of older senders.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sfu.engine.types import EngineEncoding
from sfu.sdp.model import Media, Rid, Simulcast, SimulcastStream

__all__ = ["accepted_rids", "answer", "encodings"]


def accepted_rids(offer: Media, pts: Iterable[int]) -> tuple[str, ...]:
    """The rids that we will receive, in the offered order; of alternatives the first usable.

    Empty when the section is not simulcast. A rid restricted to payload types that were not chosen is left
    out.
    """
    if offer.simulcast is None:
        return ()
    chosen = frozenset(pts)
    usable = {rid.rid for rid in offer.rids if rid.sends and (not rid.pts or chosen.intersection(rid.pts))}
    rids: list[str] = []
    for stream in offer.simulcast.send:
        rid = next((rid for rid in stream.rids if rid in usable and rid not in rids), None)
        if rid is not None:
            rids.append(rid)
    return tuple(rids)


def answer(rids: Iterable[str]) -> tuple[tuple[Rid, ...], Simulcast | None]:
    """The `rid` and `simulcast` lines of an answer that receives these rids."""
    listed = tuple(rids)
    if not listed:
        return (), None
    streams = tuple(SimulcastStream((rid,)) for rid in listed)
    return tuple(Rid(rid, sends=False) for rid in listed), Simulcast(recv=streams)


def encodings(offer: Media, rids: tuple[str, ...], *, limit: int = 8) -> tuple[EngineEncoding, ...]:
    """What will arrive on a section: an encoding for each rid, else for each SSRC, else one that MID finds.

    With rids no SSRC is taken from the description: which of them belongs to which rid is not signalled.
    """
    if rids:
        return tuple(EngineEncoding(rid=rid) for rid in _ascending(rids))
    repairs = _repairs(offer)
    simulcast = next((group.ssrcs for group in offer.ssrc_groups if group.semantics == "SIM"), ())
    media_ssrcs = [ssrc for ssrc in offer.ssrcs if ssrc not in repairs.values()]
    primary = [ssrc for ssrc in simulcast if ssrc] or [ssrc for ssrc in media_ssrcs if ssrc][:1]
    if not primary:
        return (EngineEncoding(),)
    return tuple(EngineEncoding(ssrc=ssrc, rtx_ssrc=repairs.get(ssrc, 0)) for ssrc in primary[:limit])


def _ascending(rids: tuple[str, ...]) -> tuple[str, ...]:
    """Rids from the lowest quality to the highest, by their names: what holds until their pictures tell.

    The order of a description says nothing of quality (RFC 8853 section 5.2), but the usual names do; rids
    with other names stay in the offered order, which browsers ask to be ascending.
    """
    for scale in _SCALES:
        if all(rid in scale for rid in rids):
            return tuple(sorted(rids, key=scale.index))
    return rids


_SCALES: Final = (
    ("q", "h", "f"),
    ("l", "m", "h"),
    ("low", "mid", "medium", "high"),
    ("r0", "r1", "r2", "r3"),
    ("0", "1", "2", "3"),
)


def _repairs(offer: Media) -> dict[int, int]:
    """Repair SSRCs by the SSRC that they repair."""
    return {
        group.ssrcs[0]: group.ssrcs[1]
        for group in offer.ssrc_groups
        if group.semantics == "FID" and len(group.ssrcs) == 2
    }
