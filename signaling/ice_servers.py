"""STUN and TURN servers that joiners are given, with TURN credentials that expire.

PURE: no I/O; time comes in as Unix seconds.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IceServers:
    """The configured servers.

    With a `secret` shared with the TURN server (coturn's `static-auth-secret`) everybody gets credentials of
    their own that serve for `ttl_s`; else all get the fixed `username`, if there is one. `user` shows in the
    TURN server's log: a random id, never a name. Source: draft-uberti-behave-turn-rest-00 section 2.2.
    """

    urls: tuple[str, ...] = ()
    username: str = ""
    credential: str = ""
    secret: bytes = b""
    ttl_s: int = 86_400

    def given_to(self, user: str, now_s: float) -> list[dict[str, object]]:
        """What `user` is given, as browsers take it (`RTCIceServer`)."""
        return [{"urls": list(self.urls), **self._login(user, now_s)}] if self.urls else []

    def links(self, user: str, now_s: float) -> list[str]:
        """The same as values of `Link` headers. Source: RFC 9725 section 4.6."""
        attributes = {"rel": "ice-server"}
        if login := self._login(user, now_s):
            attributes |= login | {"credential-type": "password"}
        text = "".join(f'; {name}="{value}"' for name, value in attributes.items())
        return [f"<{url}>{text}" for url in self.urls]

    def _login(self, user: str, now_s: float) -> dict[str, str]:
        if self.secret:
            username = f"{int(now_s) + self.ttl_s}:{user}"
            digest = hmac.digest(self.secret, username.encode(), hashlib.sha1)
            return {"username": username, "credential": base64.b64encode(digest).decode()}
        return {"username": self.username, "credential": self.credential} if self.username else {}
