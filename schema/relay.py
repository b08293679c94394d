"""The types that Relay's specifications require: `Node` and `PageInfo`."""

import strawberry

from tertulia.db import paging
from tertulia.schema.declare import graphql_type, interface


@interface
class Node:
    """Anything with an id that `node` finds."""

    id: strawberry.ID
    """A UUID, unique over all kinds of objects. Ids of what came later sort later."""


@graphql_type(paging.PageInfo)
class PageInfo:
    """What lies around a page, as Relay's connection specification says it."""

    has_next_page: bool
    """Whether there is more behind this page; of one that `last` counts, whether `before` was given."""
    has_previous_page: bool
    """Whether there is more in front of this page; of one that `first` counts, whether `after` was given."""
    start_cursor: str | None
    """The cursor of the first edge, for `before`; null where the page is empty."""
    end_cursor: str | None
    """The cursor of the last edge, for `after`; null where the page is empty."""
