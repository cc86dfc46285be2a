"""Recordings: start, stop, look, fetch, delete."""

import re
from typing import Final
from urllib.parse import quote

from aiohttp import web

from policy import Permission, normalize_room
from signaling.errors import Problem
from signaling.rest.bodies import FilePage, FileView, RecordBody, RecordingPage, RecordingView
from signaling.rest.endpoint import BASE, PAGING, Call, Endpoint, Query
from signaling.services import RecorderApi, RecordingInfo

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")


def _recorder(call: Call) -> RecorderApi:
    if call.context.services.recorder is None:
        raise Problem("unavailable", "The recorder is not running on this server")
    return call.context.services.recorder


def _view(info: RecordingInfo) -> RecordingView:
    return RecordingView(
        id=info.id,
        room=info.room,
        state=info.state,
        reason=info.reason,
        started_ms=info.started_ms,
        ended_ms=info.ended_ms,
        size_bytes=info.size_bytes,
    )


async def _own(call: Call) -> RecordingInfo:
    """The recording that the path names; of another room is told like unknown."""
    recording, room = call.part("recording"), call.own_room()
    found = await _recorder(call).status(recording) if _ID.match(recording) else None
    if found is None or (room is not None and found.room != room):
        raise Problem("not_found", "There is no such recording")
    return found


async def _start(call: Call) -> RecordingView:
    body: RecordBody = call.body
    room = normalize_room(body.room)
    call.require(Permission.RECORD, room)
    return _view(await _recorder(call).start(room))


async def _list(call: Call) -> RecordingPage:
    own, asked, limit = call.own_room(), call.query("room"), call.limit()
    if own is not None and asked not in {None, own}:
        call.require(Permission.RECORD, asked or "")
    found = await _recorder(call).recordings(room=own or asked, after=call.query("after"), limit=limit + 1)
    page = [_view(info) for info in found[:limit]]
    return RecordingPage(page, page[-1].id if len(found) > limit else None)


async def _get(call: Call) -> RecordingView:
    return _view(await _own(call))


async def _stop(call: Call) -> RecordingView:
    return _view(await _recorder(call).stop((await _own(call)).id))


async def _files(call: Call) -> FilePage:
    found = await _own(call)
    files = await _recorder(call).files(found.id)
    return FilePage(
        [
            FileView(
                name=item.name,
                size_bytes=item.size_bytes,
                content_type=item.content_type,
                sha256=item.sha256,
                url=f"{BASE}/recordings/{found.id}/files/{quote(item.name, safe='')}",
            )
            for item in files
        ]
    )


async def _file(call: Call) -> web.StreamResponse:
    found, name = await _own(call), call.part("name")
    path = await _recorder(call).path(found.id, name) if _NAME.match(name) and ".." not in name else None
    if path is None or path.is_symlink() or not path.is_file():
        raise Problem("not_found", "There is no such file, or the recording is not finished")
    return web.FileResponse(
        path,
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "private, no-store",
        },
    )


async def _delete(call: Call) -> None:
    await _recorder(call).delete((await _own(call)).id)


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/recordings",
        name="startRecording",
        summary="Record a room: everyone in it is told first",
        handler=_start,
        permissions=(Permission.RECORD,),
        body=RecordBody,
        result=RecordingView,
        status=201,
        problems=("conflict", "not_found", "unavailable"),
    ),
    Endpoint(
        method="GET",
        path="/recordings",
        name="listRecordings",
        summary="Recordings, newest first",
        handler=_list,
        permissions=(Permission.RECORD,),
        result=RecordingPage,
        queries=(Query("room", "Only of this room"), *PAGING),
        problems=("unavailable",),
    ),
    Endpoint(
        method="GET",
        path="/recordings/{recording}",
        name="getRecording",
        summary="One recording",
        handler=_get,
        permissions=(Permission.RECORD,),
        result=RecordingView,
        problems=("not_found", "unavailable"),
    ),
    Endpoint(
        method="POST",
        path="/recordings/{recording}/stop",
        name="stopRecording",
        summary="Stop a recording",
        handler=_stop,
        permissions=(Permission.RECORD,),
        result=RecordingView,
        problems=("not_found", "unavailable"),
    ),
    Endpoint(
        method="GET",
        path="/recordings/{recording}/files",
        name="listFiles",
        summary="Files of a recording",
        handler=_files,
        permissions=(Permission.RECORD,),
        result=FilePage,
        problems=("not_found", "unavailable"),
    ),
    Endpoint(
        method="GET",
        path="/recordings/{recording}/files/{name}",
        name="getFile",
        summary="A file of a finished recording (ranges are served)",
        handler=_file,
        permissions=(Permission.RECORD,),
        media_type="application/octet-stream",
        problems=("not_found", "unavailable"),
    ),
    Endpoint(
        method="DELETE",
        path="/recordings/{recording}",
        name="deleteRecording",
        summary="Remove a finished recording",
        handler=_delete,
        permissions=(Permission.RECORD,),
        status=204,
        problems=("conflict", "not_found", "unavailable"),
    ),
)
