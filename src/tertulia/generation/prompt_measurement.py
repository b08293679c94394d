"""Count the tokens of a prompt with Claude's API if an estimate is not exact enough.

That is the case if the prompt may need a summary, or if little of a budget is left. If the API returns no count, the
estimate is used.
"""

from dataclasses import replace
from uuid import UUID

from tertulia.attachments.files import Files
from tertulia.billing.budget import Budget, estimate_input_tokens
from tertulia.claude.compaction import is_near
from tertulia.claude.models import Model
from tertulia.claude.token_counts import TokenCounter
from tertulia.db import leases
from tertulia.db.database import Database
from tertulia.generation.input import GenerationInput
from tertulia.generation.retry import retry_while_unavailable
from tertulia.generation.state import ActiveGeneration
from tertulia.threads import offload


class PromptMeasurer:
    """Measures prompts before their first request."""

    def __init__(
        self, database: Database, counter: TokenCounter, files: Files, budget: Budget, *, process: UUID
    ) -> None:
        """Initialize for a process, which holds the leases of its generations."""
        self._database = database
        self._process = process
        self._counter = counter
        self._files = files
        self._budget = budget

    async def measure(self, active: ActiveGeneration, work: GenerationInput, model: Model) -> GenerationInput:
        """Return the input with the measured size of its prompt, and lower a reservation that was too high."""
        count = len(work.turns)
        guess = await offload(count, lambda: _guess(work)) if model.compacts else 0
        may_be_near = model.compacts and not is_near(work.context_tokens, model) and is_near(guess, model)
        reserved = active.allowance
        is_tight = reserved is not None and reserved < (
            await offload(count, lambda: self._budget.max_cost(work, model)) or 0
        )
        if not (may_be_near or is_tight):
            return work
        request = work.messages_request(model, self._files, caching=False)
        tokens = await self._counter.count(await request.body())
        if tokens is not None and is_tight:
            await self._lower(active, self._budget.max_cost(work, model, input_tokens=tokens))
        return replace(work, context_tokens=guess if tokens is None else tokens) if may_be_near else work

    async def _lower(self, active: ActiveGeneration, amount: int | None) -> None:
        """Lower the reservation of a generation, so that other answers of its owner can use the rest of the budget."""
        if amount is None or active.allowance is None or amount >= active.allowance:
            return

        async def save() -> None:
            async with self._database.write() as session:
                await leases.renew(session, active.generation_id, self._process, {"reserved": amount})

        await retry_while_unavailable(self._database, save)
        active.allowance = amount


def _guess(work: GenerationInput) -> int:
    """Return an estimate of the tokens of a prompt: those after the last answer, and those of the new message."""
    if not work.context_tokens:
        return estimate_input_tokens(work)
    return work.context_tokens + estimate_input_tokens(replace(work, turns=work.turns[-1:]))
