"""The erasable mapping from identities to the random person ids of the ledger."""

from collections.abc import Callable

from sqlalchemy import Connection, delete, insert, select

from store.errors import NotFound
from store.keys import Keys
from store.schema import persons
from store.threads import DatabaseThread

_PURPOSE = "identity"


class Persons:
    """Finds, makes and erases mappings. Identities are sealed; the database alone does not name anybody."""

    def __init__(
        self, writer: DatabaseThread, reader: DatabaseThread, keys: Keys, wall_ms: Callable[[], int]
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._keys = keys
        self._wall_ms = wall_ms

    async def find(self, identity: str) -> str | None:
        """The person id of an identity that has one.

        Raises: StoreUnavailable.
        """
        key = self._keys.keyed_hash(_PURPOSE, identity)
        query = select(persons.c.person).where(persons.c.identity_hash == key)
        return await self._reader.run(lambda connection: connection.execute(query).scalar_one_or_none())

    async def remember(self, identity: str, person: str) -> str:
        """Map the identity to `person`, unless it has an id already; the id that it has now.

        Raises: StoreUnavailable.
        """
        key = self._keys.keyed_hash(_PURPOSE, identity)
        sealed = self._keys.seal(_PURPOSE, identity.encode(), person)

        def work(connection: Connection) -> str:
            found = connection.execute(
                select(persons.c.person).where(persons.c.identity_hash == key)
            ).scalar_one_or_none()
            if found is not None:
                return str(found)
            connection.execute(
                insert(persons).values(
                    person=person, identity_hash=key, identity_sealed=sealed, created_at_ms=self._wall_ms()
                )
            )
            return person

        return await self._writer.run(work)

    async def identity(self, person: str) -> str:
        """The identity behind a person id.

        Raises: NotFound when there is none, or it was erased; KeyFileError; StoreUnavailable.
        """
        query = select(persons.c.identity_sealed).where(persons.c.person == person)
        sealed = await self._reader.run(lambda connection: connection.execute(query).scalar_one_or_none())
        if sealed is None:
            raise NotFound(f"no identity is known for {person}")
        return self._keys.unseal(_PURPOSE, sealed, person).decode()

    async def erase(self, person: str) -> bool:
        """Forget who the person is; their ledger rows stay and name nobody. False when there was no mapping.

        Raises: StoreUnavailable.
        """
        query = delete(persons).where(persons.c.person == person)
        return await self._writer.run(lambda connection: connection.execute(query).rowcount > 0)
