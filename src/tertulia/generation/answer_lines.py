"""The lines of the log about an answer: that it begins, continues, waits or ends. They contain no text of it."""

import logging
from uuid import UUID

from tertulia.claude.errors import GenerationError
from tertulia.db.ledger import dollars
from tertulia.db.tables import Generation, Status
from tertulia.generation.observer import End
from tertulia.generation.state import ActiveGeneration
from tertulia.log_lines import log_fields

logger = logging.getLogger("tertulia.answers")


def log_begun(generation: Generation, owner_id: UUID) -> None:
    """Log that an answer begins. The line has the id of the request, unless the message has waited in the queue."""
    _log_start("Answer began", generation, owner_id)


def log_resumed(generation: Generation, *, has_content: bool) -> None:
    """Log that this process writes an answer that was queued, has waited for tools, or has lost its process."""
    _log_start("Answer continues" if has_content else "Answer began", generation, None)


def log_queued(generation: Generation, owner_id: UUID) -> None:
    """Log that an answer waits until another one has ended."""
    _log_start("Answer queued", generation, owner_id)


def log_round(active: ActiveGeneration) -> None:
    """Log the end of a response of Claude at `debug`. Calls of tools may follow, and another request."""
    answer = active.answer
    log_fields(
        logger,
        logging.DEBUG,
        "Claude's response ended",
        model=answer.writer or active.model,
        stop_reason=answer.stop_reason,
        sequence=answer.sequence,
        output_tokens=answer.usage.get("output_tokens", 0),
        claude_request_id=answer.request_id,
    )


def log_waiting(active: ActiveGeneration, calls: int) -> None:
    """Log that an answer waits for the results, or the approval, of calls of tools."""
    log_fields(logger, logging.INFO, "Answer waits for tool results", generation_id=active.generation_id, calls=calls)


def log_ended(active: ActiveGeneration, end: End, amount: int | None) -> None:
    """Log the end of an answer that is saved.

    Args:
        active: The generation.
        end: How it has ended.
        amount: Its cost in units; None if a price is not known.
    """
    answer, owner = active.answer, active.owner
    usage = answer.total()
    log_fields(
        logger,
        logging.INFO,
        "Answer ended",
        generation_id=active.generation_id,
        conversation_id=None if owner is None else owner.conversation_id,
        viewer_id=None if owner is None else owner.id,
        status=end.status,
        code=end.code,
        stop_reason=answer.stop_reason,
        model=end.model,
        input_tokens=usage.get("input_tokens", 0),
        cache_read_tokens=usage.get("cache_read_tokens", 0),
        cache_write_tokens=usage.get("cache_write_tokens", 0),
        output_tokens=end.output_tokens,
        cost_usd=None if amount is None else float(dollars(amount)),
        seconds=round(end.seconds, 3),
        first_token_seconds=None if end.first_token_seconds is None else round(end.first_token_seconds, 3),
        rounds=answer.rounds,
        continuations=answer.attempt,
        claude_request_id=end.request_id,
    )


def log_given_up(generation_id: UUID, error: GenerationError) -> None:
    """Log the end of a generation of which only the error could be saved."""
    log_fields(
        logger,
        logging.ERROR,
        "Answer ended",
        generation_id=generation_id,
        status=Status.FAILED.value,
        code=error.code.value,
    )


def _log_start(message: str, generation: Generation, owner_id: UUID | None) -> None:
    log_fields(
        logger,
        logging.INFO,
        message,
        generation_id=generation.id,
        conversation_id=generation.conversation_id,
        viewer_id=owner_id,
        model=generation.model,
    )
