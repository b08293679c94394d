"""graphql-core's executor, extended to share the event loop and to count the text that it returns.

It executes mutations, events of subscriptions, introspection, and queries that `schema.query_fast_path` does not
support.
"""

from collections.abc import AsyncGenerator, Awaitable, Sequence
from typing import Any, cast

from tertulia.db.read_limit import count_shown
from tertulia.json import encode
from tertulia.schema.graphql_internals import StrawberryExecutor
from tertulia.schema.turns import share_loop

LONG_LIST = 4
"""The most items of a list that is completed in one turn of the event loop."""


class BoundedExecutor(StrawberryExecutor):
    """Executes one operation in several turns of the event loop, within the limit on the text of a response."""

    def complete_list_value(
        self,
        return_type: Any,
        field_details_list: Any,
        info: Any,
        path: Any,
        result: Any,
        position_context: Any,
    ) -> Any:
        """Complete a list. A long one is completed in several turns of the event loop."""
        items: Any = result
        if isinstance(result, list | tuple) and len(items) > LONG_LIST:
            items = _share_loop_between(items)
        core: Any = super()
        return core.complete_list_value(return_type, field_details_list, info, path, items, position_context)

    async def complete_awaitable_value(
        self,
        return_type: Any,
        field_details_list: Any,
        info: Any,
        path: Any,
        result: Any,
        position_context: Any,
    ) -> Any:
        """Complete an awaitable value. Many may become available at the same time, so each shares the event loop."""
        core: Any = super()
        awaitable = _await_and_share_loop(result)
        return await core.complete_awaitable_value(
            return_type, field_details_list, info, path, awaitable, position_context
        )

    @staticmethod
    def complete_leaf_value(return_type: Any, result: Any) -> Any:
        """Complete a leaf and count its characters."""
        value = StrawberryExecutor.complete_leaf_value(return_type, result)
        count_value(value)
        return value


def count_value(value: object) -> None:
    """Count the characters of a leaf if it is a text or JSON; other leaves are short. Raise ReadLimitExceeded."""
    if isinstance(value, str):
        count_shown(len(value))
    elif isinstance(value, dict | list):
        count_shown(len(encode(cast("object", value))))


async def _share_loop_between(items: Sequence[Any]) -> AsyncGenerator[Any]:
    for item in items:
        await share_loop()
        yield item


async def _await_and_share_loop(value: Awaitable[Any]) -> Any:
    result = await value
    await share_loop()
    return result
