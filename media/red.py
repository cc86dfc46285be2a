"""Redundant audio (RED): the packet's own block and copies of earlier ones. PURE. Source: RFC 2198."""

from dataclasses import dataclass

from media.frame import PayloadError

_BLOCKS_MAX = 8


class RedError(PayloadError):
    """A payload is not RED as RFC 2198 writes it."""

    code = "red_malformed"


@dataclass(frozen=True, slots=True)
class RedBlock:
    """One block; the last of a packet is the packet's own audio, offset 0."""

    payload_type: int
    ts_offset: int
    """Timestamp units before the packet's own, 0 to 16383."""
    data: bytes


def parse_red(payload: bytes) -> list[RedBlock]:
    """Split a payload into its blocks, oldest first as sent; the primary block is last. Raises: RedError."""
    headers: list[tuple[int, int, int]] = []
    offset = 0
    while True:
        if offset >= len(payload):
            raise RedError(offset, "no primary block")
        first = payload[offset]
        if not first & 0x80:
            offset += 1
            break
        if offset + 4 > len(payload):
            raise RedError(offset, "block header beyond the end")
        word = int.from_bytes(payload[offset + 1 : offset + 4], "big")
        headers.append((first & 0x7F, word >> 10, word & 0x3FF))
        offset += 4
        if len(headers) > _BLOCKS_MAX:
            raise RedError(offset, f"more than {_BLOCKS_MAX} redundant blocks")
    blocks: list[RedBlock] = []
    for payload_type, ts_offset, size in headers:
        if offset + size > len(payload):
            raise RedError(offset, f"a block of {size} bytes beyond the end")
        blocks.append(RedBlock(payload_type, ts_offset, payload[offset : offset + size]))
        offset += size
    if offset >= len(payload):
        raise RedError(offset, "an empty primary block")
    blocks.append(RedBlock(first & 0x7F, 0, payload[offset:]))
    return blocks
