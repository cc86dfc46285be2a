"""WHIP and WHEP resources: one participant each, behind an unguessable URL."""

import re
import secrets
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import quote

import structlog
from aiohttp import web

from media.tasks import TaskScope
from policy import Permission
from rooms import Chat, ChatDeleted, Participant, PeerClosed, Removed, RoomClosed
from signaling.chat_feed import ChatFeed
from signaling.context import MAX_SDP_BYTES, Context, context_of, read_body
from signaling.errors import Problem
from signaling.tokens import Claims
from signaling.views import refusal

Kind = Literal["whip", "whep"]

SDP: Final = "application/sdp"
FRAGMENT: Final = "application/trickle-ice-sdpfrag"
MAX_FRAGMENT_BYTES: Final = 16_384

_UFRAG: Final = re.compile(r"^a=ice-ufrag:([^\s]{1,256})\s*$", re.MULTILINE)
_log = structlog.get_logger("signaling.sessions")


@dataclass(slots=True, eq=False)
class HttpSession:
    """One resource: a publisher (WHIP) or a viewer (WHEP)."""

    id: str
    kind: Kind
    room: str
    identity: str
    key: str
    """Id of the API key of its token."""
    participant: Participant
    ufrag: str
    partner: str | None = None
    """On whose site it is watched."""
    etag: str = field(default_factory=lambda: f'"{secrets.token_hex(8)}"')
    chat: ChatFeed = field(default_factory=ChatFeed)
    has_feed: bool = False

    @property
    def path(self) -> str:
        """The resource's own path."""
        return f"/{self.kind}/{quote(self.room, safe='')}/sessions/{self.id}"


class HttpSessions:
    """The resources that exist, and the task of each that listens to its participant; at most `limit`."""

    def __init__(self, context: Context, tasks: TaskScope) -> None:
        self._context = context
        self._tasks = tasks
        self._sessions: dict[str, HttpSession] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def require_space(self) -> None:
        """Refuse a resource too many.

        Raises:
            Problem: `room_full`.
        """
        if len(self._sessions) >= self._context.config.http_sessions:
            self._context.metrics.limited.labels("http_sessions").inc()
            raise Problem("room_full", "Too many WHIP and WHEP sessions on this server", retry_after_s=10)

    def add(
        self,
        kind: Kind,
        participant: Participant,
        claims: Claims,
        offer: str,
    ) -> HttpSession:
        """Make the resource of a participant that came in with a token."""
        found = _UFRAG.search(offer.replace("\r\n", "\n"))
        session = HttpSession(
            id=secrets.token_urlsafe(24),
            kind=kind,
            room=participant.room.name,
            identity=claims.identity,
            key=claims.key,
            participant=participant,
            ufrag=found.group(1) if found else "",
            partner=claims.partner,
        )
        self._sessions[session.id] = session
        self._context.metrics.http_sessions.labels(kind).inc()
        self._tasks.start(self._listen(session), f"listen {kind}")
        return session

    def get(self, kind: Kind, room: str, session: str) -> HttpSession:
        """A resource by its URL.

        Raises:
            Problem: `not_found`.
        """
        found = self._sessions.get(session)
        if found is None or found.kind != kind or found.room != room:
            raise Problem("not_found", "There is no such session (any more)")
        return found

    async def end_of(self, partner: str) -> None:
        """End every viewer on a partner's site."""
        for session in [session for session in self._sessions.values() if session.partner == partner]:
            await self.end(session, "removed")

    async def end_of_keys(self, keys: Collection[str]) -> None:
        """End everyone whose token is of one of these keys, as at the token's end."""
        for session in [session for session in self._sessions.values() if session.key in keys]:
            await self.end(session, "token_expired")

    async def confirm(self, session: HttpSession, request: web.Request) -> None:
        """End what was just made if the key of its token went meanwhile.

        Raises:
            Problem: `unauthorized`.
        """
        try:
            self._context.claims(request)
        except Problem:
            await self.end(session, "token_expired")
            raise

    async def end(self, session: HttpSession, reason: str) -> None:
        """The client is done: grants end before this returns."""
        self._forget(session)
        await session.participant.leave(reason)

    def _forget(self, session: HttpSession) -> None:
        if self._sessions.pop(session.id, None) is not None:
            self._context.metrics.http_sessions.labels(session.kind).dec()
        session.chat.close()

    async def _listen(self, session: HttpSession) -> None:
        """Follow the participant's events until it is over."""
        reason = "left"
        try:
            async for event in session.participant.events:
                if isinstance(event, (Chat, ChatDeleted)):
                    session.chat.put(event)
                elif isinstance(event, (Removed, RoomClosed)):
                    break
                elif isinstance(event, PeerClosed):
                    reason = "lost"
                    break
        finally:
            self._forget(session)
        try:
            await session.participant.leave(reason)
        except Exception as error:  # noqa: BLE001 - one session's fault ends that session only
            if refusal(error) is None:
                self._context.metrics.faults.labels("session").inc()
                _log.exception("session_end_failed", room=session.room, reason=reason)


SESSIONS: Final = web.AppKey("http_sessions", HttpSessions)


def needs_room(claims: Claims, room: str, permission: Permission) -> None:
    """Refuse a token that is not for `room`, decided by the token alone: a room's existence is not told.

    Raises:
        Problem: `forbidden`.
    """
    if not claims.opens(room) or not claims.allows(permission):
        raise Problem(
            "forbidden", f"The token does not open this room for that: it needs the {permission} grant"
        )


async def read_offer(request: web.Request) -> str:
    """The SDP offer of a POST.

    Raises:
        Problem: `unsupported_media_type`, `not_acceptable`, `too_large`, `timeout`, `invalid_sdp`.
    """
    if request.content_type != SDP:
        raise Problem("unsupported_media_type", f"Send the offer as {SDP}")
    if not _accepts(request.headers.getall("Accept", []), SDP):
        raise Problem("not_acceptable", f"The answer is {SDP}")
    body = await read_body(request, MAX_SDP_BYTES, context_of(request).config)
    return _text(body)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise Problem("invalid_sdp", "The description is not UTF-8") from error


def _accepts(headers: Sequence[str], content_type: str) -> bool:
    ranges = [item.partition(";")[0].strip().lower() for header in headers for item in header.split(",")]
    wanted = {"*/*", content_type, content_type.partition("/")[0] + "/*"}
    return not any(ranges) or not wanted.isdisjoint(ranges)


def created(context: Context, session: HttpSession, answer: str) -> web.Response:
    """The 201 of a new resource."""
    response = web.Response(status=201, body=answer.encode(), content_type=SDP)
    response.headers["Location"] = session.path
    response.headers["ETag"] = session.etag
    response.headers["Accept-Patch"] = FRAGMENT
    response.headers["Cache-Control"] = "no-store"
    for link in context.config.ice_servers.links(session.participant.id, time.time()):
        response.headers.add("Link", link)
    return response


def _owned(request: web.Request, kind: Kind) -> HttpSession:
    """The resource of a request, if its token is of the same room and identity."""
    claims = context_of(request).claims(request)
    room = request.match_info["room"]
    if not claims.opens(room):
        raise Problem("forbidden", "The token does not open this session")
    session = request.config_dict[SESSIONS].get(kind, room, request.match_info["session"])
    if claims.identity != session.identity and not claims.allows(Permission.ADMIN):
        raise Problem("forbidden", "The token does not open this session")
    return session


async def patch(request: web.Request, kind: Kind) -> web.Response:
    """Trickle or ICE restart. Source: RFC 9725 section 4.3."""
    session = _owned(request, kind)
    if request.content_type != FRAGMENT:
        raise Problem("unsupported_media_type", f"Send the fragment as {FRAGMENT}")
    condition = request.headers.get("If-Match", "").strip()
    if not condition:
        raise Problem(
            "precondition_required", 'Send If-Match: the session\'s ETag to trickle, "*" to restart ICE'
        )
    is_any = condition in {"*", '"*"'}
    if not is_any and session.etag not in {item.strip() for item in condition.split(",")}:
        raise Problem("precondition_failed", "The ETag is of an older ICE session")
    fragment = _text(await read_body(request, MAX_FRAGMENT_BYTES, context_of(request).config))
    found = _UFRAG.search(fragment.replace("\r\n", "\n"))
    ufrag = found.group(1) if found else None
    if is_any and ufrag is not None and ufrag != session.ufrag:
        answer = await session.participant.restart_ice(fragment)
        session.ufrag = ufrag
        session.etag = f'"{secrets.token_hex(8)}"'
        response = web.Response(status=200, body=answer.encode(), content_type=FRAGMENT)
        response.headers["ETag"] = session.etag
        return response
    await session.participant.trickle(fragment)
    return web.Response(status=204)


async def delete(request: web.Request, kind: Kind) -> web.Response:
    """End a resource."""
    session = _owned(request, kind)
    await request.config_dict[SESSIONS].end(session, "left")
    return web.Response(status=200)


def options(*, methods: str) -> web.Response:
    """What an endpoint takes; CORS headers come from the middleware."""
    return web.Response(status=204, headers={"Accept-Post": SDP, "Allow": methods})
