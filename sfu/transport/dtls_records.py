"""What OpenSSL wrote into memory, as the datagrams that it meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from OpenSSL import SSL

MTU: Final = 1_200
"""Longest datagram that we send, in bytes of UDP payload."""

RECORD_HEADER: Final = 13
"""Bytes of a record's header."""

_BIO_BYTES: Final = 4_096


def datagrams(connection: SSL.Connection) -> Iterator[bytes]:
    """Everything that OpenSSL wrote, as datagrams of whole records, each at most `MTU` bytes.

    A memory BIO keeps no datagram borders, so they are drawn anew at the record headers (RFC 6347 section
    4.1).
    """
    written = b""
    while True:
        try:
            part = connection.bio_read(_BIO_BYTES)
        except SSL.Error:
            break
        written += part
        if len(part) < _BIO_BYTES:
            break
    start = end = 0
    while len(written) - end >= RECORD_HEADER:
        size = RECORD_HEADER + int.from_bytes(written[end + 11 : end + 13], "big")
        if end > start and end + size - start > MTU:
            yield written[start:end]
            start = end
        end += size
    if end > start:
        yield written[start:end]
