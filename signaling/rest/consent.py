"""The consent ledger, and withdrawal of what was recorded."""

import json
import time

from policy import Permission, normalize_identity, normalize_room
from recorder import Erasure, Presence
from rooms import Withdrawal
from signaling.errors import Problem
from signaling.rest.bodies import (
    ErasedCopyView,
    ErasurePage,
    ErasureView,
    LedgerPage,
    WithdrawalBody,
    WithdrawalView,
)
from signaling.rest.broadcast_bodies import CopiesView, PresenceView, TimeView
from signaling.rest.endpoint import PAGING, Call, Operations, Query, forbidden
from signaling.rest.takedowns import copy_view, takedown_view

_WHO = (Permission.JOIN, Permission.PUBLISH)
"""Whoever could be recorded may look at and withdraw what is their own."""

api = Operations(permissions=_WHO, problems=("not_found", "unavailable"))


async def _scope(call: Call, identity: str | None, room: str | None) -> tuple[str | None, str | None]:
    """The ids of the person and the room that the caller means and may mean; None: everybody, everywhere.

    `admin` may name anybody and any room, the others are themselves in the room of their token.

    Raises:
        Problem: `forbidden`; `not_found`: nobody ever agreed to anything under that identity, or there never
            was such a room.
    """
    claims, store = call.claims, call.context.services.store
    if not call.is_admin():
        own = call.own_room()
        if claims is None or claims.is_external or identity not in {None, claims.identity}:
            raise forbidden()
        if room not in {None, own}:
            raise forbidden()
        identity, room = claims.identity, own
    person = None
    if identity is not None:
        person = await store.persons.find(normalize_identity(identity))
        if person is None:
            raise Problem("not_found", "Nobody has agreed to anything under that identity")
    if room is None:
        return person, None
    row = await store.rooms.get(normalize_room(room))
    if row is None:
        raise Problem("not_found", "There never was such a room")
    return person, row.id


@api(
    "GET",
    "/consents",
    "listConsents",
    "Rows of the consent ledger: random ids and hashes, no names; one's own without `admin`",
    queries=(
        Query("identity", "Only of this person"),
        Query("room", "Only of this room"),
        *PAGING,
    ),
    problems=(),
)
async def _ledger(call: Call) -> LedgerPage:
    after, limit = call.integer("after", 0, 0, 1 << 40), call.limit()
    try:
        person, room = await _scope(call, call.query("identity"), call.query("room"))
    except Problem as problem:
        if problem.code == "not_found":
            return LedgerPage([])
        raise
    ledger = call.context.services.store.ledger
    rows = await ledger.rows(after=after, limit=limit + 1, room=room, person=person)
    page = rows[:limit]
    return LedgerPage(
        [json.loads(row.to_json()) for row in page], str(page[-1].seq) if len(rows) > limit else None
    )


@api(
    "POST",
    "/consents/withdrawals",
    "withdraw",
    "Have media and chat removed from recordings: one's own, or anybody's with `admin`",
    body=WithdrawalBody,
    status=202,
)
async def _withdraw(call: Call) -> WithdrawalView:
    body: WithdrawalBody = call.body
    services = call.context.services
    person, room = await _scope(call, body.identity, body.room)
    if person is None:
        raise Problem("unprocessable", "identity is needed: whose media and chat are to be removed")
    recorder, recording = services.recorder, body.recording or ""
    wanted = Withdrawal(
        person=person, at_ms=time.time_ns() // 1_000_000, room=room or "", recording=recording
    )
    concerned = await recorder.concerned(wanted) if recorder is not None else ()
    if recording and recording not in concerned:
        raise Problem("not_found", "There is no such recording with anything of that person in it")
    noted = await services.rooms.withdrawals.withdraw(person, room=wanted.room, recording=recording)
    return WithdrawalView(list(concerned), noted.at_ms)


@api(
    "GET",
    "/consents/withdrawals",
    "listErasures",
    "What came of withdrawals, recording by recording: one's own, or anybody's with `admin`",
    queries=(Query("identity", "Whose; needed with `admin`"),),
)
async def _report(call: Call) -> ErasurePage:
    recorder = call.context.services.recorder
    person, _ = await _scope(call, call.query("identity"), None)
    if person is None:
        raise Problem("unprocessable", "identity is needed: whose withdrawals")
    found = await recorder.custody.erasures(person) if recorder is not None else ()
    return ErasurePage([_erasure_view(item) for item in found])


def _erasure_view(item: Erasure) -> ErasureView:
    copies = [
        ErasedCopyView(copy.rendition, copy.layout, copy.outcome, list(copy.files), copy.at_ms)
        for copy in item.copies
    ]
    return ErasureView(item.recording, item.outcome, item.at_ms, copies)


@api(
    "GET",
    "/consents/copies",
    "listCopies",
    "Where somebody's media and chat went: recordings and destinations with time spans, notices",
    queries=(Query("identity", "Of this person"), Query("room", "Only of this room")),
)
async def _copies(call: Call) -> CopiesView:
    person, room = await _scope(call, call.query("identity"), call.query("room"))
    if person is None:
        raise Problem("unprocessable", "identity is needed: where whose media and chat went")
    services = call.context.services
    recordings: list[PresenceView] = []
    if services.recorder is not None:
        found = await services.recorder.presence(person, room=room or "")
        recordings = [_presence_view(presence) for presence in found]
    copies, notices = [], []
    if services.takedowns is not None:
        copies = [copy_view(copy) for copy in await services.takedowns.copies(person, room=room)]
        notices = [takedown_view(notice) for notice in await services.takedowns.notices(person=person)]
    return CopiesView(recordings, copies, notices)


def _presence_view(presence: Presence) -> PresenceView:
    return PresenceView(presence.recording, [TimeView(*span) for span in presence.spans])
