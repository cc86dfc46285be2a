"""HLS for players: an expiring signature bound to one destination, carried on by every link in a playlist."""

import hashlib
import hmac
import re
import time
from typing import Final

from aiohttp import web

from signaling.context import context_of, problem_response
from signaling.errors import Problem

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.(?:m3u8|m4s|mp4|vtt)\Z")
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_URI: Final = re.compile(rb'URI="([^"?]*)"')
_TYPES: Final = {
    "m3u8": "application/vnd.apple.mpegurl",
    "m4s": "video/iso.segment",
    "mp4": "video/mp4",
    "vtt": "text/vtt",
}
_OPEN: Final = {"Access-Control-Allow-Origin": "*"}
"""The link alone gives access, so a player on any site may read the answer, also why there is none."""


def signature(secret: bytes, program: str, destination: str, expires: int) -> str:
    """The signature over a program, its destination and the expiry: HMAC-SHA-256, 40 hex digits."""
    signed = f"hls\0{program}\0{destination}\0{expires}".encode()
    return hmac.new(secret, signed, hashlib.sha256).hexdigest()[:40]


def signed_url(secret: bytes, program: str, destination: str, *, now: float, ttl_s: int) -> str:
    """The path of a destination's playlist, good for `ttl_s` seconds."""
    expires = int(now) + ttl_s
    query = _query(destination, expires, signature(secret, program, destination, expires))
    return f"/live/{program}/index.m3u8?{query}"


def _query(destination: str, expires: int | str, sig: str) -> str:
    return f"for={destination}&expires={expires}&sig={sig}"


def is_signed(secret: bytes, program: str, destination: str, expires: str, sig: str) -> bool:
    """Whether the parameters are ours, of this program; whether they still serve is another matter."""
    if not secret or not expires.isascii() or not expires.isdigit() or len(expires) > 12 or not sig.isascii():
        return False
    return hmac.compare_digest(signature(secret, program, destination, int(expires)), sig)


def with_parameters(playlist: bytes, query: bytes) -> bytes:
    """The playlist with `query` on every link that has none: URI lines and `URI="..."` attributes."""
    lines = []
    for line in playlist.split(b"\n"):
        if line.startswith(b"#"):
            has_link = b'URI="' in line
            lines.append(_URI.sub(rb'URI="\1?' + query + b'"', line) if has_link else line)
        elif line.strip() and b"?" not in line:
            lines.append(line.rstrip(b"\r") + b"?" + query)
        else:
            lines.append(line)
    return b"\n".join(lines)


def _ahead(request: web.Request, name: str) -> int | None:
    """A number of a blocking playlist reload, or None."""
    text = request.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise Problem("unprocessable", f"{name} is the number of a segment or part")
    return int(text)


async def serve(request: web.Request) -> web.StreamResponse:
    """`GET /live/{program}/{name}`."""
    try:
        return await _answer(request)
    except Problem as problem:
        return problem_response(problem, headers=_OPEN)


async def _answer(request: web.Request) -> web.Response:
    context = context_of(request)
    program, name = request.match_info["program"], request.match_info["name"]
    destination = request.query.get("for", "")
    expires, sig = request.query.get("expires", ""), request.query.get("sig", "")
    secret = context.config.hls_secret
    if not (_ID.match(program) and _ID.match(destination)) or not is_signed(
        secret, program, destination, expires, sig
    ):
        raise Problem("forbidden", "The link is not one of this broadcast: ask for its hls_url")
    if time.time() >= int(expires):
        raise Problem("forbidden", "The link has expired: ask for the broadcast's hls_url again")
    store = context.services.hls
    if store is None:
        raise Problem("unavailable", "This server has no HLS output")
    if _NAME.match(name):
        segment, part = _ahead(request, "_HLS_msn"), _ahead(request, "_HLS_part")
        if not await store.wait(program, destination, name, segment, part) and segment is not None:
            raise Problem("unavailable", "That segment does not come soon: ask for the playlist without it")
    found = store.get(program, destination, name) if _NAME.match(name) else None
    if found is None:
        raise Problem("not_found", "There is no such playlist or segment")
    if isinstance(found, str):
        raise Problem("gone", "It was withdrawn, is too old, or the broadcast is over")
    kind = name.rpartition(".")[2]
    body = with_parameters(found, _query(destination, expires, sig).encode()) if kind == "m3u8" else found
    # A withdrawn segment must not live on in caches: nothing is stored by any of them.
    return web.Response(body=body, content_type=_TYPES[kind], headers=_OPEN | {"Cache-Control": "no-store"})
