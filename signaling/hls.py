"""HLS for players: an expiring signature bound to the broadcast, carried on by every link of the playlist."""

import hashlib
import hmac
import re
import time
from typing import Final

from aiohttp import web

from signaling.context import context_of, problem_response
from signaling.errors import Problem

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.(?:m3u8|m4s|mp4)\Z")
_BROADCAST: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_URI: Final = re.compile(rb'URI="([^"?]*)"')
_TYPES: Final = {
    "m3u8": "application/vnd.apple.mpegurl",
    "m4s": "video/iso.segment",
    "mp4": "video/mp4",
}
_OPEN: Final = {"Access-Control-Allow-Origin": "*"}
"""The link alone gives access, so a player on any site may read the answer, also why there is none."""


def signature(secret: bytes, broadcast: str, expires: int) -> str:
    """The signature over a broadcast and its expiry: HMAC-SHA-256, 40 hex digits."""
    return hmac.new(secret, f"hls\0{broadcast}\0{expires}".encode(), hashlib.sha256).hexdigest()[:40]


def signed_url(secret: bytes, broadcast: str, *, now: float, ttl_s: int) -> str:
    """The path of a broadcast's playlist, good for `ttl_s` seconds."""
    expires = int(now) + ttl_s
    return f"/live/{broadcast}/index.m3u8?expires={expires}&sig={signature(secret, broadcast, expires)}"


def is_signed(secret: bytes, broadcast: str, expires: str, sig: str) -> bool:
    """Whether the two parameters are ours, of this broadcast; whether they still serve is another matter."""
    if not secret or not expires.isascii() or not expires.isdigit() or len(expires) > 12 or not sig.isascii():
        return False
    return hmac.compare_digest(signature(secret, broadcast, int(expires)), sig)


def with_parameters(playlist: bytes, query: bytes) -> bytes:
    """The playlist with `query` on every link that has none: URI lines and `URI="..."` attributes."""
    lines = []
    for line in playlist.split(b"\n"):
        if line.startswith(b"#"):
            lines.append(_URI.sub(rb'URI="\1?' + query + b'"', line))
        elif line.strip() and b"?" not in line:
            lines.append(line.rstrip(b"\r") + b"?" + query)
        else:
            lines.append(line)
    return b"\n".join(lines)


async def serve(request: web.Request) -> web.StreamResponse:
    """`GET /live/{broadcast}/{name}`."""
    try:
        return _answer(request)
    except Problem as problem:
        return problem_response(problem, headers=_OPEN)


def _answer(request: web.Request) -> web.Response:
    context = context_of(request)
    broadcast, name = request.match_info["broadcast"], request.match_info["name"]
    expires, sig = request.query.get("expires", ""), request.query.get("sig", "")
    if not _BROADCAST.match(broadcast) or not is_signed(context.config.hls_secret, broadcast, expires, sig):
        raise Problem("forbidden", "The link is not one of this broadcast: ask for its hls_url")
    if time.time() >= int(expires):
        raise Problem("forbidden", "The link has expired: ask for the broadcast's hls_url again")
    store = context.services.hls
    if store is None:
        raise Problem("unavailable", "This server has no HLS output")
    found = store.get(broadcast, name) if _NAME.match(name) else None
    if found is None:
        raise Problem("not_found", "There is no such playlist or segment")
    if isinstance(found, str):
        raise Problem("gone", "It was withdrawn, is too old, or the broadcast is over")
    kind = name.rpartition(".")[2]
    body = with_parameters(found, f"expires={expires}&sig={sig}".encode()) if kind == "m3u8" else found
    # A withdrawn segment must not live on in caches: nothing is stored by any of them.
    return web.Response(body=body, content_type=_TYPES[kind], headers=_OPEN | {"Cache-Control": "no-store"})
