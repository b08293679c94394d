"""Set cache breakpoints in requests, so that each turn reads all earlier turns from Claude's prompt cache.

Source: "Prompt caching" in the Claude API documentation: a request is cached by its beginning, up to a breakpoint; at
most four of them; a breakpoint finds what was cached up to twenty blocks before it; entries live five minutes or an
hour.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from tertulia.json import Json

SHORT_LIFE, LONG_LIFE = timedelta(minutes=5), timedelta(hours=1)
LOOK_BACK = 20
"""Blocks that a breakpoint looks back over, including its own."""
WORTH_CACHING = 1500
"""Characters from which a system prompt may have the tokens that the smallest entry needs (512 on current models)."""
LOOKED_AT = 5
"""The number of latest pauses from which the next one is predicted."""


def is_slow(user_times: Sequence[datetime]) -> bool:
    """Whether one of the latest pauses between the user's messages was longer than 5 minutes, but at most an hour.

    Writing an entry that lives for an hour costs more by three quarters of the new tokens. If an entry has expired, the
    whole conversation must be written once more.
    """
    pauses = [later - earlier for earlier, later in pairwise(user_times)]
    return any(SHORT_LIFE < pause <= LONG_LIFE for pause in pauses[-LOOKED_AT:])


def with_breakpoints(request: Json, *, slow: bool) -> Json:
    """Return the request with breakpoints: one at its end, and others where that one is not enough.

    These are after a system prompt that is long enough to be cached, which other conversations can read; and where the
    previous request ended, if there are too many blocks since then for the last breakpoint to look back over.
    """
    control: Json = {"type": "ephemeral", "ttl": "1h"} if slow else {"type": "ephemeral"}
    marked = {**request, "cache_control": control, "messages": _marked(request["messages"], control)}
    if len(request.get("system") or "") >= WORTH_CACHING:
        marked["system"] = [{"type": "text", "text": request["system"], "cache_control": control}]
    return marked


def _marked(messages: Sequence[Json], control: Json) -> list[Json]:
    user_indexes = [index for index, message in enumerate(messages) if message["role"] == "user"]
    marked = list(messages)
    if len(user_indexes) > 1:
        previous_index = user_indexes[-2]
        later_blocks = sum(len(message["content"]) for message in messages[previous_index + 1 :])
        if later_blocks >= LOOK_BACK:
            previous = messages[previous_index]
            *earlier_blocks, last_block = previous["content"]
            content = [*earlier_blocks, {**last_block, "cache_control": control}]
            marked[previous_index] = {**previous, "content": content}
    return marked
