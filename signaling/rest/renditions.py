"""Composed files of recordings: make, look, fetch, remove."""

import re
from collections.abc import Callable
from typing import Final

from aiohttp import web
from msgspec import structs

from policy import Permission
from recorder import RenderWish, RenditionInfo
from signaling.errors import Problem
from signaling.rest.bodies import RenderBody, RenditionPage, RenditionView
from signaling.rest.download import send_file
from signaling.rest.endpoint import BASE, Call, Operations
from signaling.rest.recordings import own_recording, recorder_of

TYPES: Final = {
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mkv": "video/x-matroska",
    "vtt": "text/vtt; charset=utf-8",
    "jpg": "image/jpeg",
}
CAPTIONS: Final = "chat.vtt"
STILLS: Final = "stills.vtt"
POSTER: Final = "poster.jpg"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}\Z")

_PATH: Final = "/recordings/{recording}/renditions"
api = Operations(permissions=(Permission.RECORD,), problems=("conflict", "not_found", "unavailable"))


def rendition_view(info: RenditionInfo, url: Callable[[str], str] | None = None) -> RenditionView:
    """One composed file as it is told; `url` of each of its files by name, this API's without it."""
    base = f"{BASE}/recordings/{info.recording}/renditions/{info.id}"
    is_finished = info.state == "finished"

    def url_of(name: str, own: str) -> str:
        return f"{base}/{own}" if url is None else url(name)

    def beside(name: str, own: str) -> str | None:
        return url_of(name, own) if is_finished and name in info.beside else None

    return RenditionView(
        id=info.id,
        recording=info.recording,
        state=info.state,
        reason=info.reason,
        progress=info.progress,
        created_ms=info.created_ms,
        size_bytes=info.size_bytes,
        sha256=info.sha256,
        people=list(info.people),
        format=info.wish.format if info.name is None else info.name.rpartition(".")[2],
        layout=info.wish.layout,
        person=info.wish.person,
        source=info.wish.source,
        use=info.wish.use,
        chat=info.wish.chat,
        url=url_of(info.name, "file") if is_finished and info.name is not None else None,
        captions_url=beside(CAPTIONS, "captions"),
        poster_url=beside(POSTER, f"stills/{POSTER}"),
        stills_url=beside(STILLS, f"stills/{STILLS}"),
    )


@api(
    "POST",
    _PATH,
    "renderRecording",
    "Compose a finished recording into one file; it is queued and made in the background",
    body=RenderBody,
    status=202,
)
async def _render(call: Call) -> RenditionView:
    body: RenderBody = call.body
    found = await own_recording(call)
    return rendition_view(
        await recorder_of(call).renditions.render(found.id, RenderWish(**structs.asdict(body)))
    )


@api(
    "GET",
    _PATH,
    "listRenditions",
    "Composed files of a recording, newest first",
    problems=("not_found", "unavailable"),
)
async def _list(call: Call) -> RenditionPage:
    found = await own_recording(call)
    return RenditionPage([rendition_view(info) for info in recorder_of(call).renditions.of(found.id)])


async def _known(call: Call) -> RenditionInfo:
    found = await own_recording(call)
    return recorder_of(call).renditions.get(found.id, call.part("rendition"))


@api(
    "GET",
    _PATH + "/{rendition}",
    "getRendition",
    "One composed file, with its progress",
    problems=("not_found", "unavailable"),
)
async def _get(call: Call) -> RenditionView:
    return rendition_view(await _known(call))


@api(
    "GET",
    _PATH + "/{rendition}/file",
    "getRenditionFile",
    "The composed file (ranges are served)",
    media_type="application/octet-stream",
)
async def _file(call: Call) -> web.StreamResponse:
    info = await _known(call)
    return await _send(call, info, info.name or "", info.sha256)


@api(
    "GET",
    _PATH + "/{rendition}/captions",
    "getRenditionCaptions",
    "Its chat as WebVTT, where that was asked for",
    media_type="text/vtt",
)
async def _captions(call: Call) -> web.StreamResponse:
    return await _send(call, await _known(call), CAPTIONS, None)


@api(
    "GET",
    _PATH + "/{rendition}/stills/{name}",
    "getRenditionStill",
    "Small stills for players: stills.vtt says which part of which sheet is when; poster.jpg",
    media_type="application/octet-stream",
)
async def _still(call: Call) -> web.StreamResponse:
    info, name = await _known(call), call.part("name")
    if not (_NAME.match(name) and name.startswith(("stills", "poster"))):
        raise Problem("not_found", "The rendition has no such file")
    return await _send(call, info, name, None)


async def _send(call: Call, info: RenditionInfo, name: str, sha256: str | None) -> web.StreamResponse:
    file = await recorder_of(call).renditions.open_file(info.recording, info.id, name)
    if file is None:
        raise Problem("not_found", "The rendition has no such file")
    kind = name.rpartition(".")[2]
    shown = f"{info.recording}-{info.id}.{kind}"
    return await send_file(call.request, file, content_type=TYPES[kind], name=shown, sha256=sha256)


@api(
    "DELETE", _PATH + "/{rendition}", "removeRendition", "Remove a composed file, also while it is being made"
)
async def _remove(call: Call) -> None:
    info = await _known(call)
    await recorder_of(call).renditions.remove(info.recording, info.id)
