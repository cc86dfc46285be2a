"""A join on the wire and in the room: what it asks for, and what the client is told of its place."""

import time

from policy import Acceptance, Use
from rooms import JoinRequest, Participant
from signaling.context import Context
from signaling.messages import Join
from signaling.tokens import Claims
from signaling.views import (
    JoinResult,
    activity_view,
    chat_view,
    consent_view,
    data_view,
    notice_view,
    terms_view,
)


def join_request(context: Context, address: str, request: Join, claims: Claims, room: str) -> JoinRequest:
    """What the room is asked: the token's claims come before the client's own words."""
    accept = None
    choices: dict[Use, bool] = {}
    if claims.terms is not None:
        accept = Acceptance(terms_version=claims.terms.version, age_18=True, vouched=True)
        choices.update(dict.fromkeys(claims.terms.uses, True))
    elif request.accept is not None:
        accept = Acceptance(terms_version=request.accept.terms_version, age_18=request.accept.age_18)
    if request.uses is not None:
        choices.update({Use(use): choice for use, choice in request.uses.items()})
    return JoinRequest(
        room=room,
        identity=claims.identity,
        permissions=claims.permissions,
        name=claims.name or request.name or "",
        address_hash=context.services.address_hash(address),
        accept=accept,
        choices=choices,
        expires_at_ms=claims.expires_at * 1000,
        resume=request.resume,
        media=request.media,
        transport="ws",
    )


def join_result(
    context: Context, participant: Participant, claims: Claims
) -> tuple[JoinResult, list[object]]:
    """What the client is told, and the notices that follow the first one."""
    settings = participant.room.settings
    notices = [notice_view(notice) for notice in participant.pending_notices()]
    result = JoinResult(
        participant=participant.id,
        identity=participant.identity,
        name=participant.name,
        room=participant.room.name,
        resumed=participant.is_resumed,
        media=participant.media,
        resume=participant.resume_secret,
        resume_grace_s=settings.grace_s,
        permissions=sorted(str(permission) for permission in participant.permissions),
        token_expires_at=claims.expires_at,
        mode=str(settings.mode),
        terms=terms_view(
            participant.terms(), is_accepted=participant.has_accepted_terms, offered=settings.uses
        ),
        ice_servers=context.config.ice_servers.given_to(participant.id, time.time()),
        participants=[context.wording.of_person(other) for other in participant.others()],
        activities=[activity_view(activity) for activity in participant.room.activities()],
        notice=notices[0] if notices else None,
        chat_history=[chat_view(line) for line in participant.chat_history()],
        consent=consent_view(participant.consent_states()),
        data=data_view(participant.data_share()),
    )
    return result, list(notices[1:])
