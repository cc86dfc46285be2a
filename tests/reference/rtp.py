"""RTP as RFC 3550 and RFC 8285 write it, slow and obvious: an oracle for the core's parser and writer."""

from typing import Any

OWN = ("twcc", "abs_send_time", "mid")
"""What a forward writes itself."""
PASSED_ON = (
    "audio_level",
    "video_orientation",
    "dependency_descriptor",
    "playout_delay",
    "content_type",
    "video_timing",
    "color_space",
    "abs_capture_time",
)


def elements(profile: int, block: bytes) -> list[tuple[int, bytes]]:
    """The (id, value) pairs of an extension block, up to the first malformed one."""
    found = []
    at = 0
    one_byte = profile == 0xBEDE
    if not one_byte and profile & 0xFFF0 != 0x1000:
        return []
    while at < len(block):
        if block[at] == 0:
            at += 1
            continue
        if one_byte:
            number, size, start = block[at] >> 4, (block[at] & 15) + 1, at + 1
            if number in {0, 15}:
                break
        else:
            if at + 1 == len(block):
                break
            number, size, start = block[at], block[at + 1], at + 2
        if start + size > len(block):
            break
        found.append((number, block[start : start + size]))
        at = start + size
    return found


def parse(data: bytes, ids: dict[str, int]) -> dict[str, Any] | None:
    """The packet's fields, or None when it is malformed."""
    if not 12 <= len(data) <= 0xFFFF or data[0] >> 6 != 2:
        return None
    at = 12 + (data[0] & 15) * 4
    extensions = {}
    if data[0] & 0x10:
        if at + 4 > len(data):
            return None
        profile, size = int.from_bytes(data[at : at + 2]), int.from_bytes(data[at + 2 : at + 4]) * 4
        at += 4
        if at + size > len(data):
            return None
        names = {number: name for name, number in ids.items()}
        for number, value in elements(profile, data[at : at + size]):
            if number in names:
                extensions.setdefault(names[number], value)
        at += size
    if at > len(data):
        return None
    padding = 0
    if data[0] & 0x20:
        padding = data[-1]
        if not 0 < padding <= len(data) - at:
            return None
    return {
        "pt": data[1] & 0x7F,
        "marker": bool(data[1] & 0x80),
        "seq": int.from_bytes(data[2:4]),
        "timestamp": int.from_bytes(data[4:8]),
        "ssrc": int.from_bytes(data[8:12]),
        "csrc_count": data[0] & 15,
        "padding": padding,
        "payload": data[at : len(data) - padding],
        "extensions": extensions,
    }


def write(
    fields: dict[str, Any], values: list[tuple[int, bytes]], payload: bytes, *, two_byte: bool
) -> bytes:
    """A packet with these header fields, extension elements (none: no block) and payload."""
    block = b""
    for number, value in values:
        block += bytes([number, len(value)]) if two_byte else bytes([number << 4 | len(value) - 1])
        block += value
    block += bytes(-len(block) % 4)
    header = bytes([0x80 | (0x10 if block else 0), fields["marker"] << 7 | fields["pt"]])
    header += fields["seq"].to_bytes(2) + fields["timestamp"].to_bytes(4) + fields["ssrc"].to_bytes(4)
    if block:
        header += (0x1000 if two_byte else 0xBEDE).to_bytes(2) + (len(block) // 4).to_bytes(2) + block
    return header + payload
