"""Which header extensions we agree to, in which direction, under which id. PURE.

One map serves a whole bundled transport (RFC 8843 section 9.1): an id, once given to an extension, is
refused to another, and an extension that a later section offers under another id is refused there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from sfu.engine.types import Kind
from sfu.sdp.model import Direction, ExtMap, Media
from sfu.wire.extensions import EXTENSION_URIS, extension_name

__all__ = ["RECEIVED", "SENT", "agree", "confirmed", "ids", "offered"]

RECEIVED: Final[Mapping[Kind, frozenset[str]]] = MappingProxyType(
    {
        "audio": frozenset({"mid", "twcc", "abs_send_time", "audio_level", "abs_capture_time"}),
        # Without video-orientation a sender turns its picture itself, so that recordings, programs and
        # players that know nothing of the extension are upright.
        "video": frozenset(EXTENSION_URIS) - {"audio_level", "video_orientation"},
    }
)
"""What we agree to receive from a publisher."""

SENT: Final[Mapping[Kind, tuple[str, ...]]] = MappingProxyType(
    {
        "audio": ("mid", "twcc", "abs_send_time", "audio_level", "abs_capture_time"),
        "video": (
            "mid",
            "twcc",
            "abs_send_time",
            "toffset",
            "video_orientation",
            "playout_delay",
            "dependency_descriptor",
            "content_type",
            "video_timing",
            "color_space",
            "abs_capture_time",
        ),
    }
)
"""What we offer to send, or agree to send, to a subscriber."""

_IDS: Final = {
    name: place for place, name in enumerate(dict.fromkeys([*SENT["audio"], *SENT["video"]]), start=1)
}
"""Our own ids, 1 to 14 so that all fit one-byte headers (RFC 8285 section 4.2)."""


def offered(kind: Kind) -> tuple[ExtMap, ...]:
    """The extensions of a section that we offer to send."""
    return tuple(ExtMap(_IDS[name], EXTENSION_URIS[name]) for name in SENT[kind])


def agree(
    offer: Media, known: Iterable[str], taken: dict[str, int], *, we_receive: bool
) -> tuple[ExtMap, ...]:
    """The extensions of a peer's section that we take, entered into the transport's map `taken`.

    An extension limited to the direction that this section does not use is left out.
    """
    wanted = frozenset(known)
    agreed = []
    for extension in offer.extensions:
        name = extension_name(extension.uri)
        if name is None or name not in wanted or not 1 <= extension.id <= 255 or extension.id == 15:
            continue
        usable = extension.direction.sends if we_receive else extension.direction.receives
        free = taken.get(name, extension.id) == extension.id
        if (
            not usable
            or not free
            or any(id_ == extension.id and other != name for other, id_ in taken.items())
        ):
            continue
        taken[name] = extension.id
        agreed.append(ExtMap(extension.id, extension.uri, _mirror(extension.direction)))
    return tuple(agreed)


def confirmed(answer: Media, kind: Kind) -> dict[str, int]:
    """The ids by name that an answer takes over from our offer; changed ids are left out."""
    ours = {(extension.id, extension.uri) for extension in offered(kind)}
    return {
        name: extension.id
        for extension in answer.extensions
        if (extension.id, extension.uri) in ours and (name := extension_name(extension.uri)) is not None
    }


def ids(media: Media, known: Iterable[str]) -> dict[str, int]:
    """The ids by name of a section's extensions, as far as they are among `known`."""
    wanted = frozenset(known)
    return {
        name: extension.id
        for extension in media.extensions
        if (name := extension_name(extension.uri)) is not None and name in wanted
    }


def _mirror(direction: Direction) -> Direction:
    """The direction seen from the other side."""
    if direction is Direction.SENDONLY:
        return Direction.RECVONLY
    if direction is Direction.RECVONLY:
        return Direction.SENDONLY
    return direction
