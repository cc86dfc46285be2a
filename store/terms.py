"""Published terms documents: immutable, the table refuses changes."""

from collections.abc import Callable

from sqlalchemy import Connection, insert, select

from policy import DEFAULT_TERMS, TermsDocument, TermsError, TermsHistory
from store.errors import Conflict, StoreCorrupt
from store.schema import terms
from store.threads import DatabaseThread


class Terms:
    """Keeps every version that was ever published."""

    def __init__(self, writer: DatabaseThread, reader: DatabaseThread, wall_ms: Callable[[], int]) -> None:
        self._writer = writer
        self._reader = reader
        self._wall_ms = wall_ms

    async def history(self) -> TermsHistory:
        """All published versions; a fresh store publishes the default ones first.

        Raises: StoreUnavailable; StoreCorrupt when a document is not the one that was published.
        """
        query = select(terms).order_by(terms.c.number)
        found = await self._reader.run(lambda connection: connection.execute(query).all())
        if not found:
            return TermsHistory((await self.publish(DEFAULT_TERMS),))
        documents = []
        for row in found:
            try:
                document = TermsDocument.from_json(row.document)
            except TermsError as error:
                raise StoreCorrupt(f"terms {row.version} are damaged: restore the database") from error
            if document.digest() != row.digest or document.version != row.version:
                raise StoreCorrupt(f"terms {row.version} were changed after publishing: restore the database")
            documents.append(document)
        return TermsHistory.of(documents)

    async def publish(self, document: TermsDocument) -> TermsDocument:
        """Keep a new version.

        Raises: Conflict when that version is published already; StoreUnavailable.
        """

        def work(connection: Connection) -> None:
            taken = connection.execute(
                select(terms.c.number).where(
                    (terms.c.version == document.version) | (terms.c.number >= document.number)
                )
            ).first()
            if taken is not None:
                raise Conflict(
                    f"terms {document.version} or newer ones are published already: they never change"
                )
            connection.execute(
                insert(terms).values(
                    number=document.number,
                    version=document.version,
                    document=document.to_json(),
                    digest=document.digest(),
                    published_at_ms=self._wall_ms(),
                )
            )

        await self._writer.run(work)
        return document
