"""Where a request may be cached, so that each turn of a conversation reads all earlier turns from Claude's cache.

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
"""Blocks that a breakpoint looks at, itself included."""
WORTH_CACHING = 1500
"""Characters from which a system prompt may have the tokens that the smallest entry needs (512 on current models)."""
LOOKED_AT = 5
"""The latest pauses, from which the next one is guessed."""


def is_slow(said_at: Sequence[datetime]) -> bool:
    """Say whether somebody lately took longer to write than a short entry lives, and came back within the hour.

    An entry that lives an hour is dearer to write by three quarters of the new tokens; one that has lapsed costs the
    whole conversation once more.
    """
    pauses = [later - earlier for earlier, later in pairwise(said_at)]
    return any(SHORT_LIFE < pause <= LONG_LIFE for pause in pauses[-LOOKED_AT:])


def with_breakpoints(request: Json, *, slow: bool) -> Json:
    """Give the request with its breakpoints: at the end, and where that one alone would miss something.

    That is behind a system prompt that is long enough to be cached, for other conversations; and where the last request
    ended, if so many blocks have come since then that the end does not look back so far.
    """
    control: Json = {"type": "ephemeral", "ttl": "1h"} if slow else {"type": "ephemeral"}
    marked = {**request, "cache_control": control, "messages": _marked(request["messages"], control)}
    if len(request.get("system") or "") >= WORTH_CACHING:
        marked["system"] = [{"type": "text", "text": request["system"], "cache_control": control}]
    return marked


def _marked(messages: Sequence[Json], control: Json) -> list[Json]:
    asked = [place for place, message in enumerate(messages) if message["role"] == "user"]
    marked = list(messages)
    if len(asked) > 1 and sum(len(message["content"]) for message in messages[asked[-2] + 1 :]) >= LOOK_BACK:
        place = asked[-2]
        *others, last = marked[place]["content"]
        marked[place] = {**marked[place], "content": [*others, {**last, "cache_control": control}]}
    return marked
