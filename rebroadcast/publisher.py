"""Whom passthrough can send on."""

from rebroadcast.errors import (
    BroadcastConflict,
    BroadcastNotFound,
    PublisherEncrypted,
    PublisherUnsuitable,
)
from rooms import Room, Source


def check_publisher(room: Room, identity: str) -> None:
    """Whether somebody's picture can be passed through now.

    Raises:
        BroadcastNotFound: nobody of that identity is there; BroadcastConflict: they show no camera;
        PublisherEncrypted: nobody outside has the key; PublisherUnsuitable: it is not H.264.
    """
    member = room.by_identity(identity)
    if member is None:
        raise BroadcastNotFound(
            f"nobody called {identity[:64]!r} is in the room: name the identity of somebody who publishes"
        )
    camera = next((track for track in member.tracks.values() if track.source is Source.CAMERA), None)
    if camera is None:
        raise BroadcastConflict(f"{identity[:64]!r} shows no camera: start when they do, or use mode program")
    if camera.is_e2ee:
        raise PublisherEncrypted(
            f"what {identity[:64]!r} sends is encrypted end to end: it cannot go outside"
        )
    # Before its first packet a track has no codec yet, only those that were agreed.
    codecs = camera.codecs if camera.codec is None else (camera.codec,)
    if "h264" not in codecs:
        sent = " or ".join(codec.upper() for codec in codecs)
        raise PublisherUnsuitable(
            f"{identity[:64]!r} publishes {sent}, and passthrough sends H.264 on as it is: let them publish "
            "that (h264 first in the room's video_codecs, or set in their encoder), or use mode program"
        )
