"""Count the tokens of a request with the Messages API, which is free, before the request is sent.

A count needs a round trip, so it is requested only where an estimate is not exact enough. Source: "Token
counting" in the Claude API documentation.
"""

import asyncio
import hashlib
import logging
import time
from typing import TYPE_CHECKING, Any

from tertulia.claude.connections import reporting_credentials
from tertulia.claude.errors import describe, request_errors
from tertulia.claude.parser import MOST_TOKENS
from tertulia.claude.provider_requests import adapted
from tertulia.json import Json, dumps

if TYPE_CHECKING:
    from tertulia.claude.client import Claude

FIELDS = ("model", "system", "tools", "messages", "thinking", "tool_choice", "output_config", "speed")
"""The fields of a request that the API accepts for a count."""
PATIENCE = 2.0
"""The longest wait for a count in seconds. The answer waits for it."""
PAUSE = 60.0
"""The seconds for which no count is requested after one has failed: some gateways have none."""
AT_ONCE = 8
MAX_BYTES = 4 * 1024 * 1024
"""The largest request that is counted: larger ones contain attachments, which would be sent twice."""
MAX_COUNTS = 1000
"""The number of counts that are cached."""

logger = logging.getLogger("tertulia.claude")


class TokenCounter:
    """Counts the tokens of requests. All generations of a process share one instance."""

    def __init__(self, claude: "Claude") -> None:
        """Initialize with the client."""
        self._claude = claude
        self._counts: dict[str, int] = {}
        self._paused_until = 0.0
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def count(self, body: Json) -> int | None:
        """Return the input tokens of a request, before edits of its context; None if they cannot be counted soon."""
        fields = {name: body[name] for name in FIELDS if name in body}
        key = await asyncio.to_thread(_hash, fields)
        if key is None:
            return None
        if key in self._counts:
            return self._counts[key]
        if time.monotonic() < self._paused_until or self._at_once.locked():
            return None
        async with self._at_once:
            count = await self._ask(fields, body.get("betas", ()))
        if count is not None:
            self._counts[key] = count
            if len(self._counts) > MAX_COUNTS:
                del self._counts[next(iter(self._counts))]
        return count

    async def _ask(self, fields: Json, betas: Any) -> int | None:
        model = self._claude.model(fields["model"])
        if not model.platform.counts_tokens:
            return None
        try:
            request = adapted(fields | {"betas": betas}, model)
            accepted_betas = request.pop("betas", ())
            headers = {"anthropic-beta": ",".join(accepted_betas)} if accepted_betas else {}
            with reporting_credentials(model.platform):
                connection = await self._claude.connection(model.provider)
                client = connection.sdk.with_options(timeout=PATIENCE, max_retries=0)
                async with asyncio.timeout(PATIENCE):
                    count_tokens: Any = client.messages.count_tokens
                    counted = await count_tokens(**request, extra_headers=headers)
        except request_errors() as error:
            code = describe(error).code.value
            logger.warning("Tokens are estimated for %g seconds, because they could not be counted: %s", PAUSE, code)
            self._paused_until = time.monotonic() + PAUSE
            return None
        count = getattr(counted, "input_tokens", None)
        return count if isinstance(count, int) and 0 < count <= MOST_TOKENS else None


def _hash(fields: Json) -> str | None:
    """Return a hash of a request; None if it is too large to be sent twice."""
    data = dumps(fields).encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest() if len(data) <= MAX_BYTES else None
