"""The request for one answer. If Claude refuses a part of earlier turns, the request is retried without it."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tertulia.attachments.files import Files
from tertulia.claude.cache_control import with_breakpoints
from tertulia.claude.continuation import asks_to_continue
from tertulia.claude.prompt import (
    LeftOut,
    with_answer_so_far,
    with_pictures,
    without_earlier_attachments,
    without_thinking,
)
from tertulia.claude.tool_choice import FORCED, after_call
from tertulia.json import Json

if TYPE_CHECKING:
    import anthropic

TOO_LARGE = 413
_OF_FILES = re.compile(r"\bfile[_ ]", re.IGNORECASE)
_OF_ATTACHMENTS = re.compile(r"\b(image|document|pdf)", re.IGNORECASE)


class MessagesRequest:
    """A request for `claude.client`, and the number of blocks that were left out of it, by reason."""

    def __init__(
        self,
        request: Json,
        left_out: Counter[LeftOut],
        files: Files,
        *,
        slow: bool | None,
        context_tokens: int,
        writer: str | None = None,
    ) -> None:
        """Initialize with a request that `claude.prompt` has built.

        Args:
            request: The request, without the bytes of attachments, which `body` adds.
            left_out: The number of blocks that are not in it, by reason.
            files: The store of attachments.
            slow: Whether cache entries live for an hour (see `claude.cache_control`); None disables caching.
            context_tokens: The number of tokens of the context window that were in use before this answer.
            writer: The fallback model to which the request is sent; None for the model of the generation.
        """
        self.left_out = left_out
        self.context_tokens = context_tokens
        self._request = request
        self._content: Sequence[Json] = ()
        self._extra_fields: Json = {}
        self._files = files
        self._slow = slow
        self._inline = False
        self._is_interrupted = False
        self._writer = writer

    def continue_answer(self, content: Sequence[Json]) -> None:
        """Ask Claude to continue an answer after `content`, because it was interrupted in the middle of a round."""
        self._content, self._is_interrupted = content, True

    def add_round(self, content: Sequence[Json], *, container: str | None, last: bool) -> None:
        """Continue with another round.

        Args:
            content: The content of the answer so far, with the results of its tool calls.
            container: The id of the container in which Claude's server tools run, if there is one.
            last: Whether this is the last round, in which Claude may not call tools.
        """
        self._content, self._is_interrupted = content, False
        self._extra_fields = {"container": container} if container is not None else {}
        if last and "tools" in self._request:
            self._extra_fields["tool_choice"] = {"type": "none"}
        elif (choice := self._request.get("tool_choice", {})).get("type") in FORCED:
            self._extra_fields["tool_choice"] = after_call(choice)

    async def body(self) -> Json:
        """Return the body of `POST /v1/messages`, with the bytes of attachments."""
        request = self._request
        if self._content:
            request = with_answer_so_far(
                request, self._content, is_interrupted=self._is_interrupted, writer=self._writer
            )
            request |= self._extra_fields
        asks = self._is_interrupted and asks_to_continue(request["messages"][-1])
        if asks and "format" in request.get("output_config", {}):
            # With a format, Claude can only write the whole value again. The text is checked at its end, as always.
            config = {name: value for name, value in request["output_config"].items() if name != "format"}
            request = {name: value for name, value in request.items() if name != "output_config"}
            request |= {"output_config": config} if config else {}
        if self._slow is not None:
            request = with_breakpoints(request, slow=self._slow)
        return with_pictures(await self._files.fill(request, inline=self._inline))

    async def body_without_refused(self, error: "anthropic.APIStatusError") -> Json | None:
        """Return a body without the part of earlier turns that Claude refuses; None if the error has another cause.

        Otherwise, a refused part would block the conversation forever. If Claude refuses the last message, its sender
        must see the error.
        """
        error_text = str(error.body)
        reduced, count = without_thinking(self._request)
        if count and "thinking" in error_text:
            return await self._without(reduced, LeftOut.THINKING_REFUSED, count)
        if _OF_FILES.search(error_text) and not self._inline:
            # The file belongs to the workspace of another API key, or has expired. Tertulia still has the bytes.
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
