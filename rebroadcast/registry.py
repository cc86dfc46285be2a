"""Partner sites and destinations: validated before they are kept, shown without their keys."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Final
from urllib.parse import urlsplit

from msgspec import UnsetType

from policy import LIVE, REPLAY, Use
from rebroadcast.encodings import wishes_of
from rebroadcast.errors import (
    BroadcastConflict,
    BroadcastInvalid,
    BroadcastNotFound,
    DestinationUnregistered,
)
from rebroadcast.places import Place, is_encrypted, key_of, place_of
from rebroadcast.types import DestinationInfo, EncodingWish, PartnerChange, PartnerInfo
from rebroadcast.url_policy import DestinationRefused, UrlPolicy
from store import Conflict, DestinationRow, NotFound, PartnerRow, Secret, Store

NAME_MAX_CHARACTERS: Final = 100
ORIGINS_MOST: Final = 32
DELAY_MOST_S: Final = 30.0
_USES: Final = frozenset({LIVE, REPLAY})


class Registry:
    """Keeps what may be broadcast to. Errors carry the codes of `rebroadcast.errors`."""

    def __init__(self, store: Store, policy: UrlPolicy) -> None:
        self._store = store
        self._policy = policy

    async def add_partner(
        self,
        *,
        name: str,
        site: str,
        policy_url: str,
        uses: Sequence[str],
        terms_version: str,
        origins: Sequence[str] = (),
        takedown_url: str | None = None,
        from_ms: int = 0,
        until_ms: int | None = None,
    ) -> PartnerInfo:
        """Registers a partner site with what its terms cover, and when: Unix times, no `until_ms`: no end.

        `origins`: whose pages may embed rooms for it, none given: `https://` and its site; `takedown_url`:
        where it takes takedown notices.

        Raises:
            BroadcastInvalid: a field that cannot be used; BroadcastConflict: the site is registered already.
        """
        _check_time(from_ms, until_ms)
        host = _host(site)
        if takedown_url:
            await self._check_takedown(takedown_url)
        try:
            row = await self._store.partners.add(
                name=_name(name),
                site=host,
                policy_url=_policy_url(policy_url),
                terms_version=_version(terms_version),
                uses=_uses(uses),
                from_ms=from_ms,
                until_ms=until_ms,
                origins=_origins(origins, host),
                takedown_url=takedown_url or "",
            )
        except Conflict as error:
            raise BroadcastConflict(f"the site {site[:100]!r} is registered already") from error
        return _partner_info(row)

    async def partners(self) -> list[PartnerInfo]:
        """All partner sites, oldest first."""
        return [_partner_info(row) for row in await self._store.partners.all()]

    async def change_partner(self, partner: str, change: PartnerChange) -> PartnerInfo:
        """Keeps what a partner agreed to since.

        Raises:
            BroadcastInvalid: a field that cannot be used; BroadcastNotFound: there is none.
        """
        if change.takedown_url:
            await self._check_takedown(change.takedown_url)
        try:
            row = await self._store.partners.get(partner)
            return _partner_info(await self._store.partners.change(_changed(row, change)))
        except NotFound as error:
            raise BroadcastNotFound(str(error)) from error

    async def block(self, partner: str, *, is_blocked: bool) -> PartnerInfo:
        """Keeps that a partner's kill switch was turned.

        Raises:
            BroadcastNotFound: there is none.
        """
        try:
            return _partner_info(await self._store.partners.block(partner, is_blocked=is_blocked))
        except NotFound as error:
            raise BroadcastNotFound(str(error)) from error

    async def remove_partner(self, partner: str) -> None:
        """Removes a partner.

        Raises:
            BroadcastNotFound; BroadcastConflict: it still has destinations.
        """
        try:
            await self._store.partners.remove(partner)
        except NotFound as error:
            raise BroadcastNotFound(str(error)) from error
        except Conflict as error:
            raise BroadcastConflict(str(error)) from error

    async def add_destination(
        self,
        *,
        name: str,
        partner: str,
        kind: str,
        url: str | None,
        key: str | None,
        rooms: Sequence[str],
        delay_s: float = 0.0,
        encodings: Sequence[EncodingWish] = (),
    ) -> DestinationInfo:
        """Registers a destination; secrets that stand in the URL are taken out of it.

        `delay_s`: how long everything is held back before it goes there; `encodings`: how it wants the
        picture, checked by the caller.

        Raises:
            BroadcastInvalid: a kind, URL or key that cannot be used; BroadcastNotFound: no such partner.
        """
        if not 0 <= delay_s <= DELAY_MOST_S:
            raise BroadcastInvalid(f"delay_s is 0 to {DELAY_MOST_S:g} seconds")
        place = place_of(kind, url, key)
        if place.url:
            await self._judge(place.url)
        try:
            row = await self._store.destinations.add(
                name=_name(name),
                partner=partner,
                kind=kind,
                url=place.url,
                key=Secret(place.secret) if place.secret else None,
                rooms=tuple(rooms),
                delay_ms=round(delay_s * 1000),
                encodings=tuple(asdict(wish) for wish in encodings),
            )
        except NotFound as error:
            raise BroadcastNotFound(f"no partner {partner[:64]!r}: register the partner first") from error
        return await self._destination_info(row)

    async def destinations(self, *, room: str | None = None) -> list[DestinationInfo]:
        """All destinations, or those that a room may use."""
        sites = {row.id: row for row in await self._store.partners.all()}
        rows = await self._store.destinations.all(room=room)
        return [destination_info(row, sites[row.partner]) for row in rows if row.partner in sites]

    async def remove_destination(self, destination: str) -> None:
        """Removes a destination with its key.

        Raises:
            BroadcastNotFound: there is none.
        """
        try:
            await self._store.destinations.remove(destination)
        except NotFound as error:
            raise BroadcastNotFound(str(error)) from error

    async def chosen(
        self, ids: Sequence[str], room: str, *, use: str = LIVE
    ) -> list[tuple[DestinationRow, PartnerRow]]:
        """The destinations of a broadcast with their partners, checked for the room.

        Raises:
            BroadcastInvalid: none or twice the same; DestinationUnregistered: one that the room may not use;
            BroadcastConflict: a partner is blocked, or its terms do not cover a replay.
        """
        if not ids or len(set(ids)) != len(ids):
            raise BroadcastInvalid("name at least one destination, each once")
        partners = {row.id: row for row in await self._store.partners.all()}
        usable = {row.id: row for row in await self._store.destinations.all(room=room)}
        for destination in ids:
            if destination not in usable:
                raise DestinationUnregistered(
                    f"no destination {destination[:64]!r} is registered that this room may use"
                )
            partner = partners[usable[destination].partner]
            if partner.is_blocked:
                raise blocked(partner)
            if use == REPLAY and REPLAY not in partner.uses:
                raise BroadcastConflict(f"the terms of the partner {partner.name!r} do not cover replay")
        return [(usable[destination], partners[usable[destination].partner]) for destination in ids]

    async def _judge(self, url: str) -> None:
        try:
            await self._policy.resolve(url)
        except DestinationRefused as error:
            raise BroadcastInvalid(f"this url is not allowed: {error}") from error

    async def _check_takedown(self, url: str) -> None:
        if _scheme(url) not in {"http", "https"}:
            raise BroadcastInvalid("takedown_url must be the https address where the site takes notices")
        await self._judge(url)

    async def _destination_info(self, row: DestinationRow) -> DestinationInfo:
        return destination_info(row, await self._store.partners.get(row.partner))


def blocked(partner: PartnerRow) -> BroadcastConflict:
    """How a broadcast to a blocked partner is refused."""
    return BroadcastConflict(f"the partner {partner.name!r} is blocked: nothing goes there")


def destination_info(row: DestinationRow, partner: PartnerRow) -> DestinationInfo:
    """A destination as it may be shown."""
    secret = row.key.reveal() if row.key is not None else ""
    key = key_of(row.kind, secret)
    return DestinationInfo(
        id=row.id,
        name=row.name,
        partner=row.partner,
        site=partner.site,
        kind=row.kind,
        rooms=row.rooms,
        shown_url=row.url or None,
        key_hint=key[-4:] if len(key) >= 12 else None,
        is_encrypted=is_encrypted(row.kind, Place(row.url, secret)),
        delay_s=row.delay_ms / 1000,
        encodings=wishes_of(row.encodings),
    )


def _partner_info(row: PartnerRow) -> PartnerInfo:
    return PartnerInfo(
        id=row.id,
        name=row.name,
        site=row.site,
        policy_url=row.policy_url,
        uses=tuple(sorted(row.uses)),
        terms_version=row.terms_version,
        origins=row.origins,
        takedown_url=row.takedown_url or None,
        from_ms=row.from_ms,
        until_ms=row.until_ms,
        is_blocked=row.is_blocked,
    )


def _changed(row: PartnerRow, change: PartnerChange) -> PartnerRow:
    """A partner with what is given of the change. Raises: BroadcastInvalid."""
    if change.name is not None:
        row = replace(row, name=_name(change.name))
    if change.policy_url is not None:
        row = replace(row, policy_url=_policy_url(change.policy_url))
    if change.uses is not None:
        row = replace(row, uses=_uses(change.uses))
    if change.terms_version is not None:
        row = replace(row, terms_version=_version(change.terms_version))
    if change.origins is not None:
        row = replace(row, origins=_origins(change.origins, row.site))
    if change.takedown_url is not None:
        row = replace(row, takedown_url=change.takedown_url)
    if change.from_ms is not None:
        row = replace(row, from_ms=change.from_ms)
    if not isinstance(change.until_ms, UnsetType):
        row = replace(row, until_ms=change.until_ms)
    _check_time(row.from_ms, row.until_ms)
    return row


def _uses(given: Sequence[str]) -> frozenset[Use]:
    unknown = sorted(set(given) - _USES)
    if unknown or not given:
        raise BroadcastInvalid(f"uses must name live, replay or both; not {unknown or 'nothing'}")
    return frozenset(Use(use) for use in given)


def _policy_url(url: str) -> str:
    if _scheme(url) not in {"http", "https"}:
        raise BroadcastInvalid("policy_url must be the http or https address of the site's privacy policy")
    return url


def _version(text: str) -> str:
    version = text.strip()
    if not version:
        raise BroadcastInvalid("terms_version must name the version of the terms that the partner accepted")
    return version


def _check_time(from_ms: int, until_ms: int | None) -> None:
    if until_ms is not None and until_ms <= from_ms:
        raise BroadcastInvalid("until_ms must be later than from_ms: else the terms are never in force")


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""


def _name(text: str) -> str:
    name = text.strip()
    if not 0 < len(name) <= NAME_MAX_CHARACTERS or not name.isprintable():
        raise BroadcastInvalid(f"a name has 1 to {NAME_MAX_CHARACTERS} printable characters")
    return name


def _host(site: str) -> str:
    host = site.strip().lower()
    if not 0 < len(host) <= 253 or not all(c.isalnum() or c in "-.:[]" for c in host):
        raise BroadcastInvalid("site must be the partner's host name, such as partner.example")
    return host


def _origins(given: Sequence[str], site: str) -> tuple[str, ...]:
    """Origins as browsers write them; none given: the site's own.

    Raises:
        BroadcastInvalid: too many, or one that is no origin.
    """
    if len(given) > ORIGINS_MOST:
        raise BroadcastInvalid(f"a partner has up to {ORIGINS_MOST} origins")
    found: list[str] = []
    for text in given:
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise BroadcastInvalid(f"{text[:100]!r} is no origin: its host or port is malformed") from error
        if parts.scheme not in {"http", "https"} or text != f"{parts.scheme}://{parts.netloc}":
            raise BroadcastInvalid(f"{text[:100]!r} is no origin: write it as https://partner.example")
        if parts.username is not None or not parts.hostname:
            raise BroadcastInvalid(f"{text[:100]!r} is no origin: write it as https://partner.example")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else _host(parts.hostname)
        found.append(f"{parts.scheme}://{host}" + (f":{port}" if port is not None else ""))
    return tuple(dict.fromkeys(found)) or (f"https://{site}",)
