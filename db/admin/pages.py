"""Pages of lists that are sorted by id, newest first."""

from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Select

from tertulia.db.paging import Page, decode_id, encode_cursor

Query = TypeVar("Query", bound="Select[*tuple[Any, ...]]")


def newest_first(query: Query, key: Any, page: Page) -> Query:
    """Return the query of a page, with one more row than the page, as `paging.connect` expects them.

    Args:
        query: The query of the list, without an order.
        key: The column with the ids by which the rows are sorted.
        page: The requested page.

    Raises:
        PageError: A cursor is invalid.
    """
    if page.after is not None:
        query = query.where(key < decode_id("after", page.after))
    if page.before is not None:
        query = query.where(key > decode_id("before", page.before))
    return query.order_by(key.asc() if page.backward else key.desc()).limit(page.size + 1)


def cursor_of(id: UUID) -> str:
    """Return the cursor of a row."""
    return encode_cursor(str(id))
