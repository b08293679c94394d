"""The request for one answer. If Claude refuses a part of earlier turns, the request is retried without it."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tertulia.attachments.files import Files
from tertulia.claude.cache_control import with_breakpoints
from tertulia.claude.continuation import asks_to_continue
from tertulia.claude.errors import quotes_users
from tertulia.claude.fallbacks import with_credit, without_fallbacks
from tertulia.claude.prompt import with_answer_so_far, with_pictures, with_removed_tools
from tertulia.claude.refused_parts import without_refused
from tertulia.claude.repairs import LeftOut, Repairs, repaired, without_places
from tertulia.claude.request_fixes import with_allowed_thinking, with_unique_ids
from tertulia.claude.request_options import in_container, without_refused_option
from tertulia.json import Json
from tertulia.threads import offload

if TYPE_CHECKING:
    import anthropic

MOST_RETRIES = 12
"""The most repairs of one request. Each is a request that the API refuses, which costs time but no tokens."""
BINDING_BETA = "thinking-binding-controls-2026-08-01"
"""With this beta, the API leaves out thinking that is bound to another conversation, instead of refusing it."""
_OF_FILES = re.compile(r"\bfile[_ ]", re.IGNORECASE)
_OF_BINDING = re.compile(r"block_binding|thinking-binding-controls", re.IGNORECASE)
_OF_FALLBACKS = re.compile(r"\bfallbacks\b|\bfallback[-_]|-fallback-", re.IGNORECASE)
_OF_UNKNOWN = re.compile(r"extra inputs|anthropic-beta", re.IGNORECASE)
_BOUND = ("adaptive", "enabled")
"""The types of thinking that have `block_binding`."""


@dataclass(slots=True)
class Features:
    """Which beta features the API supports, as far as it is known."""

    thinking_binding: bool = True
    fallbacks: bool = True


@dataclass(frozen=True, slots=True)
class RepairPolicy:
    """How a request leaves out what Claude's API refuses.

    Attributes:
        depth: The depth of the answer in the conversation's tree; None if its places are not named.
        repairs: What is left out, because the API has refused it before.
        features: The beta features of the API; None if none may be used.
        binds_thinking: Whether the model may bind its thinking to the conversation.
    """

    depth: int | None = None
    repairs: Repairs = field(default_factory=Repairs)
    features: Features | None = None
    binds_thinking: bool = False


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
        repair_policy: RepairPolicy | None = None,
        previous_response: str | None = None,
    ) -> None:
        """Initialize with a request that `claude.prompt` has built.

        Args:
            request: The request, without the bytes of attachments, which `body` adds.
            left_out: The number of blocks that are not in it, by reason.
            files: The store of attachments.
            slow: Whether cache entries live for an hour (see `claude.cache_control`); None disables caching.
            context_tokens: The number of tokens of the context window that were in use before this answer.
            writer: The fallback model to which the request is sent; None for the model of the generation.
            repair_policy: How it leaves out what Claude's API refuses.
            previous_response: The API's id of the last response, with which it explains a cache miss, if there is one.
        """
        repair_policy = repair_policy or RepairPolicy()
        self.repairs = repair_policy.repairs
        self.context_tokens = context_tokens
        self._request = request
        self._left_out = left_out
        self._repaired: Counter[LeftOut] = Counter()
        self._dropped = 0
        self._content: Sequence[Json] = ()
        self._extra_fields: Json = {}
        self._files = files
        self._slow = slow
        self._inline = False
        self._is_interrupted = False
        self._writer = writer
        self._depth = repair_policy.depth
        self._binds_thinking = repair_policy.binds_thinking
        self._features = repair_policy.features or Features(thinking_binding=False)
        self._credit: str | None = None
        self._has_fallbacks = True
        self._sent: Json = request
        self._retries = 0

        self.previous_response = previous_response

    @property
    def has_begun(self) -> bool:
        """Whether the request continues an answer that users already read."""
        return bool(self._content)

    @property
    def left_out(self) -> Counter[LeftOut]:
        """The numbers of parts that were not sent to Claude, by reason."""
        dropped = Counter({LeftOut.THINKING_REFUSED: self._dropped} if self._dropped else {})
        return self._left_out + self._repaired + dropped

    @property
    def fallbacks(self) -> frozenset[str]:
        """The models that the API may ask instead of the request's model."""
        return frozenset(entry["model"] for entry in self._request.get("fallbacks", ()))

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
        self._extra_fields = {} if container is None else {"container": in_container(self._request, container)}
        if last and "tools" in self._request:
            self._extra_fields["tool_choice"] = {"type": "none"}

    @property
    def first_messages(self) -> Sequence[Json] | None:
        """The messages of the request; None if it contains a part of the answer."""
        messages: Sequence[Json] = self._request["messages"]
        return None if self._content else messages

    def redeem(self, token: str, messages: Sequence[Json]) -> None:
        """Ask the fallback model the same as the model that has refused, so that the request costs less.

        Args:
            token: The token of the refusal.
            messages: The messages of the request that was refused.
        """
        replaced: Json = {"messages": [*messages]}
        self._request = self._request | replaced
        self._credit = token

    async def body(self) -> Json:
        """Return the body of `POST /v1/messages`, with the bytes of attachments."""
        count = len(self._request["messages"])
        filled = await self._files.fill(await offload(count, self._prepare), inline=self._inline)
        return await offload(count, lambda: with_pictures(filled))

    def _prepare(self) -> Json:
        """Return the body without the bytes of attachments."""
        request, self._repaired = repaired(self._with_content(), self.repairs)
        self._sent = request = with_allowed_thinking(with_unique_ids(with_removed_tools(request)))
        request = self._with_binding(without_places(request))
        if not (self._has_fallbacks and self._features.fallbacks):
            request = without_fallbacks(request)
        elif self._credit is not None:
            request, self._credit = with_credit(request, self._credit), None
        if self._slow is not None:
            request = with_breakpoints(request, slow=self._slow)
            request["diagnostics"] = {"previous_message_id": self.previous_response}
        return request

    async def body_without_refused(self, error: "anthropic.APIStatusError") -> Json | None:
        """Return a body without the part of earlier turns that Claude refuses; None if the error has another cause.

        Otherwise, a refused part would block the conversation forever. If Claude refuses the message that is answered,
        its sender must see the error.
        """
        error_text = str(error.body)
        is_of_api = not quotes_users(error_text)
        if is_of_api and self._features.thinking_binding and _OF_BINDING.search(error_text):
            self._features.thinking_binding = False
            return await self.body()
        if is_of_api and self._has_fallbacks and _OF_FALLBACKS.search(error_text):
            self._features.fallbacks = _OF_UNKNOWN.search(error_text) is None
            self._has_fallbacks = False
            return await self.body()
        without_option = without_refused_option(self._request, error_text)
        if without_option is not None:
            self._request = without_option
            return await self.body()
        if _OF_FILES.search(error_text) and not self._inline:
            # The file belongs to the workspace of another API key, or has expired. Tertulia still has the bytes.
            await self._files.forget(self._request)
            self._inline = True
            return await self.body()
        repairs = without_refused(self._sent, self.repairs, error_text, error.status_code)
        self._retries += 1
        if repairs is None or self._retries > MOST_RETRIES:
            return None
        self.repairs = repairs
        return await self.body()

    def note_dropped(self, transformations: Sequence[Json]) -> None:
        """Count the thinking that the API has left out, as the response reports it."""
        dropped = [item for item in transformations if item.get("type") == "thinking_dropped"]
        self._dropped = max(self._dropped, len(dropped))

    def _with_content(self) -> Json:
        """Return the request with the content of the answer so far."""
        request = self._request
        if self._content:
            request = with_answer_so_far(
                request,
                self._content,
                is_interrupted=self._is_interrupted,
                writer=self._writer,
                depth=self._depth,
            )
            request |= self._extra_fields
        asks = self._is_interrupted and asks_to_continue(request["messages"][-1])
        if asks and "format" in request.get("output_config", {}):
            # With a format, Claude can only write the whole value again. The text is checked at its end, as always.
            output: Json = request["output_config"]
            config = {name: value for name, value in output.items() if name != "format"}
            request = {name: value for name, value in request.items() if name != "output_config"}
            request |= {"output_config": config} if config else {}
        return request

    def _with_binding(self, request: Json) -> Json:
        """Return the request that lets the API leave out thinking which is bound to another conversation."""
        thinking: Json = request.get("thinking") or {}
        # Also without earlier thinking, because another setting of thinking would miss the prompt cache.
        if not (self._binds_thinking and self._features.thinking_binding) or thinking.get("type") not in _BOUND:
            return request
        binding = {"block_binding": {"prefix_mismatch_behavior": "drop_block"}}
        return {**request, "thinking": thinking | binding, "betas": [*request.get("betas", ()), BINDING_BETA]}
