"""The types that Relay's specifications require: `Node` and `PageInfo`."""

import strawberry

from tertulia.db import paging
from tertulia.schema.declare import graphql_type, interface


@interface
class Node:
    """An object that `Query.node` can return."""

    id: strawberry.ID
    """A UUID that is unique across all types. The ids of newer objects sort after those of older ones."""


@graphql_type(paging.PageInfo)
class PageInfo:
    """The position of a page in its list, as defined by Relay's connection specification."""

    has_next_page: bool
    """Whether there are items after this page. With `last`: whether `before` was passed."""
    has_previous_page: bool
    """Whether there are items before this page. With `first`: whether `after` was passed."""
    start_cursor: str | None
    """The cursor of the first edge, to be passed as `before`. Null if the page is empty."""
    end_cursor: str | None
    """The cursor of the last edge, to be passed as `after`. Null if the page is empty."""
