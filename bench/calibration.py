"""What a bare datagram costs on this machine right now: the unit that other figures are divided by."""

import multiprocessing
import os
import socket
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Final

_BURST: Final = 20
_BYTES: Final = 1200


def datagram_us(seconds: float = 1.0) -> float:
    """CPU microseconds (user and system) to pass one 1 200-byte datagram through loopback, both halves."""
    payload = bytes(_BYTES)
    buffer = bytearray(2048)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
    ):
        receiver.bind(("127.0.0.1", 0))
        target = receiver.getsockname()
        passed = 0
        began = time.thread_time_ns()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for _ in range(_BURST):
                sender.sendto(payload, target)
            for _ in range(_BURST):
                receiver.recv_into(buffer)
            passed += _BURST
        return (time.thread_time_ns() - began) / passed / 1000


def crowded_us(seconds: float = 1.0) -> float:
    """The same while every core does it: those that share a cache or a core slow each other down."""
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("spawn")) as others:
        return sum(others.map(datagram_us, [seconds] * cores)) / cores
