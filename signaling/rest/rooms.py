"""Rooms, who is in them, and the door in front."""

import time
from dataclasses import replace

from msgspec import UNSET

from policy import Permission, RoomMode, RoomSettings, Use, normalize_room
from rooms import Action, RoomInfo
from signaling.errors import Problem
from signaling.rest.bodies import (
    CreateRoom,
    DoorView,
    ModerateBody,
    ParticipantPage,
    RoomPage,
    RoomView,
    SettingsBody,
    SettingsView,
)
from signaling.rest.endpoint import PAGING, Call, Operations
from signaling.views import ParticipantView, activity_view, participant_view, terms_view

_ROOM_ROLES = (Permission.MODERATE, Permission.RECORD, Permission.BROADCAST)

api = Operations(problems=("not_found",))


def _settings(base: RoomSettings, body: SettingsBody) -> RoomSettings:
    """`base` with what the body names.

    Raises:
        SettingsError: out of range.
    """
    changes: dict[str, object] = {
        name: value for name in SettingsBody.__struct_fields__ if (value := getattr(body, name)) is not UNSET
    }
    if "mode" in changes:
        changes["mode"] = RoomMode(str(changes["mode"]))
    if not isinstance(body.uses, type(UNSET)):
        changes["uses"] = frozenset(Use(use) for use in body.uses)
    for name, codecs in (("audio_codecs", body.audio_codecs), ("video_codecs", body.video_codecs)):
        if not isinstance(codecs, type(UNSET)):
            changes[name] = tuple(codecs)
    return replace(base, **changes)  # type: ignore[arg-type]  # the struct's fields are the settings' own


def _settings_view(settings: RoomSettings) -> SettingsView:
    return SettingsView(
        mode=str(settings.mode),
        uses=sorted(str(use) for use in settings.uses),
        audio_codecs=list(settings.audio_codecs),
        video_codecs=list(settings.video_codecs),
        loudest=settings.loudest,
        max_participants=settings.max_participants,
        max_viewers=settings.max_viewers,
        max_tracks=settings.max_tracks,
        chat=settings.chat,
        grace_s=settings.grace_s,
        empty_s=settings.empty_s,
        retention_days=settings.retention_days,
    )


def _room_view(info: RoomInfo, settings: RoomSettings | None) -> RoomView:
    return RoomView(
        id=info.id,
        name=info.name,
        title=info.title,
        created_ms=info.created_ms,
        participants=info.participants,
        viewers=info.viewers,
        activities=[activity_view(activity) for activity in info.activities],
        settings=None if settings is None else _settings_view(settings),
    )


@api(
    "POST",
    "/rooms",
    "createRoom",
    "Create a room that stays open",
    body=CreateRoom,
    status=201,
    problems=("conflict",),
)
async def _create(call: Call) -> RoomView:
    body: CreateRoom = call.body
    rooms = call.context.services.rooms
    name = normalize_room(body.name)
    room = await rooms.create_room(name, _settings(rooms.settings_of(name), body))
    return _room_view(room.info(), room.settings)


@api("GET", "/rooms", "listRooms", "Open rooms, by name", queries=PAGING, problems=())
async def _list(call: Call) -> RoomPage:
    after, limit = call.query("after") or "", call.limit()
    found = sorted(
        (info for info in call.context.services.rooms.rooms() if info.name > after), key=lambda i: i.name
    )
    page = found[:limit]
    return RoomPage([_room_view(info, None) for info in page], page[-1].name if len(found) > limit else None)


@api("GET", "/rooms/{room}", "getRoom", "One open room", permissions=_ROOM_ROLES)
async def _get(call: Call) -> RoomView:
    room = call.context.services.rooms.room(_permitted_room(call))
    if room is None:
        raise Problem("not_found", "The room is not open")
    return _room_view(room.info(), room.settings)


def _permitted_room(call: Call) -> str:
    name = call.room_part()
    if call.is_admin():
        return name
    claims = call.require_any(*_ROOM_ROLES)
    if not claims.opens(name):
        call.require(Permission.ADMIN, name)
    return name


@api(
    "PATCH",
    "/rooms/{room}",
    "changeRoom",
    "Change settings; consent is decided anew at once",
    body=SettingsBody,
)
async def _change(call: Call) -> RoomView:
    name = call.room_part()
    rooms = call.context.services.rooms
    room = await rooms.update_room(name, _settings(rooms.settings_of(name), call.body))
    return _room_view(room.info(), room.settings)


@api("DELETE", "/rooms/{room}", "closeRoom", "Close a room: everyone is told and leaves")
async def _close(call: Call) -> None:
    name = call.room_part()
    if call.context.services.rooms.room(name) is None:
        raise Problem("not_found", "The room is not open")
    await call.context.services.rooms.close_room(name)


@api("GET", "/rooms/{room}/participants", "listParticipants", "Who is in a room", permissions=_ROOM_ROLES)
async def _participants(call: Call) -> ParticipantPage:
    room = call.context.services.rooms.room(_permitted_room(call))
    if room is None:
        raise Problem("not_found", "The room is not open")
    return ParticipantPage([participant_view(person) for person in room.participants()])


@api(
    "GET",
    "/rooms/{room}/participants/{identity}",
    "getParticipant",
    "One participant",
    permissions=_ROOM_ROLES,
)
async def _participant(call: Call) -> ParticipantView:
    room = call.context.services.rooms.room(_permitted_room(call))
    person = None if room is None else room.participant(call.part("identity"))
    if person is None:
        raise Problem("not_found", "Nobody of that identity is in the room")
    return participant_view(person)


@api(
    "POST",
    "/rooms/{room}/participants/{identity}/actions",
    "moderate",
    "Mute, unmute, remove or ban a participant",
    permissions=(Permission.MODERATE,),
    body=ModerateBody,
)
async def _moderate(call: Call) -> None:
    name = call.room_part()
    claims = call.require(Permission.MODERATE, name)
    body: ModerateBody = call.body
    await call.context.services.rooms.moderate(
        name, Action(body.action), call.part("identity"), permissions=claims.permissions, ban_s=body.ban_s
    )


@api(
    "GET",
    "/rooms/{room}/door",
    "getDoor",
    "What somebody is shown before joining",
    permissions=(Permission.JOIN,),
    problems=(),
)
async def _door(call: Call) -> DoorView:
    name = call.room_part()
    claims = call.require(Permission.JOIN, name)
    rooms = call.context.services.rooms
    now_ms = time.time_ns() // 1_000_000
    document = rooms.consent.policy.terms.current(now_ms)
    if document is None:
        raise Problem("unavailable", "No terms are in force: the operator must publish some")
    settings = rooms.settings_of(name)
    room = rooms.room(name)
    is_accepted = claims.terms is not None and rooms.consent.policy.terms.serves(claims.terms.version, now_ms)
    return DoorView(
        room=name,
        title="" if room is None else room.info().title,
        mode=str(settings.mode),
        uses=sorted(str(use) for use in settings.uses if document.use(use) is not None),
        terms=terms_view(document, is_accepted=is_accepted, offered=settings.uses),
        activities=[] if room is None else [activity_view(activity) for activity in room.activities()],
        ask_name=claims.name is None,
    )
