"""Partner sites and destinations: validated before they are kept, shown without their keys."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from policy import LIVE, REPLAY, Use
from rebroadcast.errors import BroadcastConflict, BroadcastInvalid, BroadcastNotFound
from rebroadcast.types import DestinationInfo, PartnerInfo
from rebroadcast.url_policy import DestinationRefused, UrlPolicy
from store import Conflict, DestinationRow, NotFound, PartnerRow, Secret, Store

NAME_MAX_CHARACTERS: Final = 100
KEY_MAX_CHARACTERS: Final = 500
_USES: Final = frozenset({LIVE, REPLAY})
_KINDS: Final = frozenset({"rtmp", "hls"})


class Registry:
    """Keeps what may be broadcast to. Errors carry the codes of `rebroadcast.errors`."""

    def __init__(self, store: Store, policy: UrlPolicy) -> None:
        self._store = store
        self._policy = policy

    async def add_partner(
        self, *, name: str, site: str, policy_url: str, uses: Sequence[str], terms_version: str
    ) -> PartnerInfo:
        """Registers a partner site with what its terms cover.

        Raises:
            BroadcastInvalid: a field that cannot be used; BroadcastConflict: the site is registered already.
        """
        unknown = sorted(set(uses) - _USES)
        if unknown or not uses:
            raise BroadcastInvalid(f"uses must name live, replay or both; not {unknown or 'nothing'}")
        if _scheme(policy_url) not in {"http", "https"}:
            raise BroadcastInvalid(
                "policy_url must be the http or https address of the site's privacy policy"
            )
        if not terms_version.strip():
            raise BroadcastInvalid(
                "terms_version must name the version of the terms that the partner accepted"
            )
        try:
            row = await self._store.partners.add(
                name=_name(name),
                site=_host(site),
                policy_url=policy_url,
                terms_version=terms_version.strip(),
                uses=frozenset(Use(use) for use in uses),
            )
        except Conflict as error:
            raise BroadcastConflict(f"the site {site[:100]!r} is registered already") from error
        return _partner_info(row)

    async def partners(self) -> list[PartnerInfo]:
        """All partner sites, oldest first."""
        return [_partner_info(row) for row in await self._store.partners.all()]

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
        self, *, name: str, partner: str, kind: str, url: str | None, key: str | None, rooms: Sequence[str]
    ) -> DestinationInfo:
        """Registers a destination; a key that stands at the end of the URL is taken out of it.

        Raises:
            BroadcastInvalid: a kind, URL or key that cannot be used; BroadcastNotFound: no such partner.
        """
        if kind not in _KINDS:
            raise BroadcastInvalid(f"kind {kind[:40]!r} is not known: use rtmp or hls")
        secret: Secret | None = None
        address = ""
        if kind == "rtmp":
            address, secret = await self._rtmp_address(url, key)
        elif url or key:
            raise BroadcastInvalid(
                "a destination of kind hls is played from this server: it has no url and key"
            )
        try:
            row = await self._store.destinations.add(
                name=_name(name), partner=partner, kind=kind, url=address, key=secret, rooms=tuple(rooms)
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

    async def chosen(self, ids: Sequence[str], room: str) -> list[tuple[DestinationRow, PartnerRow]]:
        """The destinations of a broadcast with their partners, checked for the room.

        Raises:
            BroadcastInvalid: none or twice the same; BroadcastNotFound: one that the room may not use.
        """
        if not ids or len(set(ids)) != len(ids):
            raise BroadcastInvalid("name at least one destination, each once")
        partners = {row.id: row for row in await self._store.partners.all()}
        usable = {row.id: row for row in await self._store.destinations.all(room=room)}
        for destination in ids:
            if destination not in usable:
                raise BroadcastNotFound(f"no destination {destination[:64]!r} that this room may use")
        return [(usable[destination], partners[usable[destination].partner]) for destination in ids]

    async def _rtmp_address(self, url: str | None, key: str | None) -> tuple[str, Secret]:
        if not url:
            raise BroadcastInvalid("a destination of kind rtmp needs a url such as rtmp://host/application")
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise BroadcastInvalid("the url cannot be read: its host or port is malformed") from error
        path = parts.path.strip("/")
        if not key:
            path, _, key = path.rpartition("/")
            key += f"?{parts.query}" if parts.query else ""
        elif parts.query or parts.fragment:
            raise BroadcastInvalid("what follows ? belongs to the key: put it at the key's end")
        if not path or not key:
            raise BroadcastInvalid(
                "the url must hold an application, and the key must be given or end the url"
            )
        if len(key) > KEY_MAX_CHARACTERS or any(character.isspace() for character in key):
            raise BroadcastInvalid(f"the key must be up to {KEY_MAX_CHARACTERS} characters without spaces")
        address = urlunsplit((parts.scheme, parts.netloc, f"/{path}", "", ""))
        try:
            await self._policy.resolve(address)
        except DestinationRefused as error:
            raise BroadcastInvalid(f"this url is not allowed: {error}") from error
        return address, Secret(key)

    async def _destination_info(self, row: DestinationRow) -> DestinationInfo:
        return destination_info(row, await self._store.partners.get(row.partner))


def destination_info(row: DestinationRow, partner: PartnerRow) -> DestinationInfo:
    """A destination as it may be shown."""
    hint = row.key.reveal()[-4:] if row.key is not None and len(row.key.reveal()) >= 12 else None
    return DestinationInfo(
        id=row.id,
        name=row.name,
        partner=row.partner,
        site=partner.site,
        kind=row.kind,
        rooms=row.rooms,
        shown_url=row.url or None,
        key_hint=hint,
    )


def _partner_info(row: PartnerRow) -> PartnerInfo:
    return PartnerInfo(
        id=row.id,
        name=row.name,
        site=row.site,
        policy_url=row.policy_url,
        uses=tuple(sorted(row.uses)),
        terms_version=row.terms_version,
    )


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
