"""Takedown notices: what operators see of them, and what partners answer."""

from rebroadcast import Copy, Takedowns
from signaling.errors import Problem
from signaling.rest.broadcast_bodies import (
    AcknowledgementBody,
    CopyView,
    TakedownKeyView,
    TakedownPage,
    TakedownView,
)
from signaling.rest.endpoint import Call, Operations
from store import TakedownRow

api = Operations(problems=("unavailable",))


def takedown_view(info: TakedownRow) -> TakedownView:
    """A notice as the API tells it."""
    return TakedownView(
        id=info.id,
        partner=info.partner,
        site=info.site,
        withdrawn_ms=info.withdrawn_at_ms,
        state=str(info.state),
        attempts=info.attempts,
        answered_ms=info.answered_at_ms,
        reason=info.reason,
    )


def copy_view(info: Copy) -> CopyView:
    """A destination that received somebody, as the API tells it."""
    return CopyView(
        broadcast=info.broadcast,
        room=info.room,
        site=info.site,
        destination=info.destination,
        kind=info.kind,
        from_ms=info.from_ms,
        until_ms=info.until_ms,
    )


def _takedowns(call: Call) -> Takedowns:
    if call.context.services.takedowns is None:
        raise Problem("unavailable", "Broadcasting is not running on this server")
    return call.context.services.takedowns


@api(
    "GET",
    "/takedowns",
    "listTakedowns",
    "Notices to partners that received somebody who has withdrawn, newest first",
)
async def _list(call: Call) -> TakedownPage:
    return TakedownPage([takedown_view(info) for info in await _takedowns(call).notices()])


@api(
    "POST",
    "/takedowns/{notice}/retry",
    "retryTakedown",
    "Send a notice again now",
    problems=("conflict", "not_found", "unavailable"),
)
async def _retry(call: Call) -> TakedownView:
    return takedown_view(await _takedowns(call).retry(call.part("notice")))


@api(
    "POST",
    "/takedowns/{notice}/acknowledgement",
    "acknowledgeTakedown",
    "A partner says that a notice was carried out, with the code that stands in it",
    body=AcknowledgementBody,
    is_public=True,
    problems=("not_found", "unavailable"),
)
async def _acknowledge(call: Call) -> None:
    body: AcknowledgementBody = call.body
    await _takedowns(call).acknowledge(call.part("notice"), body.code)


@api(
    "GET",
    "/takedowns/key",
    "getTakedownKey",
    "What partners verify the signature of notices with",
    is_public=True,
)
async def _key(call: Call) -> TakedownKeyView:
    return TakedownKeyView(_takedowns(call).public_key)
