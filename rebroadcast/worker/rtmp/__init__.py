"""RTMP as a publishing client speaks it: AMF0, chunks and session are pure, `client` is the socket."""

from rebroadcast.worker.rtmp.amf0 import Amf0Error
from rebroadcast.worker.rtmp.chunk import ChunkError
from rebroadcast.worker.rtmp.session import (
    Effect,
    Published,
    PublishSession,
    Refused,
    RtmpTarget,
    Send,
    SessionState,
)

__all__ = [
    "Amf0Error",
    "ChunkError",
    "Effect",
    "PublishSession",
    "Published",
    "Refused",
    "RtmpTarget",
    "Send",
    "SessionState",
]
