"""Partner sites with their terms, and the destinations on them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from policy import LIVE, REPLAY, PartnerTerms, Use
from store.errors import Conflict, NotFound
from store.ids import new_id
from store.keys import Keys
from store.schema import destinations, partners
from store.secret import Secret
from store.threads import DatabaseThread

_PURPOSE = "stream-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerRow:
    """One third-party site that may show what goes out, and the terms it agreed to."""

    id: str
    name: str
    site: str
    """The site's host name; what people are told."""
    policy_url: str
    terms_version: str
    """The version of the partner's agreement; empty = none, and then nothing goes there."""
    uses: frozenset[Use]
    from_ms: int
    until_ms: int | None
    created_at_ms: int
    origins: tuple[str, ...] = ()
    """Origins whose pages may embed a room for this partner."""
    takedown_url: str = ""
    """Where takedown notices are posted; empty = the partner takes none by HTTP."""
    is_blocked: bool = False
    """The kill switch: nothing goes there, whatever the terms say."""

    def terms(self) -> PartnerTerms:
        """What `policy.decide` needs of it."""
        uses = self.uses if self.terms_version and not self.is_blocked else frozenset[Use]()
        return PartnerTerms(partner=self.id, uses=uses, from_ms=self.from_ms, until_ms=self.until_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationRow:
    """One place that a broadcast can be sent to."""

    id: str
    name: str
    partner: str
    kind: str
    """`rtmp`, `srt`, `whip` or `hls`."""
    url: str
    """Without the stream key."""
    key: Secret | None
    rooms: tuple[str, ...]
    """Rooms that may use it; empty = all."""
    created_at_ms: int
    delay_ms: int = 0
    """How long everything is held back before it goes there."""
    encodings: tuple[Mapping[str, Any], ...] = ()
    """How it wants the picture; none: as configured."""


class Partners:
    """Keeps partner sites."""

    def __init__(self, writer: DatabaseThread, reader: DatabaseThread, wall_ms: Callable[[], int]) -> None:
        self._writer = writer
        self._reader = reader
        self._wall_ms = wall_ms

    async def add(
        self,
        *,
        name: str,
        site: str,
        policy_url: str,
        terms_version: str,
        uses: frozenset[Use] = frozenset({LIVE, REPLAY}),
        from_ms: int = 0,
        until_ms: int | None = None,
        origins: tuple[str, ...] = (),
        takedown_url: str = "",
    ) -> PartnerRow:
        """Register a site.

        Raises: Conflict when the site is registered already; StoreUnavailable.
        """
        row = PartnerRow(
            id=new_id("pt"),
            name=name,
            site=site,
            policy_url=policy_url,
            terms_version=terms_version,
            uses=uses,
            from_ms=from_ms,
            until_ms=until_ms,
            created_at_ms=self._wall_ms(),
            origins=origins,
            takedown_url=takedown_url,
        )
        query = insert(partners).values(
            id=row.id,
            name=name,
            site=site,
            policy_url=policy_url,
            terms_version=terms_version,
            uses=json.dumps(sorted(uses)),
            from_ms=from_ms,
            until_ms=until_ms,
            created_at_ms=row.created_at_ms,
            origins=json.dumps(origins),
            takedown_url=takedown_url,
            is_blocked=0,
        )
        await self._writer.run(lambda connection: connection.execute(query))
        return row

    async def get(self, partner_id: str) -> PartnerRow:
        """One partner.

        Raises: NotFound; StoreUnavailable.
        """
        query = select(partners).where(partners.c.id == partner_id)
        found = await self._reader.run(lambda connection: connection.execute(query).one_or_none())
        if found is None:
            raise NotFound(f"no partner {partner_id[:64]!r}")
        return _partner(found)

    async def all(self) -> tuple[PartnerRow, ...]:
        """Every partner, oldest first.

        Raises: StoreUnavailable.
        """
        query = select(partners).order_by(partners.c.created_at_ms, partners.c.id)
        found = await self._reader.run(lambda connection: connection.execute(query).all())
        return tuple(_partner(row) for row in found)

    async def change(self, row: PartnerRow) -> PartnerRow:
        """Keep what a partner agreed to since; its site and its kill switch stay as they are.

        Raises: NotFound; StoreUnavailable.
        """
        query = (
            update(partners)
            .where(partners.c.id == row.id)
            .values(
                name=row.name,
                policy_url=row.policy_url,
                terms_version=row.terms_version,
                uses=json.dumps(sorted(row.uses)),
                from_ms=row.from_ms,
                until_ms=row.until_ms,
                origins=json.dumps(row.origins),
                takedown_url=row.takedown_url,
            )
        )
        if await self._writer.run(lambda connection: connection.execute(query).rowcount) == 0:
            raise NotFound(f"no partner {row.id[:64]!r}")
        return await self.get(row.id)

    async def block(self, partner_id: str, *, is_blocked: bool) -> PartnerRow:
        """Turn the kill switch of a partner; the partner as it is then.

        Raises: NotFound; StoreUnavailable.
        """
        query = update(partners).where(partners.c.id == partner_id).values(is_blocked=int(is_blocked))
        if await self._writer.run(lambda connection: connection.execute(query).rowcount) == 0:
            raise NotFound(f"no partner {partner_id[:64]!r}")
        return await self.get(partner_id)

    async def remove(self, partner_id: str) -> None:
        """Forget a partner.

        Raises: NotFound; Conflict while a destination belongs to it; StoreUnavailable.
        """

        def work(connection: Connection) -> None:
            used = connection.execute(
                select(destinations.c.id).where(destinations.c.partner == partner_id)
            ).first()
            if used is not None:
                raise Conflict("the partner has destinations: remove those first")
            if connection.execute(delete(partners).where(partners.c.id == partner_id)).rowcount == 0:
                raise NotFound(f"no partner {partner_id[:64]!r}")

        await self._writer.run(work)


class Destinations:
    """Keeps destinations; stream keys are sealed with the installation's key."""

    def __init__(
        self, writer: DatabaseThread, reader: DatabaseThread, keys: Keys, wall_ms: Callable[[], int]
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._keys = keys
        self._wall_ms = wall_ms

    async def add(
        self,
        *,
        name: str,
        partner: str,
        kind: str,
        url: str = "",
        key: Secret | None = None,
        rooms: tuple[str, ...] = (),
        delay_ms: int = 0,
        encodings: tuple[Mapping[str, Any], ...] = (),
    ) -> DestinationRow:
        """Register a destination of a partner.

        Raises: NotFound when there is no such partner; StoreUnavailable.
        """
        destination_id = new_id("dst")
        now_ms = self._wall_ms()
        sealed = self._keys.seal(_PURPOSE, key.reveal().encode(), destination_id) if key is not None else None

        def work(connection: Connection) -> None:
            known = connection.execute(select(partners.c.id).where(partners.c.id == partner)).first()
            if known is None:
                raise NotFound(f"no partner {partner[:64]!r}")
            connection.execute(
                insert(destinations).values(
                    id=destination_id,
                    name=name,
                    partner=partner,
                    kind=kind,
                    url=url,
                    key_sealed=sealed,
                    rooms=json.dumps(rooms),
                    created_at_ms=now_ms,
                    delay_ms=delay_ms,
                    encodings=json.dumps(encodings),
                )
            )

        await self._writer.run(work)
        return DestinationRow(
            id=destination_id,
            name=name,
            partner=partner,
            kind=kind,
            url=url,
            key=key,
            rooms=rooms,
            created_at_ms=now_ms,
            delay_ms=delay_ms,
            encodings=encodings,
        )

    async def get(self, destination_id: str) -> DestinationRow:
        """One destination, its key opened.

        Raises: NotFound; KeyFileError; StoreUnavailable.
        """
        query = select(destinations).where(destinations.c.id == destination_id)
        found = await self._reader.run(lambda connection: connection.execute(query).one_or_none())
        if found is None:
            raise NotFound(f"no destination {destination_id[:64]!r}")
        return self._row(found)

    async def all(self, *, room: str | None = None) -> tuple[DestinationRow, ...]:
        """Every destination, or those that the room of that name may use, oldest first.

        Raises: KeyFileError; StoreUnavailable.
        """
        query = select(destinations).order_by(destinations.c.created_at_ms, destinations.c.id)
        found = await self._reader.run(lambda connection: connection.execute(query).all())
        rows = tuple(self._row(row) for row in found)
        return tuple(row for row in rows if room is None or not row.rooms or room in row.rooms)

    async def remove(self, destination_id: str) -> None:
        """Forget a destination and its key.

        Raises: NotFound; StoreUnavailable.
        """
        query = delete(destinations).where(destinations.c.id == destination_id)
        if await self._writer.run(lambda connection: connection.execute(query).rowcount) == 0:
            raise NotFound(f"no destination {destination_id[:64]!r}")

    def _row(self, row: "Row[Any]") -> DestinationRow:
        key = None
        if row.key_sealed is not None:
            key = Secret(self._keys.unseal(_PURPOSE, row.key_sealed, row.id).decode())
        return DestinationRow(
            id=row.id,
            name=row.name,
            partner=row.partner,
            kind=row.kind,
            url=row.url,
            key=key,
            rooms=tuple(json.loads(row.rooms)),
            created_at_ms=row.created_at_ms,
            delay_ms=row.delay_ms,
            encodings=tuple(json.loads(row.encodings)),
        )


def _partner(row: "Row[Any]") -> PartnerRow:
    return PartnerRow(
        id=row.id,
        name=row.name,
        site=row.site,
        policy_url=row.policy_url,
        terms_version=row.terms_version,
        uses=frozenset(Use(use) for use in json.loads(row.uses)),
        from_ms=row.from_ms,
        until_ms=row.until_ms,
        created_at_ms=row.created_at_ms,
        origins=tuple(json.loads(row.origins)),
        takedown_url=row.takedown_url,
        is_blocked=bool(row.is_blocked),
    )
