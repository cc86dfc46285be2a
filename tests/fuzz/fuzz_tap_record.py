"""Fuzz target: a datagram of tap records, read and put through a stream of each kind."""

from media.clock_map import ParticipantClock
from media.tap_record import TapRecordError, read_records
from media.tap_stream import TapStream
from tests.fuzz import harness


def one_input(data: bytes) -> None:
    streams = [TapStream(kind, ParticipantClock()) for kind in ("audio", "video")]
    try:
        for record in read_records(data):
            for stream in streams:
                stream.receive(record)
    except TapRecordError:
        pass
    for stream in streams:
        stream.tick(2**63)
        stream.flush()


if __name__ == "__main__":
    harness.run(one_input)
