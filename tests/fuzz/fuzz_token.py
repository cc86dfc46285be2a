"""Fuzz target: a token as it stands, and the input as the payload of one that is signed well."""

import base64
import hashlib
import hmac

from signaling import ApiKey, KeyRing, TokenError
from tests.fuzz import harness

_SECRET = "s" * 40
_KEYS = KeyRing([ApiKey("app", _SECRET)])
_NOW = 1_800_000_000.0


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


_HEADER = _encoded(b'{"alg":"HS256","kid":"app","typ":"JWT"}')


def one_input(data: bytes) -> None:
    signed = f"{_HEADER}.{_encoded(data)}"
    signature = _encoded(hmac.new(_SECRET.encode(), signed.encode(), hashlib.sha256).digest())
    for token in (
        data.decode("latin-1"),
        f"{_encoded(data)}.{_encoded(data)}.{signature}",
        f"{signed}.{signature}",
    ):
        try:
            claims = _KEYS.verify(token, _NOW)
        except TokenError:
            continue
        if not claims.not_before - 30 <= _NOW < claims.expires_at + 30:
            raise AssertionError("accepted outside its time")


if __name__ == "__main__":
    harness.run(one_input)
