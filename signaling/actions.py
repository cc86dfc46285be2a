"""One request of a joined participant: authorised here or in `rooms`, carried out, answered by a struct."""

import time
from typing import assert_never

from msgspec import Struct

from policy import Permission, Use
from rebroadcast import BroadcastInfo, DestinationStatus, LookChange, RebroadcastService
from recorder import RecorderService
from rooms import Action, Participant, Source
from sfu import TrackId
from signaling.context import Context
from signaling.errors import Problem
from signaling.hls import signed_url
from signaling.messages import (
    AcceptTerms,
    Acknowledge,
    Act,
    BroadcastChange,
    BroadcastStart,
    BroadcastStop,
    Chat,
    ChatDelete,
    Consent,
    Destinations,
    Moderate,
    Mute,
    Publish,
    RecordPause,
    RecordResume,
    RecordStart,
    RecordStop,
    SubscribeAnswer,
    SubscribeRestart,
    Subscription,
)
from signaling.views import consent_view


class Done(Struct, frozen=True):
    """Nothing to tell."""


class MidTrack(Struct, frozen=True):
    """Which track an m-section publishes."""

    mid: str
    track: int


class PublishResult(Struct, frozen=True):
    """The answer to a publish offer."""

    sdp: str
    tracks: list[MidTrack]


class ChatResult(Struct, frozen=True):
    """The line's id and time."""

    id: str
    at_ms: int


class ConsentResult(Struct, frozen=True):
    """Own consent after a change; `done_ms` is the measured time of a revocation."""

    consent: dict[str, str]
    done_ms: float | None = None


class RecordingStarted(Struct, frozen=True):
    """The new recording."""

    recording: str


class BroadcastStarted(Struct, frozen=True):
    """The new broadcast."""

    broadcast: str
    state: str
    hls_url: str | None


class DestinationView(Struct, frozen=True):
    """A destination that this room may be sent to."""

    id: str
    name: str
    site: str
    kind: str


class DestinationsResult(Struct, frozen=True):
    """Where this room may be sent."""

    destinations: list[DestinationView]


async def act(context: Context, participant: Participant, request: Act) -> Struct:  # noqa: C901, PLR0912 - one line each
    """Carry out one request.

    Raises:
        Problem, or an error of a lower floor that `views.refusal` translates.
    """
    match request:
        case Publish():
            return await _publish(participant, request)
        case SubscribeAnswer():
            await participant.subscribe_answer(request.version, request.sdp)
        case SubscribeRestart():
            await participant.restart_subscriber()
        case Subscription():
            await participant.subscription(
                TrackId(request.track),
                is_enabled=request.enabled,
                spatial=request.spatial,
                temporal=request.temporal,
                height=request.height,
                priority=request.priority,
            )
        case Mute():
            await participant.set_muted(TrackId(request.track), request.muted)
        case Chat():
            message = await participant.chat(request.text)
            return ChatResult(message.id, message.at_ms)
        case ChatDelete():
            await participant.delete_chat(request.id)
        case AcceptTerms():
            states = await participant.accept_terms(request.terms_version, request.age_18)
            return ConsentResult(consent_view(states))
        case Consent():
            return await _consent(participant, request)
        case Acknowledge():
            await participant.acknowledge(request.notice)
        case Moderate():
            await participant.moderate(Action(request.action), request.identity, ban_s=request.ban_s)
        case RecordStart():
            recorder = _recorder(context, participant)
            recording = await recorder.start(participant.room.name, started_by=participant.id)
            return RecordingStarted(recording.id)
        case RecordPause() | RecordResume():
            recorder = _recorder(context, participant)
            await _own_recording(recorder, participant, request.recording)
            await recorder.pause(request.recording, is_paused=isinstance(request, RecordPause))
        case RecordStop():
            recorder = _recorder(context, participant)
            await _own_recording(recorder, participant, request.recording)
            await recorder.stop(request.recording)
        case BroadcastStart():
            return await _broadcast(context, participant, request)
        case BroadcastChange():
            broadcasts = await _own_broadcast(context, participant, request.broadcast)
            change = LookChange(
                layout=request.layout,
                person=request.person,
                names=request.names,
                chat=request.chat,
                gains=request.gains,
            )
            await broadcasts.change(request.broadcast, change)
        case BroadcastStop():
            broadcasts = await _own_broadcast(context, participant, request.broadcast)
            await broadcasts.stop(request.broadcast)
        case Destinations():
            return await _destinations(context, participant)
        case _:
            assert_never(request)
    return Done()


async def _publish(participant: Participant, request: Publish) -> PublishResult:
    sources = {mid: Source(source) for mid, source in request.sources.items()}
    published = await participant.publish(request.sdp, sources, is_e2ee=request.e2ee)
    return PublishResult(published.sdp, [MidTrack(track.mid, track.track) for track in published.tracks])


async def _consent(participant: Participant, request: Consent) -> ConsentResult:
    choices = {Use(use): choice for use, choice in request.uses.items()}
    states, revocation = await participant.consent(choices)
    done_ms = None if revocation is None else round(revocation.latency_ms, 1)
    return ConsentResult(consent_view(states), done_ms)


def _needs(participant: Participant, permission: Permission) -> None:
    if not participant.permissions & {permission, Permission.ADMIN}:
        raise Problem("forbidden", f"The token does not allow it: ask for one with the {permission} grant")


def _recorder(context: Context, participant: Participant) -> RecorderService:
    _needs(participant, Permission.RECORD)
    if context.services.recorder is None:
        raise Problem("unavailable", "The recorder is not running on this server")
    return context.services.recorder


async def _own_recording(recorder: RecorderService, participant: Participant, recording: str) -> None:
    found = await recorder.status(recording)
    if found is None or found.room != participant.room.name:
        raise Problem("not_found", "There is no such recording in this room")


def _broadcasts(context: Context, participant: Participant) -> RebroadcastService:
    _needs(participant, Permission.BROADCAST)
    if context.services.broadcasts is None:
        raise Problem("unavailable", "Broadcasting is not running on this server")
    return context.services.broadcasts


async def _own_broadcast(context: Context, participant: Participant, broadcast: str) -> RebroadcastService:
    broadcasts = _broadcasts(context, participant)
    found = await broadcasts.status(broadcast)
    if found is None or found.room != participant.room.name:
        raise Problem("not_found", "There is no such broadcast in this room")
    return broadcasts


async def _broadcast(context: Context, participant: Participant, request: BroadcastStart) -> BroadcastStarted:
    broadcasts = _broadcasts(context, participant)
    started = await broadcasts.start(
        participant.room.name,
        request.destinations,
        look=LookChange(layout=request.layout, person=request.person, names=request.names, chat=request.chat),
        mode=request.mode,
        publisher=request.publisher,
        started_by=participant.id,
    )
    return BroadcastStarted(started.id, started.state, hls_url(context, started))


def hls_url(context: Context, broadcast: BroadcastInfo) -> str | None:
    """A fresh signed link to the playlist of a broadcast's first HLS destination; None without one."""
    links = (hls_link(context, status) for status in broadcast.destinations)
    return next((link for link in links if link is not None), None)


def hls_link(context: Context, status: DestinationStatus) -> str | None:
    """A fresh signed link to the playlist of an HLS destination; None when it is none, or has ended."""
    if status.kind != "hls" or status.state == "stopped" or not context.config.hls_secret:
        return None
    now, ttl_s = time.time(), context.config.hls_ttl_s
    return signed_url(context.config.hls_secret, status.program, status.destination, now=now, ttl_s=ttl_s)


async def _destinations(context: Context, participant: Participant) -> DestinationsResult:
    found = await _broadcasts(context, participant).destinations(room=participant.room.name)
    return DestinationsResult([DestinationView(item.id, item.name, item.site, item.kind) for item in found])
