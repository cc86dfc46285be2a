"""Fuzz target: what an RTMP server sends to our publisher: handshake, chunks, AMF0 commands."""

from rebroadcast.worker.rtmp import Amf0Error, ChunkError, PublishSession, RtmpTarget, amf0
from rebroadcast.worker.rtmp.chunk import ChunkReader
from tests.fuzz import harness

TARGET = RtmpTarget.parse("rtmp://site.example/live/secret-stream-key")
HANDSHAKE = b"\x03" + bytes(2 * 1536)


def one_input(data: bytes) -> None:
    session = PublishSession(TARGET, now=0.0, random_bytes=bytes(1528))
    try:
        session.receive(HANDSHAKE, 1.0)
        for piece in harness.split(data):
            session.receive(piece, 2.0)
    except (ChunkError, Amf0Error) as error:
        if TARGET.key in str(error):
            raise AssertionError("the key is in an error's text") from error
    for effect in session.poll():
        if TARGET.key in repr(getattr(effect, "reason", "")):
            raise AssertionError("the key is in a refusal")
    try:
        list(ChunkReader().receive(data))
        amf0.decode(data)
    except (ChunkError, Amf0Error):
        return


if __name__ == "__main__":
    harness.run(one_input)
