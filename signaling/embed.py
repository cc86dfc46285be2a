"""Embeds on partners' sites: a signed link that expires, the page behind it, and oEmbed.

The link names the partner. The page may be framed by that partner's origins alone, and only the page itself
gets a token for it: one of a viewer outside the room, bound to the partner.

Source: oEmbed 1.0 sections 2.2 and 2.3.4.
"""

import hashlib
import hmac
import re
import time
from dataclasses import dataclass
from html import escape
from typing import Final
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from aiohttp import web
from msgspec import Struct

from policy import NameRefused, Permission, normalize_room
from rebroadcast import PartnerInfo
from signaling.actions import hls_link
from signaling.context import Context, context_of, json_response, origin_allowed, own_origin
from signaling.errors import Problem
from signaling.pages import embed_page
from signaling.tokens import MAX_LIFETIME_S, TokenError, mint

MAX_TTL_S: Final = 90 * 24 * 3600
WIDTH: Final = 640
HEIGHT: Final = 360
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_VIEWER: Final = "embed"


@dataclass(frozen=True, slots=True)
class EmbedLink:
    """What a signed link says."""

    room: str
    partner: str
    expires_at: int


class EmbedToken(Struct, frozen=True):
    """What the player gets for its link."""

    token: str
    expires_at: int
    origins: list[str]
    """Whose page may talk to the player."""
    hls_url: str | None
    """Where to play when WHEP does not get through; None while nothing is sent there."""


class OEmbed(Struct, frozen=True):
    """oEmbed's answer for a video."""

    html: str
    width: int
    height: int
    title: str
    provider_name: str
    provider_url: str
    cache_age: int
    type: str = "video"
    version: str = "1.0"


def _signature(secret: bytes, link: EmbedLink) -> str:
    signed = f"embed\0{link.room}\0{link.partner}\0{link.expires_at}".encode()
    return hmac.new(secret, signed, hashlib.sha256).hexdigest()[:40]


def embed_path(secret: bytes, link: EmbedLink) -> str:
    """The path of a signed link."""
    sig = _signature(secret, link)
    query = urlencode({"for": link.partner, "expires": link.expires_at, "sig": sig})
    return f"/embed/{quote(link.room, safe='')}?{query}"


def iframe(url: str, title: str, width: int = WIDTH, height: int = HEIGHT) -> str:
    """The HTML that a partner puts into a page."""
    return (
        f'<iframe src="{escape(url)}" title="{escape(title)}" width="{width}" height="{height}" '
        'allow="autoplay; fullscreen; picture-in-picture" referrerpolicy="strict-origin" '
        'style="border:0"></iframe>'
    )


def _checked(secret: bytes, room: str, partner: str, expires: str, sig: str) -> EmbedLink:
    """A link that is ours and serves now.

    Raises:
        Problem: `forbidden`.
    """
    is_number = expires.isascii() and expires.isdigit() and len(expires) <= 12
    if secret and is_number and sig.isascii() and _ID.match(partner):
        link = EmbedLink(room, partner, int(expires))
        if hmac.compare_digest(_signature(secret, link), sig):
            if time.time() < link.expires_at:
                return link
            raise Problem("forbidden", "The embed's link has expired: ask the site for a new one")
    raise Problem("forbidden", "This is no link of an embed: make one with POST /rooms/{room}/embeds")


async def partner_of(context: Context, partner: str) -> PartnerInfo:
    """A partner that may show rooms.

    Raises:
        Problem: `forbidden`: there is none, or it is blocked.
    """
    broadcasts = context.services.broadcasts
    found = None if broadcasts is None else await broadcasts.partners.get(partner)
    if found is None or found.is_blocked:
        raise Problem("forbidden", "This site may not show rooms of this server")
    return found


def _link_of(request: web.Request) -> EmbedLink:
    try:
        room = normalize_room(request.match_info["room"])
    except NameRefused as error:
        raise Problem("forbidden", "This is no link of an embed") from error
    query = request.query
    secret = context_of(request).config.hls_secret
    return _checked(secret, room, query.get("for", ""), query.get("expires", ""), query.get("sig", ""))


async def page(request: web.Request) -> web.Response:
    """`GET /embed/{room}`: the player; with a signed link framed by its partner's origins alone."""
    context = context_of(request)
    if "for" not in request.query:
        ancestors = context.config.frame_ancestors or ("*",)
    else:
        partner = await partner_of(context, _link_of(request).partner)
        ancestors = tuple(partner.origins)
    return embed_page(request, ancestors)


async def token(request: web.Request) -> web.Response:
    """`POST /embed/{room}/token`: the page's own call, for the token behind its link."""
    context = context_of(request)
    if "Origin" not in request.headers or not origin_allowed(request, context.config):
        raise Problem("forbidden", "Only the embed's own page asks for this")
    link = _link_of(request)
    partner = await partner_of(context, link.partner)
    key = context.services.keys.signer()
    if key is None:
        raise Problem("unavailable", "This server has no key that can make tokens")
    now = time.time()
    ttl_s = max(1, min(link.expires_at - int(now), MAX_LIFETIME_S))
    try:
        made = mint(
            key,
            identity=_VIEWER,
            room=link.room,
            permissions=(Permission.SUBSCRIBE,),
            now=now,
            ttl_s=ttl_s,
            is_external=True,
            partner=partner.id,
        )
    except TokenError as error:
        raise Problem("unprocessable", error.reason) from error
    answer = EmbedToken(made, int(now) + ttl_s, list(partner.origins), await _hls(context, link, partner))
    return json_response(answer, headers={"Cache-Control": "no-store"})


async def _hls(context: Context, link: EmbedLink, partner: PartnerInfo) -> str | None:
    broadcasts = context.services.broadcasts
    if broadcasts is None:
        return None
    for broadcast in await broadcasts.broadcasts(room=link.room, limit=10):
        for status in broadcast.destinations if broadcast.ended_ms is None else ():
            url = hls_link(context, status) if status.site == partner.site else None
            if url is not None:
                return url
    return None


async def oembed(request: web.Request) -> web.Response:
    """`GET /oembed?url=&maxwidth=&maxheight=&format=`: how to embed a signed link."""
    context = context_of(request)
    query = request.query
    if query.get("format", "json") != "json":
        return web.Response(status=501, text="Only json is made here\n")
    link = _asked(context, query.get("url", ""), own_origin(request, context.config))
    partner = await partner_of(context, link.partner)
    width, height = _fit(query.get("maxwidth"), query.get("maxheight"))
    origin = own_origin(request, context.config)
    title = f"{link.room} live"
    html = iframe(origin + embed_path(context.config.hls_secret, link), title, width, height)
    age_s = max(0, min(link.expires_at - int(time.time()), 3600))
    answer = OEmbed(html, width, height, title, context.config.site_name, origin, age_s)
    # Consumers are pages and servers of the partner's: what they get is only what their link gives anyway.
    return json_response(
        answer, headers={"Access-Control-Allow-Origin": partner.origins[0], "Vary": "Origin"}
    )


def _asked(context: Context, url: str, origin: str) -> EmbedLink:
    try:
        parts = urlsplit(url[:4_000])
        if f"{parts.scheme}://{parts.netloc}".lower() == origin and parts.path.startswith("/embed/"):
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            room = normalize_room(unquote(parts.path.removeprefix("/embed/")))
            secret = context.config.hls_secret
            return _checked(
                secret, room, query.get("for", ""), query.get("expires", ""), query.get("sig", "")
            )
    except (ValueError, NameRefused):
        pass  # told as any other URL that is none of ours
    raise Problem("not_found", "url is no link of an embed of this server")


def _fit(max_width: str | None, max_height: str | None) -> tuple[int, int]:
    """16:9, as large as is allowed, no larger than the default."""
    width = min(_number(max_width, WIDTH), _number(max_height, HEIGHT) * WIDTH // HEIGHT, WIDTH)
    return max(width, 160), max(width, 160) * HEIGHT // WIDTH


def _number(text: str | None, default: int) -> int:
    if text is None or not (text.isascii() and text.isdigit() and len(text) <= 6):
        return default
    return int(text)
