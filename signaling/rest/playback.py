"""What the page of a finished recording shows, and links for viewers."""

import time
from functools import partial
from typing import Final, Literal
from urllib.parse import quote

from policy import Permission
from recorder import Attendee, Span
from signaling.context import own_origin
from signaling.errors import Problem
from signaling.rest.bodies import (
    AttendeeView,
    ChatPage,
    PlaybackView,
    QuoteView,
    SpanView,
    ViewerBody,
    ViewerView,
)
from signaling.rest.endpoint import PAGING, Call, Operations
from signaling.rest.recordings import own_recording, recorder_of
from signaling.rest.renditions import rendition_view
from signaling.tokens import TokenError, mint
from signaling.viewing import TTL_S, Viewing

_VIEWER: Final = "viewer"
_MAY_WATCH: Final = (Permission.RECORD, Permission.WATCH)

api = Operations(permissions=_MAY_WATCH, problems=("conflict", "not_found", "unavailable"))


def _use(call: Call) -> Literal["record", "replay"]:
    """Whoever may record sees what was recorded; whoever may only watch, those who agreed to a replay."""
    return "record" if call.claims is not None and call.claims.allows(Permission.RECORD) else "replay"


def _ends_at(call: Call, ttl_s: int) -> int:
    """When something ends that is made with the caller's token: not after the token, unless it is `admin`."""
    now = int(time.time())
    if call.claims is None or call.is_admin():
        return now + ttl_s
    return max(now + 1, min(now + ttl_s, call.claims.expires_at))


def _span_view(span: Span) -> SpanView:
    return SpanView(span.from_ms, span.to_ms)


def _attendee_view(attendee: Attendee, use: Literal["record", "replay"]) -> AttendeeView:
    return AttendeeView(
        person=attendee.person,
        name=attendee.name,
        spans=[_span_view(span) for span in attendee.spans],
        sources=list(attendee.sources) if use == "record" else [],
        screens=[_span_view(span) for span in attendee.screens],
    )


@api(
    "GET",
    "/recordings/{recording}/playback",
    "getPlayback",
    "What its page shows: who is in it and when, composed files with links that expire",
)
async def _playback(call: Call) -> PlaybackView:
    found, use = await own_recording(call), _use(call)
    playback = recorder_of(call).playback
    info = await playback.info(found.id, use)
    expires_at = _ends_at(call, TTL_S)
    viewing, secret = Viewing(found.id, use, expires_at), call.context.config.hls_secret
    call.headers["Cache-Control"] = "no-store"
    return PlaybackView(
        id=found.id,
        room=found.room,
        use=use,
        started_ms=info.started_ms,
        duration_ms=info.duration_ms,
        people=[_attendee_view(attendee, use) for attendee in info.attendees],
        hidden=info.hidden,
        pauses=[_span_view(span) for span in info.pauses],
        renditions=[
            rendition_view(item, partial(viewing.url, secret, item.id))
            for item in await playback.renditions(found.id, use)
        ],
        expires_at=expires_at,
    )


@api(
    "GET",
    "/recordings/{recording}/chat",
    "listQuotes",
    "Its chat lines by time, of those who may be quoted",
    queries=PAGING,
)
async def _chat(call: Call) -> ChatPage:
    found, limit = await own_recording(call), call.limit()
    after = call.integer("after", 0, 0, 10**9)
    quotes = await recorder_of(call).playback.chat(found.id, _use(call), after=after, limit=limit + 1)
    items = [QuoteView(item.at_ms, item.person, item.name, item.text) for item in quotes[:limit]]
    return ChatPage(items, str(after + limit) if len(quotes) > limit else None)


@api(
    "POST",
    "/recordings/{recording}/links",
    "createViewerLink",
    "A link of its page for viewers, who see those who agreed to a replay",
    permissions=(Permission.RECORD,),
    body=ViewerBody,
    status=201,
    problems=("not_found", "unavailable"),
)
async def _link(call: Call) -> ViewerView:
    body: ViewerBody = call.body
    found, context = await own_recording(call), call.context
    key = context.services.keys.signer()
    if key is None or call.claims is None:
        raise Problem("unavailable", "This server has no key that can make tokens")
    now = int(time.time())
    ttl_s = _ends_at(call, body.ttl_s) - now
    try:
        token = mint(
            key,
            identity=_VIEWER,
            room=found.room,
            permissions=(Permission.WATCH,),
            now=now,
            ttl_s=ttl_s,
            recording=found.id,
        )
    except TokenError as error:
        raise Problem("unprocessable", error.reason) from error
    call.headers["Cache-Control"] = "no-store"
    origin = own_origin(call.request, context.config)
    url = f"{origin}/recordings/{quote(found.id, safe='')}#token={token}"
    return ViewerView(token, now + ttl_s, url)
