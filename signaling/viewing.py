"""Links of composed recordings for pages: they expire, and are signed for one recording and one use. PURE.

Players and images cannot send an `Authorization` header, and the token that a page has never gets into a URL.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlencode

TTL_S: Final = 3600
"""How long a link serves; a page asks for new ones before."""


@dataclass(frozen=True, slots=True)
class Viewing:
    """What a signed link is good for."""

    recording: str
    use: Literal["record", "replay"]
    expires_at: int

    def query(self, secret: bytes) -> str:
        """The parameters of its links."""
        return urlencode({"use": self.use, "expires": self.expires_at, "sig": self._signature(secret)})

    def url(self, secret: bytes, rendition: str, name: str) -> str:
        """The path of a file."""
        return f"/recordings/{self.recording}/media/{rendition}/{name}?{self.query(secret)}"

    def is_signed(self, secret: bytes, sig: str) -> bool:
        """Whether the signature is ours."""
        return bool(secret) and sig.isascii() and hmac.compare_digest(self._signature(secret), sig)

    def _signature(self, secret: bytes) -> str:
        signed = f"viewing\0{self.recording}\0{self.use}\0{self.expires_at}".encode()
        return hmac.new(secret, signed, hashlib.sha256).hexdigest()[:40]
