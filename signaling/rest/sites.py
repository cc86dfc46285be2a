"""Partner sites, destinations, and links of embeds."""

import time
from urllib.parse import quote

from msgspec import UnsetType, convert

from policy import Permission, normalize_room
from rebroadcast import DestinationInfo, EncodingWish, PartnerChange, PartnerInfo
from signaling.context import own_origin
from signaling.embed import EmbedLink, embed_path, iframe, partner_of
from signaling.rest.broadcast_bodies import (
    DestinationBody,
    DestinationInfoView,
    DestinationPage,
    EmbedBody,
    EmbedView,
    EncodingBody,
    PartnerBody,
    PartnerChangeBody,
    PartnerPage,
    PartnerView,
)
from signaling.rest.broadcasts import broadcasts_of
from signaling.rest.endpoint import Call, Operations
from signaling.sessions import SESSIONS

api = Operations(problems=("unavailable",))


def _partner_view(info: PartnerInfo) -> PartnerView:
    return PartnerView(
        id=info.id,
        name=info.name,
        site=info.site,
        policy_url=info.policy_url,
        uses=list(info.uses),
        terms_version=info.terms_version,
        origins=list(info.origins),
        takedown_url=info.takedown_url,
        from_ms=info.from_ms,
        until_ms=info.until_ms,
        blocked=info.is_blocked,
    )


def _destination_view(info: DestinationInfo) -> DestinationInfoView:
    return DestinationInfoView(
        id=info.id,
        name=info.name,
        partner=info.partner,
        site=info.site,
        kind=info.kind,
        rooms=list(info.rooms),
        shown_url=info.shown_url,
        key_hint=info.key_hint,
        encrypted=info.is_encrypted,
        delay_s=info.delay_s,
        encodings=convert(info.encodings, list[EncodingBody], from_attributes=True),
    )


@api(
    "POST",
    "/partners",
    "addPartner",
    "Register a partner site with the uses that its terms cover",
    body=PartnerBody,
    status=201,
    problems=("conflict", "unavailable"),
)
async def _add_partner(call: Call) -> PartnerView:
    body: PartnerBody = call.body
    added = await broadcasts_of(call).partners.add(
        name=body.name,
        site=body.site,
        policy_url=body.policy_url,
        uses=body.uses,
        terms_version=body.terms_version,
        origins=body.origins,
        takedown_url=body.takedown_url,
        from_ms=body.from_ms,
        until_ms=body.until_ms,
    )
    return _partner_view(added)


@api(
    "PATCH",
    "/partners/{partner}",
    "changePartner",
    "Change what a partner agreed to; what its terms no longer cover ends at once",
    body=PartnerChangeBody,
    problems=("not_found", "unavailable"),
)
async def _change_partner(call: Call) -> PartnerView:
    body: PartnerChangeBody = call.body
    change = PartnerChange(
        name=body.name,
        policy_url=body.policy_url,
        uses=body.uses,
        terms_version=body.terms_version,
        origins=body.origins,
        takedown_url=None if isinstance(body.takedown_url, UnsetType) else body.takedown_url or "",
        from_ms=body.from_ms,
        until_ms=body.until_ms,
    )
    return _partner_view(await broadcasts_of(call).partners.change(call.part("partner"), change))


@api(
    "POST",
    "/partners/{partner}/block",
    "blockPartner",
    "The kill switch: everything that goes to this partner ends at once, and nothing new begins",
    problems=("not_found", "unavailable"),
)
async def _block_partner(call: Call) -> PartnerView:
    blocked = await broadcasts_of(call).partners.block(call.part("partner"), is_blocked=True)
    await call.request.config_dict[SESSIONS].end_of(blocked.id)
    return _partner_view(blocked)


@api(
    "POST",
    "/partners/{partner}/unblock",
    "unblockPartner",
    "Allow a blocked partner again; what was ended stays ended",
    problems=("not_found", "unavailable"),
)
async def _unblock_partner(call: Call) -> PartnerView:
    return _partner_view(await broadcasts_of(call).partners.block(call.part("partner"), is_blocked=False))


@api("GET", "/partners", "listPartners", "Partner sites")
async def _partners(call: Call) -> PartnerPage:
    return PartnerPage([_partner_view(info) for info in await broadcasts_of(call).partners.all()])


@api(
    "DELETE",
    "/partners/{partner}",
    "removePartner",
    "Remove a partner site without destinations",
    problems=("conflict", "not_found", "unavailable"),
)
async def _remove_partner(call: Call) -> None:
    await broadcasts_of(call).partners.remove(call.part("partner"))


@api(
    "POST",
    "/rooms/{room}/embeds",
    "createEmbed",
    "Make a signed link of a player that a partner's pages may frame",
    permissions=(Permission.BROADCAST,),
    body=EmbedBody,
    status=201,
)
async def _embed(call: Call) -> EmbedView:
    body: EmbedBody = call.body
    room = call.room_part()
    claims = call.require(Permission.BROADCAST, room)
    context = call.context
    partner = await partner_of(context, body.partner)
    ends_at = int(time.time()) + body.ttl_s
    link = EmbedLink(room, partner.id, min(ends_at, claims.expires_at) if claims.room else ends_at)
    origin = own_origin(call.request, context.config)
    url = origin + embed_path(context.config.hls_secret, link)
    call.headers["Cache-Control"] = "no-store"
    return EmbedView(
        url=url,
        html=iframe(url, f"{room} live"),
        oembed_url=f"{origin}/oembed?url={quote(url, safe='')}",
        expires_at=link.expires_at,
    )


@api(
    "POST",
    "/destinations",
    "addDestination",
    "Register a destination; its key is encrypted and never told again",
    body=DestinationBody,
    status=201,
    problems=("conflict", "not_found", "unavailable"),
)
async def _add_destination(call: Call) -> DestinationInfoView:
    body: DestinationBody = call.body
    added = await broadcasts_of(call).add_destination(
        name=body.name,
        partner=body.partner,
        kind=body.kind,
        url=body.url,
        key=body.key,
        rooms=[normalize_room(room) for room in body.rooms],
        delay_s=body.delay_s,
        encodings=[
            EncodingWish(height=wish.height, fps=wish.fps, video_bps=wish.video_bps, codec=wish.codec)
            for wish in body.encodings
        ],
    )
    return _destination_view(added)


@api(
    "GET",
    "/destinations",
    "listDestinations",
    "Destinations that the caller may use",
    permissions=(Permission.BROADCAST,),
)
async def _destinations(call: Call) -> DestinationPage:
    found = await broadcasts_of(call).destinations(room=call.own_room())
    return DestinationPage([_destination_view(info) for info in found])


@api(
    "DELETE",
    "/destinations/{destination}",
    "removeDestination",
    "Remove a destination that no broadcast uses",
    problems=("conflict", "not_found", "unavailable"),
)
async def _remove_destination(call: Call) -> None:
    await broadcasts_of(call).remove_destination(call.part("destination"))
