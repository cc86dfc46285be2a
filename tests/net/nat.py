"""A stateless NAT on the link: an address of this side that is known by another name outside, and the far
side's UDP ports as they are seen from here.

PURE: IPv4 packets in, IPv4 packets out.
"""

import ipaddress
import struct
from dataclasses import dataclass

_UDP, _TCP = 17, 6
_ADDRESS = {"source": 12, "target": 16}
_PORT = {"source": 0, "target": 2}
_CHECKSUM = {_UDP: 6, _TCP: 16}


@dataclass(frozen=True, slots=True)
class Nat:
    """What is translated.

    Attributes:
        outside, inside: the far side reaches the address `inside` of this one as `outside` alone.
        shift: added to the far side's UDP ports; another shift is another mapping of each of its sockets.
    """

    outside: str = ""
    inside: str = ""
    shift: int = 0

    def up(self, packet: bytes) -> bytes | None:
        """A packet of the far side, as it arrives here; None: nobody has that address."""
        if self._is_other(packet):
            return packet
        changed = bytearray(packet)
        if self.outside:
            target = _read(changed, "target")
            if target == self.inside:
                return None
            if target == self.outside:
                _write(changed, "target", self.inside)
        return _moved(changed, "source", self.shift)

    def down(self, packet: bytes) -> bytes | None:
        """A packet of this side, as it arrives at the far one; None: that port has no mapping."""
        if self._is_other(packet):
            return packet
        changed = bytearray(packet)
        if self.outside and _read(changed, "source") == self.inside:
            _write(changed, "source", self.outside)
        return _moved(changed, "target", -self.shift)

    def _is_other(self, packet: bytes) -> bool:
        return not (self.outside or self.shift) or len(packet) < 28 or packet[0] >> 4 != 4


def _read(packet: bytearray, side: str) -> str:
    at = _ADDRESS[side]
    return str(ipaddress.IPv4Address(bytes(packet[at : at + 4])))


def _write(packet: bytearray, side: str, address: str) -> None:
    at = _ADDRESS[side]
    packet[at : at + 4] = ipaddress.IPv4Address(address).packed


def _moved(packet: bytearray, side: str, by: int) -> bytes | None:
    """The packet with the port of one side moved (UDP only), and right checksums."""
    transport = (packet[0] & 15) * 4
    if by and packet[9] == _UDP:
        at = transport + _PORT[side]
        port = int.from_bytes(packet[at : at + 2], "big") + by
        if not 0 < port < 65_536:
            return None
        packet[at : at + 2] = port.to_bytes(2, "big")
    packet[10:12] = bytes(2)
    packet[10:12] = _checksum(bytes(packet[:transport]))
    if packet[9] in _CHECKSUM:
        at = transport + _CHECKSUM[packet[9]]
        packet[at : at + 2] = bytes(2)
        pseudo = bytes(packet[12:20]) + struct.pack("!BBH", 0, packet[9], len(packet) - transport)
        packet[at : at + 2] = _checksum(pseudo + bytes(packet[transport:]))
    return bytes(packet)


def _checksum(data: bytes) -> bytes:
    """Source: RFC 1071."""
    padded = data + bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ((~total & 0xFFFF) or 0xFFFF).to_bytes(2, "big")
