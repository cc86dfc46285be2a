"""The system's libsrt: sockets that never block, and what the other side has acknowledged.

The library keeps threads of its own, which end with the process. Every call returns at once.

Source: libsrt 1.5, its documents API.md, API-functions.md and API-socket-options.md.
"""

import ctypes
import functools
import ipaddress
import socket
import struct
from ctypes.util import find_library
from enum import IntEnum
from typing import Any, Final

PAYLOAD_BYTES: Final = 1316
"""Seven packets of a transport stream: what a live message holds."""
_NAMES: Final = ("libsrt-gnutls.so.1.5", "libsrt-openssl.so.1.5", "libsrt.so.1.5")
_SEND_BUFFER_BYTES: Final = 2 << 20
_CONNECT_TIMEOUT_MS: Final = 5_000
_CRITICAL: Final = 2
_NEVER_DROP: Final = -1
_WOULD_BLOCK: Final = 6001
_ERROR: Final = -1


class SrtError(Exception):
    """What libsrt says; holds no secret."""

    code = "srt_failed"


class Option(IntEnum):
    """SRTO_*: the options that are set."""

    SEND_SYNCHRONOUS = 1
    RECEIVE_SYNCHRONOUS = 2
    SEND_BUFFER = 5
    LATENCY_MS = 23
    PASSPHRASE = 26
    SEND_DROP_DELAY = 32
    CONNECT_TIMEOUT_MS = 36
    STREAM_ID = 46


class State(IntEnum):
    """SRTS_*: where a socket stands."""

    INIT = 1
    OPENED = 2
    LISTENING = 3
    CONNECTING = 4
    CONNECTED = 5
    BROKEN = 6
    CLOSING = 7
    CLOSED = 8
    NONEXISTENT = 9


@functools.cache
def library() -> ctypes.CDLL:
    """The library, started.

    Raises:
        SrtError: the system has none.
    """
    for name in (*_NAMES, find_library("srt-gnutls"), find_library("srt-openssl"), find_library("srt")):
        try:
            found = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        if found is not None:
            break
    else:
        raise SrtError("libsrt is not installed here: install the package libsrt1.5-gnutls")
    found.srt_getlasterror_str.restype = ctypes.c_char_p
    found.srt_rejectreason_str.restype = ctypes.c_char_p
    found.srt_startup()
    found.srt_setloglevel(_CRITICAL)
    return found


class SrtSocket:
    """One SRT connection as its caller. Belongs to one thread."""

    def __init__(self, *, latency_ms: int | None, stream_id: str, passphrase: str) -> None:
        """Makes a socket that is not connected.

        Raises:
            SrtError: the system has no libsrt, or it refuses an option.
        """
        self._library = library()
        self._socket: int = self._library.srt_create_socket()
        if self._socket == _ERROR:
            raise SrtError(self._last_error())
        self._handed = 0
        try:
            self._set(Option.SEND_SYNCHRONOUS, ctypes.c_int(0))
            self._set(Option.RECEIVE_SYNCHRONOUS, ctypes.c_int(0))
            self._set(Option.SEND_BUFFER, ctypes.c_int(_SEND_BUFFER_BYTES))
            self._set(Option.CONNECT_TIMEOUT_MS, ctypes.c_int(_CONNECT_TIMEOUT_MS))
            # What is late is the receiver's to drop: here it would look like bytes that arrived.
            self._set(Option.SEND_DROP_DELAY, ctypes.c_int(_NEVER_DROP))
            if latency_ms is not None:
                self._set(Option.LATENCY_MS, ctypes.c_int(latency_ms))
            if passphrase:
                self._set(Option.PASSPHRASE, passphrase.encode())
            if stream_id:
                self._set(Option.STREAM_ID, stream_id.encode())
        except SrtError:
            self.close()
            raise

    @property
    def handed_bytes(self) -> int:
        """All bytes that `send` took."""
        return self._handed

    def connect(self, host: str, port: int) -> None:
        """Begins to connect; `state` tells how it goes.

        Raises:
            SrtError: it cannot begin.
        """
        address = _sockaddr(host, port)
        if self._library.srt_connect(self._socket, address, len(address)) == _ERROR:
            raise SrtError(self._last_error())

    def state(self) -> State:
        """Where the connection stands."""
        return State(self._library.srt_getsockstate(self._socket))

    def reject_reason(self) -> str:
        """Why the other side did not take it."""
        reason: int = self._library.srt_getrejectreason(self._socket)
        text: bytes | None = self._library.srt_rejectreason_str(reason) if reason else None
        return text.decode(errors="replace") if text else "no answer"

    def send(self, message: bytes) -> bool:
        """Hands over one message of up to PAYLOAD_BYTES; False when there is no room for it.

        Raises:
            SrtError: the connection is gone.
        """
        if self._library.srt_send(self._socket, message, len(message)) != _ERROR:
            self._handed += len(message)
            return True
        if self._library.srt_getlasterror(None) == _WOULD_BLOCK:
            return False
        raise SrtError(self._last_error())

    def unacknowledged_bytes(self) -> int:
        """Bytes that were handed over and that the other side has not acknowledged."""
        blocks, size = ctypes.c_size_t(), ctypes.c_size_t()
        if self._library.srt_getsndbuffer(self._socket, ctypes.byref(blocks), ctypes.byref(size)) == _ERROR:
            return self._handed
        return size.value

    def close(self) -> None:
        """Ends the connection; what was not sent is not sent any more. Idempotent."""
        if self._socket != _ERROR:
            self._library.srt_close(self._socket)
            self._socket = _ERROR

    def _set(self, option: Option, value: "ctypes.c_int | bytes") -> None:
        pointer: Any = value if isinstance(value, bytes) else ctypes.byref(value)
        size = len(value) if isinstance(value, bytes) else ctypes.sizeof(value)
        if self._library.srt_setsockflag(self._socket, int(option), pointer, size) == _ERROR:
            raise SrtError(f"libsrt refuses {option.name.lower()}: {self._last_error()}")

    def _last_error(self) -> str:
        text: bytes | None = self._library.srt_getlasterror_str()
        return text.decode(errors="replace") if text else "unknown error"


def _sockaddr(host: str, port: int) -> bytes:
    """A `struct sockaddr_in` or `sockaddr_in6`."""
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv4Address):
        return struct.pack("=H", socket.AF_INET) + struct.pack(">H4s8x", port, address.packed)
    return struct.pack("=H", socket.AF_INET6) + struct.pack(">HI16sI", port, 0, address.packed, 0)
