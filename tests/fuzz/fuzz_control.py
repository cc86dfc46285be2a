"""Fuzz target: the byte stream of a worker's control channel."""

import contextlib

import msgspec

from media.control import ControlError, FrameBuffer, WorkerStart, decode_frame
from tests.fuzz import harness

_DECODER = msgspec.msgpack.Decoder(WorkerStart)


def one_input(data: bytes) -> None:
    buffer = FrameBuffer(frame_max_bytes=4096)
    try:
        for piece in harness.split(data):
            for frame in buffer.receive(piece):
                decode_frame(frame, _DECODER)
    except ControlError:
        pass
    with contextlib.suppress(ControlError):
        decode_frame(data, _DECODER)


if __name__ == "__main__":
    harness.run(one_input)
