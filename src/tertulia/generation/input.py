"""The input of one generation, which is read from its rows: the part of a request that is independent of the model."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from tertulia.attachments.files import Files
from tertulia.claude.app_context import with_context
from tertulia.claude.cache_control import is_slow
from tertulia.claude.compaction import COMPACTED, as_summary_request, compaction_of, from_summary
from tertulia.claude.continuation import writers_of
from tertulia.claude.fallbacks import with_fallbacks
from tertulia.claude.models import Model
from tertulia.claude.parser import REFUSAL
from tertulia.claude.prompt import FILTERED, Turn, build_request, metadata_of, prefix_fingerprint, system_prompt_of
from tertulia.claude.repairs import LeftOut, Repairs
from tertulia.claude.request_options import with_options
from tertulia.claude.tool_choice import forced_name, is_forced, supports_forced_calls
from tertulia.claude.tool_search import with_search
from tertulia.db.messages import BranchMessage
from tertulia.db.tables import Conversation, Generation, Role
from tertulia.generation.contribution import AssistantContribution
from tertulia.generation.request import Features, MessagesRequest, RepairPolicy
from tertulia.json import Json
from tertulia.tools.registry import Selection


@dataclass(frozen=True, slots=True)
class GenerationInput:
    """The input of a generation; `turns` are those of `claude.prompt`."""

    message_id: UUID
    model: str
    system: Sequence[str]
    """The blocks of the system prompt. If there are two, the first one is the same for many conversations."""
    options: Json
    turns: Sequence[Turn]
    tools: Selection
    slow: bool
    """Whether the user's pauses exceed the lifetime of a short cache entry (see `claude.cache_control`)."""
    context_tokens: int
    """The number of tokens of the context window that were in use after the last answer."""
    owner: UUID
    """The user who asked, whom requests name with an opaque id."""
    previous_response: str | None = None
    """The Messages API's id of the last response in the branch."""
    is_fallback: bool = False
    """Whether `model` finishes what the model of the generation has begun."""
    refused_blocks: int = 0
    """The number of blocks of the branch that are not in `turns`, because Claude refused to answer them."""
    depth: int = 0
    """The depth of the answer in the conversation's tree."""
    pinned: str | None = None
    """The fallback model that has answered after `model` had refused a message of the branch."""
    repairs: Repairs = field(default_factory=Repairs)
    """The parts that earlier requests of the branch have left out, because Claude's API had refused them."""

    @property
    def system_prompt(self) -> str | None:
        """The text of the system prompt; None if there is none."""
        return "".join(self.system) or None

    @property
    def tool_definitions(self) -> Sequence[Json]:
        """The definitions of the tools, in the Messages API's format."""
        return self.tools.definitions

    @property
    def prefix(self) -> str:
        """The fingerprint of what Claude's thinking blocks are bound to."""
        return prefix_fingerprint(self.model, system_prompt_of(self.system), self.tool_definitions)

    def messages_request(
        self,
        model: Model,
        files: Files,
        *,
        caching: bool,
        features: Features | None = None,
        fallbacks: Sequence[Model] = (),
    ) -> MessagesRequest:
        """Return the request to Claude.

        Args:
            model: The model that this input names.
            files: The store of attachments.
            caching: Whether the request uses Claude's prompt cache.
            features: The beta features of the API; None if none may be used.
            fallbacks: The models that the API may ask if the model refuses, in order.
        """
        turns, summary = _after_summary(self.turns, is_supported=model.summarizes)
        request, left_out = build_request(
            model=self.model,
            max_output_tokens=model.max_output_tokens,
            forms=model.thinking,
            system_prompt=system_prompt_of(self.system),
            options=self.options,
            turns=turns,
            tools=self.tool_definitions,
            compaction=compaction_of(model, self.context_tokens),
        )
        request = with_options(request, self.options, model.edits) | {"metadata": metadata_of(self.owner)}
        if (wanted := self.options.get("compaction")) is not None:
            request = as_summary_request(request, wanted.get("instructions"))
        else:
            request = with_fallbacks(request, model, fallbacks)
        request = from_summary(request, summary)
        if not summary:
            left_out += Counter({LeftOut.SUMMARY_OF_ANOTHER_MODEL: len(self.turns) - len(turns)})
        if self.refused_blocks:
            left_out[LeftOut.REFUSED] += self.refused_blocks
        return MessagesRequest(
            request,
            left_out,
            files,
            slow=self.slow if caching else None,
            context_tokens=self.context_tokens,
            writer=self.model if self.is_fallback else None,
            repair_policy=RepairPolicy(self.depth, self.repairs, features, binds_thinking=bool(model.thinking)),
            previous_response=self.previous_response,
        )

    def for_fallback(self, model: Model) -> "GenerationInput":
        """Return the input for a model that finishes the answer, without options that the model does not support."""
        options = dict(self.options)
        if model.efforts is not None and options.get("effort") not in model.efforts:
            options.pop("effort", None)
        if model.structured is False:
            options.pop("output_schema", None)
        if is_forced(options) and not supports_forced_calls(model.id):
            options.pop("tool_choice")
        if model.max_output_tokens is not None and "max_tokens" in options:
            options["max_tokens"] = min(options["max_tokens"], model.max_output_tokens)
        fallback = replace(self, model=model.id, options=options, is_fallback=True)
        # The same system prompt and tools, so what the fallback model has thought in earlier answers is still valid.
        prefixes = {self.prefix: fallback.prefix}
        turns = [
            replace(turn, written_with=prefixes.get(turn.written_with or "", turn.written_with), writer=model.id)
            for turn in self.turns
        ]
        return replace(fallback, turns=turns)

    def with_answer(self, content: list[Json]) -> "GenerationInput":
        """Return the input of the next round: this input, followed by the content of the answer so far."""
        return replace(self, turns=[*self.turns, Turn(Role.ASSISTANT.value, content, self.prefix)])


def generation_input(
    generation: Generation,
    conversation: Conversation,
    branch: Sequence[BranchMessage],
    tools: Selection,
    contribution: AssistantContribution | None = None,
) -> GenerationInput:
    """Build the input from rows. The last message of `branch` is the one that is answered."""
    own_prompt = (conversation.system_prompt,) if conversation.system_prompt else ()
    replayed, refused_blocks = _without_refused(branch)
    turns = [
        Turn(
            item.message.role.value,
            with_context(item.message.content, item.message.context),
            item.prefix,
            item.message.depth,
            is_summary=item.stop_reason == COMPACTED,
        )
        for item in replayed
    ]
    user_times = [item.message.created_at for item in replayed if item.message.role is Role.USER]
    deferred = tools.deferred - {forced_name(generation.options)}
    definitions = with_search(tools.definitions, deferred, (turn.blocks for turn in turns))
    context_counts = [item.context_tokens for item in replayed if item.context_tokens is not None]
    return GenerationInput(
        generation.message_id,
        generation.model,
        own_prompt if contribution is None else contribution.system,
        generation.options,
        turns,
        replace(tools, definitions=definitions),
        slow=is_slow(user_times),
        context_tokens=context_counts[-1] if context_counts else 0,
        owner=conversation.owner_id,
        previous_response=next((item.response_id for item in reversed(branch) if item.response_id), None),
        refused_blocks=refused_blocks,
        depth=branch[-1].message.depth + 1 if branch else 0,
        pinned=_pinned(generation.model, replayed),
        repairs=Repairs.from_json(*(item.repairs for item in branch), generation.repairs),
    )


def _after_summary(turns: Sequence[Turn], *, is_supported: bool) -> tuple[Sequence[Turn], Sequence[Json]]:
    """Return the turns after the last summary on demand, and its blocks; for other models, all turns without summaries.

    A summary without text has failed, and replaces nothing. Claude's API does not accept one that a filter has changed.
    """
    if is_supported:
        for index in range(len(turns) - 1, -1, -1):
            blocks = [block for block in turns[index].blocks if block.get("content")] if turns[index].is_summary else []
            if blocks and not any(block.get(FILTERED) for block in blocks):
                return turns[index + 1 :], blocks
    return [turn for turn in turns if not turn.is_summary], ()


def _pinned(model: str, branch: Sequence[BranchMessage]) -> str | None:
    """Return the model that has answered after `model` had refused a message, which it would refuse again."""
    for item in reversed(branch):
        if item.refusal is not None and item.model == model:
            writers = [writer for block in item.message.content for writer in writers_of(block)]
            return writers[-1] if writers else None
    return None


def _without_refused(branch: Sequence[BranchMessage]) -> tuple[Sequence[BranchMessage], int]:
    """Return the branch without the turns that Claude refused, and the number of blocks of these turns.

    Source: "Streaming refusals" in the Claude API documentation: the API refuses until the refused turn is removed.
    """
    remaining: list[BranchMessage] = []
    refused: list[BranchMessage] = []
    for item in branch:
        if item.stop_reason != REFUSAL:
            remaining.append(item)
            continue
        refused.append(item)
        if remaining and remaining[-1].message.role is Role.USER:
            refused.append(remaining.pop())
    return remaining, sum(len(item.message.content) for item in refused)
