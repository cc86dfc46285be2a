"""Files of composed recordings behind the links of `signaling.viewing`.

Whether everybody in a file still agrees is asked with every request.
"""

import re
import time
from typing import Final

from aiohttp import web

from recorder import OpenFile
from signaling.context import context_of
from signaling.errors import Problem
from signaling.rest.download import send_file
from signaling.rest.renditions import STILLS, TYPES
from signaling.viewing import Viewing

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}\.(?:mp4|webm|mkv|vtt|jpg)\Z")
_INDEX_MAX_BYTES: Final = 1 << 20
_SHEET: Final = re.compile(rb"(?m)^(stills-[0-9]{3}\.jpg)#")


def _asked(request: web.Request) -> Viewing:
    """The viewing that a request's link is of.

    Raises:
        Problem: `forbidden`: it is none of ours, or it has expired.
    """
    query, recording = request.query, request.match_info["recording"]
    expires, use = query.get("expires", ""), query.get("use", "")
    is_number = expires.isascii() and expires.isdigit() and len(expires) <= 12
    if is_number and _ID.match(recording) and use in {"record", "replay"}:
        viewing = Viewing(recording, "record" if use == "record" else "replay", int(expires))
        if viewing.is_signed(context_of(request).config.hls_secret, query.get("sig", "")):
            if time.time() < viewing.expires_at:
                return viewing
            raise Problem("forbidden", "The link has expired: open the recording's page again")
    raise Problem("forbidden", "This is no link of a recording: its page makes them")


async def serve(request: web.Request) -> web.StreamResponse:
    """`GET /recordings/{recording}/media/{rendition}/{name}`, with ranges."""
    viewing = _asked(request)
    context = context_of(request)
    if context.services.recorder is None:
        raise Problem("unavailable", "The recorder is not running on this server")
    rendition, name = request.match_info["rendition"], request.match_info["name"]
    if not (_ID.match(rendition) and _NAME.match(name)):
        raise Problem("not_found", "There is no such file")
    playback = context.services.recorder.playback
    file = await playback.open_file(viewing.recording, rendition, name, viewing.use)
    if file is None:
        raise Problem("not_found", "There is no such file")
    if name == STILLS:
        return await _index(file, viewing.query(context.config.hls_secret))
    kind = name.rpartition(".")[2]
    return await send_file(request, file, content_type=TYPES[kind], name=None, sha256=None)


async def _index(file: OpenFile, query: str) -> web.Response:
    """The stills' index; its own links carry the same parameters."""
    try:
        content = await file.read(0, _INDEX_MAX_BYTES)
    finally:
        await file.close()
    body = _SHEET.sub(rb"\1?" + query.encode() + b"#", content)
    return web.Response(body=body, content_type="text/vtt", charset="utf-8")
