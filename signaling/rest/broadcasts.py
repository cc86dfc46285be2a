"""Broadcasts: of a room while it happens, and of a recording again."""

import base64

from msgspec import convert

from policy import Permission, normalize_room
from rebroadcast import BroadcastInfo, LookChange, RebroadcastService, ReplayInfo
from signaling.actions import hls_link, hls_url
from signaling.errors import Problem
from signaling.rest.broadcast_bodies import (
    AddedDestinationBody,
    BroadcastBody,
    BroadcastPage,
    BroadcastView,
    DestinationStateView,
    FetchingView,
    LookBody,
    LookView,
    ProgramView,
    ReplayView,
)
from signaling.rest.endpoint import PAGING, Call, Operations, Query

api = Operations(permissions=(Permission.BROADCAST,), problems=("conflict", "not_found", "unavailable"))


def broadcasts_of(call: Call) -> RebroadcastService:
    """The broadcasts of this server. Raises: Problem."""
    if call.context.services.broadcasts is None:
        raise Problem("unavailable", "Broadcasting is not running on this server")
    return call.context.services.broadcasts


def _view(call: Call, info: BroadcastInfo) -> BroadcastView:
    return BroadcastView(
        id=info.id,
        room=info.room,
        state=info.state,
        reason=info.reason,
        mode=info.mode,
        started_ms=info.started_ms,
        ended_ms=info.ended_ms,
        hls_url=hls_url(call.context, info),
        look=None if info.look is None else convert(info.look, LookView, from_attributes=True),
        program=None if info.program is None else convert(info.program, ProgramView, from_attributes=True),
        destinations=[
            DestinationStateView(
                destination=item.destination,
                name=item.name,
                site=item.site,
                kind=item.kind,
                state=item.state,
                reason=item.reason,
                bytes_acknowledged=item.bytes_acknowledged,
                delay_s=item.delay_s,
                hls_url=hls_link(call.context, item),
            )
            for item in info.destinations
        ],
        replay=None if info.replay is None else _replay_view(info.replay),
    )


def _replay_view(info: ReplayInfo) -> ReplayView:
    return ReplayView(
        recording=info.recording,
        at_ms=info.at_ms,
        loop=info.is_looped,
        position_ms=info.position_ms,
        duration_ms=info.duration_ms,
        turn=info.turn,
        fetching=None
        if info.fetching is None
        else convert(info.fetching, FetchingView, from_attributes=True),
    )


@api(
    "POST",
    "/broadcasts",
    "startBroadcast",
    "Send a room to destinations, of which everyone in it is told first, or a recording again",
    body=BroadcastBody,
    status=201,
    problems=("conflict", "not_found", "e2ee", "unsupported_codec", "unavailable"),
)
async def _start(call: Call) -> BroadcastView:
    body: BroadcastBody = call.body
    if (body.room is None) == (body.recording is None):
        raise Problem("unprocessable", "Name what to send: a room, or a recording to send again")
    if body.room is None:
        return await _replay(call, body)
    if body.at is not None or body.loop:
        raise Problem("unprocessable", "at and loop are for a recording: a room is sent while it happens")
    room = normalize_room(body.room)
    call.require(Permission.BROADCAST, room)
    started = await broadcasts_of(call).start(
        room, body.destinations, look=_look(body), mode=body.mode, publisher=body.publisher
    )
    return _view(call, started)


async def _replay(call: Call, body: BroadcastBody) -> BroadcastView:
    recording = body.recording or ""
    if body.mode != "program" or body.publisher is not None:
        raise Problem("unprocessable", "A recording is sent as a program: leave mode and publisher out")
    if body.at is not None and body.at.tzinfo is None:
        raise Problem("unprocessable", "at needs its offset from UTC, such as 2027-01-31T20:00:00Z")
    recorder = call.context.services.recorder
    found = None if recorder is None else await recorder.status(recording)
    own = call.own_room()
    if found is None or (own is not None and found.room != own):
        raise Problem("not_found", "There is no such recording")
    call.require(Permission.BROADCAST, found.room)
    at_ms = None if body.at is None else round(body.at.timestamp() * 1000)
    started = await broadcasts_of(call).replay(
        recording, body.destinations, look=_look(body), at_ms=at_ms, is_looped=body.loop
    )
    return _view(call, started)


def _look(body: LookBody) -> LookChange:
    logo = None
    if body.logo is not None:
        try:
            logo = base64.b64decode(body.logo, validate=True)
        except ValueError as error:
            raise Problem("unprocessable", "logo is a PNG in base64, or empty for none") from error
    return LookChange(
        layout=body.layout,
        person=body.person,
        names=body.names,
        chat=body.chat,
        logo=logo,
        corner=body.corner,
        gains=body.gains,
    )


@api(
    "PATCH",
    "/broadcasts/{broadcast}",
    "changeBroadcast",
    "Change how a program looks and sounds, without a break in what goes out",
    body=LookBody,
)
async def _change(call: Call) -> BroadcastView:
    broadcast = (await _own(call)).id
    return _view(call, await broadcasts_of(call).change(broadcast, _look(call.body)))


@api(
    "GET",
    "/broadcasts",
    "listBroadcasts",
    "Broadcasts, newest first",
    queries=(Query("room", "Only of this room"), *PAGING),
    problems=("unavailable",),
)
async def _list(call: Call) -> BroadcastPage:
    own, asked, limit = call.own_room(), call.query("room"), call.limit()
    if own is not None and asked not in {None, own}:
        call.require(Permission.BROADCAST, asked or "")
    found = await broadcasts_of(call).broadcasts(
        room=own or asked, after=call.query("after"), limit=limit + 1
    )
    page = [_view(call, info) for info in found[:limit]]
    return BroadcastPage(page, page[-1].id if len(found) > limit else None)


async def _own(call: Call) -> BroadcastInfo:
    """The broadcast that the path names; of another room is told like unknown."""
    room = call.own_room()
    found = await broadcasts_of(call).status(call.part("broadcast"))
    if found is None or (room is not None and found.room != room):
        raise Problem("not_found", "There is no such broadcast")
    return found


@api(
    "GET",
    "/broadcasts/{broadcast}",
    "getBroadcast",
    "One broadcast, with the state of each destination",
    problems=("not_found", "unavailable"),
)
async def _get(call: Call) -> BroadcastView:
    return _view(call, await _own(call))


@api(
    "POST",
    "/broadcasts/{broadcast}/destinations",
    "addToBroadcast",
    "Send a running broadcast to one more destination; a new site gets a notice of its own",
    body=AddedDestinationBody,
)
async def _add_to(call: Call) -> BroadcastView:
    body: AddedDestinationBody = call.body
    return _view(call, await broadcasts_of(call).add_to((await _own(call)).id, body.destination))


@api(
    "DELETE",
    "/broadcasts/{broadcast}/destinations/{destination}",
    "takeOutOfBroadcast",
    "End one destination of a running broadcast; the others are not disturbed",
)
async def _take_out(call: Call) -> BroadcastView:
    destination = call.part("destination")
    return _view(call, await broadcasts_of(call).take_out((await _own(call)).id, destination))


@api("POST", "/broadcasts/{broadcast}/dump", "dumpBroadcast", "Throw away what the destinations' delays hold")
async def _dump(call: Call) -> BroadcastView:
    return _view(call, await broadcasts_of(call).dump((await _own(call)).id))


@api(
    "POST",
    "/broadcasts/{broadcast}/stop",
    "stopBroadcast",
    "Stop a broadcast",
    problems=("not_found", "unavailable"),
)
async def _stop(call: Call) -> BroadcastView:
    return _view(call, await broadcasts_of(call).stop((await _own(call)).id))
