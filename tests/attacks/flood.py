"""Junk from strangers at a steady rate, cheaply: many datagrams to a system call.

Run as a program: `flood.py IP PORT SECONDS PER_SECOND [UFRAG]`; prints how many datagrams left.
"""

import ctypes
import itertools
import os
import socket
import struct
import sys
import time
import zlib

SOURCES = 16
BATCH = 20


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class _Message(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_size", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(_Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("sent", ctypes.c_uint32),
    )


def bogus_check(ufrag: str) -> bytes:
    """A binding request that is right in everything but its MESSAGE-INTEGRITY, which nobody computed."""
    name = f"{ufrag}:peer".encode()
    username = struct.pack("!HH", 6, len(name)) + name + bytes(-len(name) % 4)
    attributes = username + struct.pack("!HHI", 0x24, 4, 1) + struct.pack("!HH", 8, 20) + os.urandom(20)
    head = struct.pack("!HHI", 1, len(attributes) + 8, 0x2112A442) + os.urandom(12)
    fingerprint = zlib.crc32(head + attributes) ^ 0x5354554E
    return head + attributes + struct.pack("!HHI", 0x8028, 4, fingerprint)


def srtp_like() -> bytes:
    """Something with the head of an RTP packet and 1.1 kB of noise."""
    return b"\x80\x6f" + os.urandom(1098)


def batch(ufrag: str) -> tuple[ctypes.Array, list[object]]:
    """Messages for one call, half SRTP-like and half STUN, and what must stay alive with them."""
    kept, messages = [], (_Message * BATCH)()
    for index in range(BATCH):
        data = ctypes.create_string_buffer(srtp_like() if index % 2 else bogus_check(ufrag))
        vector = _Vector(ctypes.cast(data, ctypes.c_void_p), len(data) - 1)
        kept += [data, vector]
        messages[index].vectors = ctypes.pointer(vector)
        messages[index].vector_count = 1
    return messages, kept


def flood(ip: str, port: int, seconds: float, per_second: int, ufrag: str = "nobody") -> int:
    """Sends at the rate from several addresses; how many datagrams left."""
    send = ctypes.CDLL(None).sendmmsg
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(SOURCES)]
    for each in sockets:
        each.connect((ip, port))
    batches = [batch(ufrag) for _ in range(8)]
    turn = itertools.cycle(itertools.product(sockets, batches))
    sent, began = 0, time.monotonic()
    while (elapsed := time.monotonic() - began) < seconds:
        while sent < elapsed * per_second:
            source, (messages, _) = next(turn)
            sent += max(send(source.fileno(), messages, BATCH, 0), 0)
        time.sleep(0.001)
    for each in sockets:
        each.close()
    return sent


if __name__ == "__main__":
    address, number, duration, rate, *more = sys.argv[1:]
    print(flood(address, int(number), float(duration), int(rate), *more))
