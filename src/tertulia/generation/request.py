"""What one answer asks of Claude, and what it asks otherwise where Claude would refuse the conversation for good."""

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
    """A request, with what was left out of it; its attachments are still named, not filled in."""

    def __init__(
        self, request: Json, left_out: Counter[LeftOut], files: Files, *, slow: bool | None, context_tokens: int
    ) -> None:
        """Take a request as `claude.prompt` builds it. `slow`: as `claude.cache_control` has it; None without caching.

        `context_tokens`: how much of the window was in use before.
        """
        self.left_out = left_out
        self.context_tokens = context_tokens
        self._request = request
        self._content: Sequence[Json] = ()
        self._more: Json = {}
        self._files = files
        self._slow = slow
        self._inline = False

    def go_on(self, content: Sequence[Json], *, container: str | None, last: bool) -> None:
        """Ask for another round, behind what the answer holds by now; `last`: one in which no tool is called."""
        self._content = content
        self._more = {"container": container} if container is not None else {}
        if last and "tools" in self._request:
            self._more["tool_choice"] = {"type": "none"}

    async def body(self) -> Json:
        """Give the body of `POST /v1/messages`."""
        request = {**go_on(self._request, self._content), **self._more} if self._content else self._request
        if self._slow is not None:
            request = with_breakpoints(request, slow=self._slow)
        return with_pictures(await self._files.fill(request, inline=self._inline))

    async def instead(self, refused: "anthropic.APIStatusError") -> Json | None:
        """Leave out what Claude refuses of earlier turns: nobody can take it back any more, so it would stay refused.

        What is refused of the last message itself is for its sender to know.
        """
        words = str(refused.body)
        bare, count = without_thinking(self._request)
        if count and "thinking" in words:
            return await self._without(bare, LeftOut.THINKING_REFUSED, count)
        if _OF_FILES.search(words) and not self._inline:
            # Another key's workspace, or a file that has expired there: we still have the bytes.
            await self._files.forget(self._request)
            self._inline = True
            return await self.body()
        bare, count = without_earlier_attachments(self._request)
        if count and (refused.status_code == TOO_LARGE or _OF_ATTACHMENTS.search(words)):
            return await self._without(bare, LeftOut.ATTACHMENT_REFUSED, count)
        return None

    async def _without(self, request: Json, reason: LeftOut, count: int) -> Json:
        self._request = request
        self.left_out[reason] += count
        return await self.body()
