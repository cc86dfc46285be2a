"""Partner sites, destinations and broadcasts."""

from policy import Permission, normalize_room
from signaling.actions import hls_url
from signaling.errors import Problem
from signaling.rest.bodies import (
    BroadcastBody,
    BroadcastPage,
    BroadcastView,
    DestinationBody,
    DestinationInfoView,
    DestinationPage,
    DestinationStateView,
    PartnerBody,
    PartnerPage,
    PartnerView,
)
from signaling.rest.endpoint import PAGING, Call, Endpoint, Query
from signaling.services import BroadcastApi, BroadcastInfo, DestinationInfo, PartnerInfo


def _broadcasts(call: Call) -> BroadcastApi:
    if call.context.services.broadcasts is None:
        raise Problem("unavailable", "Broadcasting is not running on this server")
    return call.context.services.broadcasts


def _partner_view(info: PartnerInfo) -> PartnerView:
    return PartnerView(info.id, info.name, info.site, info.policy_url, list(info.uses), info.terms_version)


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
    )


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
        destinations=[
            DestinationStateView(
                destination=item.destination,
                name=item.name,
                site=item.site,
                kind=item.kind,
                state=item.state,
                reason=item.reason,
                bytes_acknowledged=item.bytes_acknowledged,
            )
            for item in info.destinations
        ],
    )


async def _add_partner(call: Call) -> PartnerView:
    body: PartnerBody = call.body
    added = await _broadcasts(call).add_partner(
        name=body.name,
        site=body.site,
        policy_url=body.policy_url,
        uses=body.uses,
        terms_version=body.terms_version,
    )
    return _partner_view(added)


async def _partners(call: Call) -> PartnerPage:
    return PartnerPage([_partner_view(info) for info in await _broadcasts(call).partners()])


async def _remove_partner(call: Call) -> None:
    await _broadcasts(call).remove_partner(call.part("partner"))


async def _add_destination(call: Call) -> DestinationInfoView:
    body: DestinationBody = call.body
    added = await _broadcasts(call).add_destination(
        name=body.name,
        partner=body.partner,
        kind=body.kind,
        url=body.url,
        key=body.key,
        rooms=[normalize_room(room) for room in body.rooms],
    )
    return _destination_view(added)


async def _destinations(call: Call) -> DestinationPage:
    found = await _broadcasts(call).destinations(room=call.own_room())
    return DestinationPage([_destination_view(info) for info in found])


async def _remove_destination(call: Call) -> None:
    await _broadcasts(call).remove_destination(call.part("destination"))


async def _start(call: Call) -> BroadcastView:
    body: BroadcastBody = call.body
    room = normalize_room(body.room)
    call.require(Permission.BROADCAST, room)
    started = await _broadcasts(call).start(
        room, body.destinations, layout=body.layout, mode=body.mode, publisher=body.publisher
    )
    return _view(call, started)


async def _list(call: Call) -> BroadcastPage:
    own, asked, limit = call.own_room(), call.query("room"), call.limit()
    if own is not None and asked not in {None, own}:
        call.require(Permission.BROADCAST, asked or "")
    found = await _broadcasts(call).broadcasts(room=own or asked, after=call.query("after"), limit=limit + 1)
    page = [_view(call, info) for info in found[:limit]]
    return BroadcastPage(page, page[-1].id if len(found) > limit else None)


async def _own(call: Call) -> BroadcastInfo:
    """The broadcast that the path names; of another room is told like unknown."""
    room = call.own_room()
    found = await _broadcasts(call).status(call.part("broadcast"))
    if found is None or (room is not None and found.room != room):
        raise Problem("not_found", "There is no such broadcast")
    return found


async def _get(call: Call) -> BroadcastView:
    return _view(call, await _own(call))


async def _stop(call: Call) -> BroadcastView:
    return _view(call, await _broadcasts(call).stop((await _own(call)).id))


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/partners",
        name="addPartner",
        summary="Register a partner site with the uses that its terms cover",
        handler=_add_partner,
        body=PartnerBody,
        result=PartnerView,
        status=201,
        problems=("conflict", "unavailable"),
    ),
    Endpoint(
        method="GET",
        path="/partners",
        name="listPartners",
        summary="Partner sites",
        handler=_partners,
        result=PartnerPage,
        problems=("unavailable",),
    ),
    Endpoint(
        method="DELETE",
        path="/partners/{partner}",
        name="removePartner",
        summary="Remove a partner site without destinations",
        handler=_remove_partner,
        status=204,
        problems=("conflict", "not_found", "unavailable"),
    ),
    Endpoint(
        method="POST",
        path="/destinations",
        name="addDestination",
        summary="Register a destination; its key is encrypted and never told again",
        handler=_add_destination,
        body=DestinationBody,
        result=DestinationInfoView,
        status=201,
        problems=("conflict", "not_found", "unavailable"),
    ),
    Endpoint(
        method="GET",
        path="/destinations",
        name="listDestinations",
        summary="Destinations that the caller may use",
        handler=_destinations,
        permissions=(Permission.BROADCAST,),
        result=DestinationPage,
        problems=("unavailable",),
    ),
    Endpoint(
        method="DELETE",
        path="/destinations/{destination}",
        name="removeDestination",
        summary="Remove a destination that no broadcast uses",
        handler=_remove_destination,
        status=204,
        problems=("conflict", "not_found", "unavailable"),
    ),
    Endpoint(
        method="POST",
        path="/broadcasts",
        name="startBroadcast",
        summary="Send a room to destinations: everyone in it is told first",
        handler=_start,
        permissions=(Permission.BROADCAST,),
        body=BroadcastBody,
        result=BroadcastView,
        status=201,
        problems=("conflict", "not_found", "e2ee", "unsupported_codec", "unavailable"),
    ),
    Endpoint(
        method="GET",
        path="/broadcasts",
        name="listBroadcasts",
        summary="Broadcasts, newest first",
        handler=_list,
        permissions=(Permission.BROADCAST,),
        result=BroadcastPage,
        queries=(Query("room", "Only of this room"), *PAGING),
        problems=("unavailable",),
    ),
    Endpoint(
        method="GET",
        path="/broadcasts/{broadcast}",
        name="getBroadcast",
        summary="One broadcast, with the state of each destination",
        handler=_get,
        permissions=(Permission.BROADCAST,),
        result=BroadcastView,
        problems=("not_found", "unavailable"),
    ),
    Endpoint(
        method="POST",
        path="/broadcasts/{broadcast}/stop",
        name="stopBroadcast",
        summary="Stop a broadcast",
        handler=_stop,
        permissions=(Permission.BROADCAST,),
        result=BroadcastView,
        problems=("not_found", "unavailable"),
    ),
)
