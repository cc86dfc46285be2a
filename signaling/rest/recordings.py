"""Recordings: start, stop, look, fetch, delete."""

import re
from typing import Final
from urllib.parse import quote

from aiohttp import web

from policy import Permission, normalize_room
from recorder import ArchiveState, RecorderService, RecordingInfo
from signaling.errors import Problem
from signaling.rest.bodies import (
    ArchiveView,
    FilePage,
    FileView,
    HoldBody,
    HoldPage,
    HoldView,
    RecordBody,
    RecordingPage,
    RecordingView,
)
from signaling.rest.download import send_file
from signaling.rest.endpoint import BASE, PAGING, Call, Operations, Query
from store import Hold

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")

api = Operations(permissions=(Permission.RECORD,), problems=("not_found", "unavailable"))


def recorder_of(call: Call) -> RecorderService:
    """The recorder. Raises: Problem: `unavailable`."""
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
        expires_ms=info.expires_ms,
        is_held=info.is_held,
        archive=None if info.archive is None else _archive_view(info.archive),
    )


def _archive_view(archive: ArchiveState) -> ArchiveView:
    return ArchiveView(archive.state, archive.done_bytes, archive.total_bytes, archive.reason)


async def own_recording(call: Call) -> RecordingInfo:
    """The recording that the path names; of another room, or not the token's, is told like unknown."""
    recording, room = call.part("recording"), call.own_room()
    if call.claims is not None and call.claims.recording not in {None, recording}:
        raise Problem("not_found", "There is no such recording")
    found = await recorder_of(call).status(recording) if _ID.match(recording) else None
    if found is None or (room is not None and found.room != room):
        raise Problem("not_found", "There is no such recording")
    return found


@api(
    "POST",
    "/recordings",
    "startRecording",
    "Record a room: everyone in it is told first",
    body=RecordBody,
    status=201,
    problems=("conflict", "not_found", "unavailable"),
)
async def _start(call: Call) -> RecordingView:
    body: RecordBody = call.body
    room = normalize_room(body.room)
    call.require(Permission.RECORD, room)
    return _view(await recorder_of(call).start(room))


@api(
    "GET",
    "/recordings",
    "listRecordings",
    "Recordings, newest first",
    permissions=(Permission.RECORD, Permission.WATCH),
    queries=(Query("room", "Only of this room"), *PAGING),
    problems=("unavailable",),
)
async def _list(call: Call) -> RecordingPage:
    own, asked, limit = call.own_room(), call.query("room"), call.limit()
    if own is not None and asked not in {None, own}:
        call.require(Permission.RECORD, asked or "")
    if call.claims is not None and call.claims.recording is not None:
        one = await recorder_of(call).status(call.claims.recording)
        return RecordingPage([_view(one)] if one is not None and one.room == own else [], None)
    found = await recorder_of(call).recordings(room=own or asked, after=call.query("after"), limit=limit + 1)
    page = [_view(info) for info in found[:limit]]
    return RecordingPage(page, page[-1].id if len(found) > limit else None)


@api(
    "GET",
    "/recordings/{recording}",
    "getRecording",
    "One recording",
    permissions=(Permission.RECORD, Permission.WATCH),
)
async def _get(call: Call) -> RecordingView:
    return _view(await own_recording(call))


@api("POST", "/recordings/{recording}/stop", "stopRecording", "Stop a recording")
async def _stop(call: Call) -> RecordingView:
    return _view(await recorder_of(call).stop((await own_recording(call)).id))


@api(
    "POST",
    "/recordings/{recording}/pause",
    "pauseRecording",
    "Keep nothing from now on; everyone in the room is told",
    problems=("conflict", "not_found", "unavailable"),
)
async def _pause(call: Call) -> RecordingView:
    return _view(await recorder_of(call).pause((await own_recording(call)).id, is_paused=True))


@api(
    "POST",
    "/recordings/{recording}/resume",
    "resumeRecording",
    "Go on with a paused recording",
    problems=("conflict", "not_found", "unavailable"),
)
async def _resume(call: Call) -> RecordingView:
    return _view(await recorder_of(call).pause((await own_recording(call)).id, is_paused=False))


@api("GET", "/recordings/{recording}/files", "listFiles", "Files of a recording")
async def _files(call: Call) -> FilePage:
    found = await own_recording(call)
    files = await recorder_of(call).files(found.id)
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


@api(
    "GET",
    "/recordings/{recording}/files/{name}",
    "getFile",
    "A file of a finished recording (ranges are served)",
    media_type="application/octet-stream",
)
async def _file(call: Call) -> web.StreamResponse:
    found, name = await own_recording(call), call.part("name")
    opened = await recorder_of(call).file(found.id, name) if _NAME.match(name) and ".." not in name else None
    if opened is None:
        raise Problem("not_found", "There is no such file, or the recording is not finished")
    about, file = opened
    return await send_file(
        call.request, file, content_type=about.content_type, name=about.name, sha256=about.sha256
    )


def _hold_view(hold: Hold) -> HoldView:
    return HoldView(
        id=hold.id,
        reason=hold.reason,
        placed_by=hold.placed_by,
        placed_at_ms=hold.placed_at_ms,
        until_ms=hold.until_ms,
        released_by=hold.released_by,
        released_at_ms=hold.released_at_ms,
    )


def _who(call: Call) -> str:
    return "" if call.claims is None else f"{call.claims.key}/{call.claims.identity}"


@api(
    "POST",
    "/recordings/{recording}/holds",
    "holdRecording",
    "Place a legal hold: the recording is not deleted, by nobody and nothing",
    permissions=(Permission.ADMIN,),
    body=HoldBody,
    status=201,
    problems=("conflict", "not_found", "unavailable"),
)
async def _hold(call: Call) -> HoldView:
    body: HoldBody = call.body
    custody = recorder_of(call).custody
    recording = (await own_recording(call)).id
    return _hold_view(
        await custody.hold(recording, reason=body.reason, by=_who(call), until_ms=body.until_ms)
    )


@api(
    "GET",
    "/recordings/{recording}/holds",
    "listHolds",
    "Legal holds of a recording, ended ones too",
    permissions=(Permission.ADMIN,),
)
async def _holds(call: Call) -> HoldPage:
    found = await recorder_of(call).custody.holds((await own_recording(call)).id)
    return HoldPage([_hold_view(hold) for hold in found])


@api(
    "DELETE",
    "/recordings/{recording}/holds/{hold}",
    "releaseHold",
    "End a legal hold; erasures that it delayed are carried out",
    permissions=(Permission.ADMIN,),
)
async def _release(call: Call) -> HoldView:
    recording, hold = (await own_recording(call)).id, call.part("hold")
    if not _ID.match(hold):
        raise Problem("not_found", "There is no such hold")
    return _hold_view(await recorder_of(call).custody.release(recording, hold, by=_who(call)))


@api(
    "DELETE",
    "/recordings/{recording}",
    "deleteRecording",
    "Remove a finished recording",
    problems=("conflict", "not_found", "unavailable"),
)
async def _delete(call: Call) -> None:
    await recorder_of(call).delete((await own_recording(call)).id)
