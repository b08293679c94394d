"""Continue an answer that was interrupted in the middle of a round, by asking Claude for the rest of it."""

import asyncio
import logging
from collections.abc import Sequence

from tertulia.backoff import Backoff
from tertulia.billing.budget import estimate_input_tokens
from tertulia.claude.attempts import Attempt
from tertulia.claude.continuation import writer_of_attempt
from tertulia.claude.errors import ErrorCode, GenerationError, StreamError
from tertulia.db import leases, ledger, spending
from tertulia.db.database import Database
from tertulia.db.tables import ApiCall, Status
from tertulia.failpoints import Failpoint
from tertulia.generation.config import EngineConfig
from tertulia.generation.input import GenerationInput
from tertulia.generation.retry import retry_while_unavailable
from tertulia.generation.state import ActiveGeneration
from tertulia.generation.tool_rounds import Rounds
from tertulia.json import Json
from tertulia.streams.log import EventLog

FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
"""The bounds of the delay before Claude is asked again after a fault of its API, in seconds."""
BEGIN, RECORDED = Failpoint("continuation.begin"), Failpoint("continuation.recorded")

logger = logging.getLogger("tertulia.generator")


class Continuations:
    """Continues interrupted answers within the limits of the configuration."""

    def __init__(self, database: Database, log: EventLog, rounds: Rounds, config: EngineConfig) -> None:
        """Initialize with the database, the log of events, the rounds of tools, and the configuration."""
        self._database = database
        self._log = log
        self._rounds = rounds
        self._config = config

    def may_continue(self, active: ActiveGeneration) -> bool:
        """Return whether an answer that was just interrupted may be continued."""
        policy = self._config.continuation
        return active.may_continue and policy.allows_another(active.answer.attempt, active.begun_at)

    def fallback_of(
        self, model: str | None, options: Json, error: GenerationError, *, is_unavailable: bool = False
    ) -> str | None:
        """Return the model that continues instead of one that has failed; None if it is the same one.

        Args:
            model: The model that is overloaded, has refused or has failed.
            options: The options of the answer.
            error: The failure.
            is_unavailable: Whether the provider did not accept the request, so that another provider is asked.
        """
        policy = self._config.continuation
        if error.code in (ErrorCode.OVERLOADED, ErrorCode.REFUSED):
            return next(iter(policy.fallbacks_of(model or "", options)), None)
        return next(iter(policy.fallbacks_elsewhere(model or "", options)), None) if is_unavailable else None

    async def begin(self, active: ActiveGeneration, work: GenerationInput, error: GenerationError) -> bool:
        """Close what was interrupted, record its cost, and reserve that of another request.

        Args:
            active: The generation.
            work: Its input.
            error: What interrupted the answer.

        Returns:
            Whether Claude must be asked. If not, the round ends with the complete calls of tools that Claude has made.

        Raises:
            StreamError: The answer may not be continued, or its budget is used up.
        """
        # A process that was frozen may find that its stream has broken before it learns that it has lost its lease.
        await BEGIN.reach(active.generation_id)
        await active.may_write()
        answer = active.answer
        if error.code is ErrorCode.REFUSED:
            self._log.append(active.generation_id, answer.decline())
        self._log.append(active.generation_id, answer.break_off())
        events = answer.end_with_calls()
        if events is not None:
            self._log.append(active.generation_id, events)
            return False
        if not self.may_continue(active):
            raise StreamError(error)
        logger.warning("Generation %s was interrupted and is continued: %s", active.generation_id, error.code.value)
        if answer.billed() and not answer.usage:
            # A process that was killed within a second had not saved the tokens that Claude had reported.
            answer.usage = {"input_tokens": estimate_input_tokens(work)}
        bill = self._bill(active, Status.COMPLETED if error.code is ErrorCode.REFUSED else Status.FAILED)
        # If the row were ahead of the log that other processes can read, they could not continue the log.
        await self._log.flush(active.generation_id)
        await retry_while_unavailable(self._database, lambda: self._record(active, work, bill, answer.attempt + 1))
        await RECORDED.reach(active.generation_id)
        return True

    def bill_declined(self, active: ActiveGeneration) -> None:
        """Add the cost of the models that have refused, before the API has asked another one in the same response."""
        for model, usage in active.answer.take_declined():
            active.failed.append(Attempt(active.answer.request_id, usage, model))
            active.answer.add_amount(self._config.prices.amount(model, usage))

    async def bill_lost_request(self, active: ActiveGeneration, work: GenerationInput) -> None:
        """Record the cost of a request that a lost process has sent, before Claude is asked the same again."""
        await active.may_write()
        answer = active.answer
        if not answer.usage:
            answer.usage = {"input_tokens": estimate_input_tokens(work.with_answer(answer.content))}
        bill = self._bill(active)
        await retry_while_unavailable(self._database, lambda: self._record(active, work, bill, answer.attempt))

    async def wait(self, active: ActiveGeneration, error: GenerationError) -> None:
        """Wait before Claude is asked again after a fault of its API: longer each time, as long as the API requires."""
        if error.code in (ErrorCode.INTERRUPTED, ErrorCode.REFUSED):
            return
        if active.backoff is None:
            active.backoff = Backoff(FIRST_DELAY, LONGEST_DELAY)
        await asyncio.sleep(max(active.backoff.next(), min(error.retry_after_seconds or 0.0, LONGEST_DELAY)))

    def _bill(self, active: ActiveGeneration, outcome: Status = Status.FAILED) -> list[ApiCall]:
        """Return the ledger rows of the request that has ended, and move its usage to the earlier one."""
        answer = active.answer
        active.model = writer_of_attempt(answer.content, answer.attempt) or active.model
        bill = self._rounds.bill_of(active, outcome)
        answer.end_attempt(self._rounds.amount_of(active))
        active.failed.clear()
        return bill

    async def _record(
        self, active: ActiveGeneration, work: GenerationInput, bill: Sequence[ApiCall], continuations: int
    ) -> None:
        async with self._database.write() as session:
            location = await self._rounds.renew_lease(session, active, continuations=continuations)
            await leases.write_answer(session, location.message_id, active.answer.content)
            if bill and not await ledger.is_known(session, bill[0].id):
                await spending.record(session, bill)
            await self._rounds.reserve(session, active, work, location)
