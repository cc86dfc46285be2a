"""The consent ledger, and withdrawal of what was recorded."""

import json
import time

from policy import Permission, normalize_identity, normalize_room
from rooms import Withdrawal
from signaling.errors import Problem
from signaling.rest.bodies import LedgerPage, WithdrawalBody, WithdrawalView
from signaling.rest.endpoint import PAGING, Call, Endpoint, Query, forbidden

_WHO = (Permission.JOIN, Permission.PUBLISH)
"""Whoever could be recorded may look at and withdraw what is their own."""


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


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/consents",
        name="listConsents",
        summary="Rows of the consent ledger: random ids and hashes, no names; one's own without `admin`",
        handler=_ledger,
        permissions=_WHO,
        result=LedgerPage,
        queries=(
            Query("identity", "Only of this person"),
            Query("room", "Only of this room"),
            *PAGING,
        ),
    ),
    Endpoint(
        method="POST",
        path="/consents/withdrawals",
        name="withdraw",
        summary="Have media and chat removed from recordings: one's own, or anybody's with `admin`",
        handler=_withdraw,
        permissions=_WHO,
        body=WithdrawalBody,
        result=WithdrawalView,
        status=202,
        problems=("not_found", "unavailable"),
    ),
)
