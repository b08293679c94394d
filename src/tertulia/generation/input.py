"""What one generation asks of Claude, as its rows say it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from tertulia.attachments.files import Files
from tertulia.claude.cache_control import is_slow
from tertulia.claude.compaction import compaction_of
from tertulia.claude.models import Model
from tertulia.claude.prompt import LeftOut, Turn, build_request, prefix_fingerprint
from tertulia.db.messages import OnBranch
from tertulia.db.tables import Conversation, Generation, Role
from tertulia.generation.request import MessagesRequest
from tertulia.json import Json
from tertulia.tools.registry import Selection

REFUSAL = "refusal"
"""The Messages API's reason to stop."""


@dataclass(frozen=True, slots=True)
class GenerationInput:
    """The rows' part of a request; `turns` are those of `claude.prompt`."""

    message_id: UUID
    model: str
    system_prompt: str | None
    options: Json
    turns: Sequence[Turn]
    tools: Selection
    slow: bool
    """Whether the user takes longer to write than a short cache lives."""
    context_tokens: int
    """How much of the window was in use behind the last answer."""
    refused_blocks: int = 0
    """How many blocks of the branch are not in `turns`, because Claude refused to answer them."""

    @property
    def tool_definitions(self) -> Sequence[Json]:
        """The tools that Claude is told of, as the Messages API declares them."""
        return self.tools.definitions

    @property
    def prefix(self) -> str:
        """What Claude binds its thinking to."""
        return prefix_fingerprint(self.model, self.system_prompt, self.tool_definitions)

    def asking(self, model: Model, files: Files, *, caching: bool) -> MessagesRequest:
        """Give what is asked of a model that bears the same name."""
        request, left_out = build_request(
            model=self.model,
            max_output_tokens=model.max_output_tokens,
            forms=model.thinking,
            system_prompt=self.system_prompt,
            options=self.options,
            turns=self.turns,
            tools=self.tool_definitions,
            compaction=compaction_of(model, self.context_tokens),
        )
        if self.refused_blocks:
            left_out[LeftOut.REFUSED] += self.refused_blocks
        return MessagesRequest(
            request, left_out, files, slow=self.slow if caching else None, context_tokens=self.context_tokens
        )

    def behind(self, content: list[Json]) -> "GenerationInput":
        """Give the work of another round, behind what the answer holds by then."""
        return replace(self, turns=[*self.turns, Turn(Role.ASSISTANT.value, content, self.prefix)])


def generation_input(
    generation: Generation, conversation: Conversation, branch: Sequence[OnBranch], tools: Selection
) -> GenerationInput:
    """Take what a request needs from rows; `branch` ends in the message that is answered."""
    kept, refused_blocks = _without_refused(branch)
    turns = [Turn(one.message.role.value, one.message.content, one.prefix) for one in kept]
    said_at = [one.message.created_at for one in kept if one.message.role is Role.USER]
    known = [one.context_tokens for one in kept if one.context_tokens is not None]
    return GenerationInput(
        generation.message_id,
        generation.model,
        conversation.system_prompt,
        generation.options,
        turns,
        tools,
        slow=is_slow(said_at),
        context_tokens=known[-1] if known else 0,
        refused_blocks=refused_blocks,
    )


def _without_refused(branch: Sequence[OnBranch]) -> tuple[Sequence[OnBranch], int]:
    """Return the branch without the turns that Claude refused, and how many blocks these have.

    "Streaming refusals" in the Claude API documentation: the API goes on refusing until the refused turn is removed.
    """
    kept: list[OnBranch] = []
    refused: list[OnBranch] = []
    for one in branch:
        if one.stop_reason != REFUSAL:
            kept.append(one)
            continue
        refused.append(one)
        if kept and kept[-1].message.role is Role.USER:
            refused.append(kept.pop())
    return kept, sum(len(one.message.content) for one in refused)
