"""SCTP packets as a peer would write them, and worse."""

import struct

from google_crc32c import value as crc32c

from sfu.transport.sctp_guard import Standing

PORT = 5_000
TAG = 0xA1B2C3D4
TSN = 1_000
FIRST, LAST, UNORDERED = 2, 1, 4
BINARY, DCEP = 53, 50


def chunk(kind: int, body: bytes = b"", *, flags: int = 0, length: int | None = None) -> bytes:
    size = 4 + len(body) if length is None else length
    return struct.pack("!BBH", kind, flags, size) + body + bytes(-len(body) % 4)


def packet(*chunks: bytes, tag: int = TAG, ports: tuple[int, int] = (PORT, PORT)) -> bytes:
    """A packet with a right checksum."""
    head = struct.pack("!HHL", *ports, tag)
    rest = b"".join(chunks)
    return head + crc32c(head + bytes(4) + rest).to_bytes(4, "little") + rest


def data(
    tsn: int = TSN + 1,
    stream: int = 0,
    payload: bytes = b"x",
    *,
    flags: int = FIRST | LAST,
    protocol: int = BINARY,
    seq: int = 0,
) -> bytes:
    return chunk(0, struct.pack("!LHHL", tsn, stream, seq, protocol) + payload, flags=flags)


def parameter(kind: int, value: bytes = b"", *, length: int | None = None) -> bytes:
    size = 4 + len(value) if length is None else length
    return struct.pack("!HH", kind, size) + value + bytes(-len(value) % 4)


def init(
    tag: int = 7,
    tsn: int = TSN + 1,
    *parameters: bytes,
    kind: int = 1,
    window: int = 131_072,
    streams: tuple[int, int] = (65_535, 65_535),
) -> bytes:
    return chunk(kind, struct.pack("!LLHHL", tag, window, *streams, tsn) + b"".join(parameters))


def sack(cumulative: int, *gaps: tuple[int, int], duplicates: tuple[int, ...] = ()) -> bytes:
    words = [half for gap in gaps for half in gap]
    body = struct.pack("!LLHH", cumulative, 131_072, len(gaps), len(duplicates))
    return chunk(3, body + struct.pack(f"!{len(words)}H{len(duplicates)}L", *words, *duplicates))


def forward(cumulative: int, *streams: tuple[int, int]) -> bytes:
    words = [half for stream in streams for half in stream]
    return chunk(192, struct.pack(f"!L{len(words)}H", cumulative, *words))


def reset(sequence: int, last_tsn: int, *streams: int) -> bytes:
    value = struct.pack(f"!LLL{len(streams)}H", sequence, 0, last_tsn, *streams)
    return chunk(130, parameter(13, value))


def channel_open(
    label: bytes = b"reliable", kind: int = 0, reliability: int = 0, protocol: bytes = b""
) -> bytes:
    return struct.pack("!BBHLHH", 3, kind, 0, reliability, len(label), len(protocol)) + label + protocol


def standing(**changes: object) -> Standing:
    """An open association that has received up to `TSN` and sent 1 to 100, of which 50 are acknowledged."""
    values: dict[str, object] = {
        "tag": TAG,
        "is_established": True,
        "received_tsn": TSN,
        "reset_sequence": TSN,
        "held_bytes": 0,
        "held_chunks": 0,
        "acked_tsn": 50,
        "sent_tsn": 100,
    }
    return Standing(**{**values, **changes})  # type: ignore[arg-type]
