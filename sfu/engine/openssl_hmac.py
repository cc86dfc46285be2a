"""OpenSSL's HMAC-SHA1 for the core, which answers connectivity checks by it; taken from the pylibsrtp wheel.

Where it cannot be had (another build of the wheel) the core leaves all checks to Python, which is slower and
otherwise the same.
"""

import ctypes
from typing import Final, NamedTuple

import structlog
from pylibsrtp import _binding

_log = structlog.get_logger(__name__)

# RFC 2202 section 3, test case 2.
_KEY: Final = b"Jefe"
_TEXT: Final = b"what do ya want for nothing?"
_DIGEST: Final = bytes.fromhex("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")


class HmacTable(NamedTuple):
    """Addresses of OpenSSL's `HMAC` and of its SHA-1, or zeros."""

    function: int
    sha1: int


def load_hmac() -> HmacTable:
    """The wheel's function, proved by a known answer through the very pointers; zeros when there is none."""
    try:
        library = ctypes.CDLL(_binding.__file__)
        library.EVP_sha1.restype = ctypes.c_void_p
        function = ctypes.cast(library.HMAC, ctypes.c_void_p).value
        sha1 = library.EVP_sha1()
    except (OSError, AttributeError, TypeError) as error:
        _log.info("checks_answered_in_python", reason=str(error))
        return HmacTable(0, 0)
    table = HmacTable(function or 0, sha1 or 0)
    if not all(table) or _call(table) != _DIGEST:
        _log.warning("checks_answered_in_python", reason="OpenSSL's HMAC fails the known-answer check")
        return HmacTable(0, 0)
    return table


def _call(table: HmacTable) -> bytes:
    signature = ctypes.CFUNCTYPE(
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_char_p,
        ctypes.POINTER(ctypes.c_uint),
    )
    out, size = ctypes.create_string_buffer(64), ctypes.c_uint()
    if not signature(table.function)(table.sha1, _KEY, len(_KEY), _TEXT, len(_TEXT), out, ctypes.byref(size)):
        return b""
    return out.raw[: size.value]
