"""The request of one answer, which is reduced and retried if Claude refuses earlier turns of the conversation."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tertulia.attachments.files import Files
from tertulia.claude.cache_control import with_breakpoints
from tertulia.claude.prompt import LeftOut, go_on, with_pictures, without_earlier_attachments, without_thinking
from tertulia.json import Json

if TYPE_CHECKING:
    import anthropic

TOO_LARGE = 413
_OF_FILES = re.compile(r"\bfile[_ ]", re.IGNORECASE)
_OF_ATTACHMENTS = re.compile(r"\b(image|document|pdf)", re.IGNORECASE)


class MessagesRequest:
    """A request, and the counts of what was left out of it. The bytes of attachments are added by `body`."""

    def __init__(
        self, request: Json, left_out: Counter[LeftOut], files: Files, *, slow: bool | None, context_tokens: int
    ) -> None:
        """Initialize with a request that `claude.prompt` has built.

        Args:
            request: The request, without the bytes of attachments.
            left_out: The number of blocks that are not in it, by reason.
            files: Adds the bytes of attachments.
            slow: Whether cache entries should live for an hour, see `claude.cache_control`; None without caching.
            context_tokens: The tokens of the context window that were in use before.
        """
        self.left_out = left_out
        self.context_tokens = context_tokens
        self._request = request
        self._content: Sequence[Json] = ()
        self._extra_fields: Json = {}
        self._files = files
        self._slow = slow
        self._inline = False

    def go_on(self, content: Sequence[Json], *, container: str | None, last: bool) -> None:
        """Continue with another round after the content of the answer so far; in the `last` one, tools are disabled."""
        self._content = content
        self._extra_fields = {"container": container} if container is not None else {}
        if last and "tools" in self._request:
            self._extra_fields["tool_choice"] = {"type": "none"}

    async def body(self) -> Json:
        """Return the body of `POST /v1/messages`."""
        request = {**go_on(self._request, self._content), **self._extra_fields} if self._content else self._request
        if self._slow is not None:
            request = with_breakpoints(request, slow=self._slow)
        return with_pictures(await self._files.fill(request, inline=self._inline))

    async def instead(self, error: "anthropic.APIStatusError") -> Json | None:
        """Return a body without what Claude refuses of earlier turns, which would block the conversation; else None.

        If the last message itself is refused, its sender must see the error.
        """
        error_text = str(error.body)
        reduced, count = without_thinking(self._request)
        if count and "thinking" in error_text:
            return await self._without(reduced, LeftOut.THINKING_REFUSED, count)
        if _OF_FILES.search(error_text) and not self._inline:
            # The file belongs to another API key's workspace, or has expired. The bytes are still here.
            await self._files.forget(self._request)
            self._inline = True
            return await self.body()
        reduced, count = without_earlier_attachments(self._request)
        if count and (error.status_code == TOO_LARGE or _OF_ATTACHMENTS.search(error_text)):
            return await self._without(reduced, LeftOut.ATTACHMENT_REFUSED, count)
        return None

    async def _without(self, request: Json, reason: LeftOut, count: int) -> Json:
        self._request = request
        self.left_out[reason] += count
        return await self.body()
