"""Set cache breakpoints in requests, so that each turn reads all earlier turns from Claude's prompt cache.

Source: "Prompt caching" in the Claude API documentation. The beginning of a request is cached up to each breakpoint. A
request has at most four breakpoints. Each finds entries that end at most twenty blocks before it. Entries live for five
minutes or for an hour.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from tertulia.json import Json

SHORT_LIFE, LONG_LIFE = timedelta(minutes=5), timedelta(hours=1)
LOOK_BACK = 20
"""The number of blocks in which a breakpoint finds an entry, including its own."""
WORTH_CACHING = 1500
"""The length in characters from which a system prompt may fill the smallest entry (512 tokens on current models)."""
RECENT_PAUSES = 5
"""The number of recent pauses from which the next pause is predicted."""


def is_slow(user_times: Sequence[datetime]) -> bool:
    """Return whether a recent pause between the user's messages was longer than 5 minutes, but at most an hour.

    Then, entries that live for an hour are cheaper. Writing such an entry costs three quarters more for the new tokens.
    If a short entry has expired, the whole conversation must be written to the cache again.
    """
    pauses = [later - earlier for earlier, later in pairwise(user_times)]
    return any(SHORT_LIFE < pause <= LONG_LIFE for pause in pauses[-RECENT_PAUSES:])


def with_breakpoints(request: Json, *, slow: bool) -> Json:
    """Return the request with a breakpoint at its end, and others where that one is not enough.

    A second breakpoint follows a system prompt that is long enough, so that other conversations can read it from the
    cache. If the system prompt has several blocks, it follows the first one, which is the same for more conversations.
    A third is at the end of the previous request, if the last breakpoint is too many blocks after it.
    """
    control: Json = {"type": "ephemeral", "ttl": "1h"} if slow else {"type": "ephemeral"}
    marked = {**request, "cache_control": control, "messages": _marked(request["messages"], control)}
    system = request.get("system") or ""
    first, *others = [{"type": "text", "text": system}] if isinstance(system, str) else system
    if len(first["text"]) >= WORTH_CACHING:
        marked["system"] = [{**first, "cache_control": control}, *others]
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
