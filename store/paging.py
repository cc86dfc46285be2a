"""Lists in pages: newest first, with a cursor that stays right while rows come and go. PURE."""

from typing import Final

from sqlalchemy import Column, Select, and_, or_

from store.errors import NotFound

ROWS_MAX: Final = 500
"""More than any page that is shown: whoever asks for one row more learns that there is another page."""


def bounded(limit: int) -> int:
    """How many rows are read when so many are asked for."""
    return max(1, min(limit, ROWS_MAX))


def paged(
    query: "Select[tuple[object, ...]]",
    at_ms: "Column[int]",
    row_id: "Column[str]",
    *,
    limit: int,
    after: str | None,
) -> "Select[tuple[object, ...]]":
    """The query for one page of at most `limit` rows after the cursor.

    Raises: NotFound when the cursor is none that `cursor` gave.
    """
    query = query.order_by(at_ms.desc(), row_id.desc()).limit(bounded(limit))
    if after is None:
        return query
    text, _, last_id = after.partition(".")
    if not (text.isascii() and text.isdigit() and len(text) < 19 and last_id):
        raise NotFound("no such page")
    last_ms = int(text)
    return query.where(or_(at_ms < last_ms, and_(at_ms == last_ms, row_id < last_id)))


def cursor(at_ms: int, row_id: str) -> str:
    """The cursor that continues after this row."""
    return f"{at_ms}.{row_id}"
