"""Runs generations: one task writes each answer, whoever listens or leaves.

The order that matters: a task starts only for a committed row; the answer is saved before the terminal event is
appended; there is exactly one terminal event, whatever happens.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from claude.answer import Answer
from claude.connection import Claude
from claude.errors import CAN_FAIL, INTERRUPTED, ErrorCode, GenerationError, StreamError, describe
from claude.models import Models
from claude.prompt import build_request, prefix_fingerprint
from db import generations, messages
from db.database import Database
from db.errors import DatabaseError
from db.tables import Json, Status, now
from streams.events import (
    GenerationCompleted,
    GenerationFailed,
    GenerationStarted,
    GenerationStopped,
    TerminalEvent,
)
from streams.log import EventLog

CHECKPOINT_SECONDS = 1.0
"""What a crash can cost of a text that was already shown."""

logger = logging.getLogger("tertulia.generator")


@dataclass(slots=True)
class _Job:
    answer: Answer
    behind: Sequence[UUID]
    message_id: UUID | None = None
    first_token_at: Any = None
    interrupted: bool = False
    writing: asyncio.Task[None] = field(init=False)
    settling: asyncio.Task[None] = field(init=False)


class Generator:
    """Starts, stops and settles the generations of this process."""

    def __init__(self, database: Database, log: EventLog, claude: Claude, models: Models) -> None:
        """Take the parts it joins."""
        self._database = database
        self._log = log
        self._claude = claude
        self._models = models
        self._jobs: dict[UUID, _Job] = {}

    def start(self, generation_id: UUID, *, behind: Sequence[UUID] = ()) -> None:
        """Begin to write an answer whose row is committed, when those in front of it have ended."""
        job = _Job(Answer(generation_id), behind)
        self._jobs[generation_id] = job
        job.writing = asyncio.create_task(self._write(job), name=f"write {generation_id}")
        job.settling = asyncio.create_task(self._settle(job), name=f"settle {generation_id}")

    async def stop(self, generation_id: UUID) -> None:
        """Stop an answer and wait until it is saved; nothing is appended afterwards. An ended one stays as it is."""
        job = self._jobs.get(generation_id)
        if job is not None:
            job.writing.cancel()
            await asyncio.wait([job.settling])

    async def recover(self) -> int:
        """Fail what an earlier process left unfinished, its text kept; give how many."""
        async with self._database.write() as session:
            return await generations.interrupt_unfinished(session, INTERRUPTED.to_json())

    async def close(self) -> None:
        """Interrupt all that runs, and wait until it is saved."""
        for job in self._jobs.values():
            job.interrupted = True
            job.writing.cancel()
        if self._jobs:
            await asyncio.wait([job.settling for job in self._jobs.values()])

    async def _write(self, job: _Job) -> None:
        await self._wait_in_line(job)
        request = await self._begin(job)
        self._log.append(GenerationStarted(job.answer.generation_id, job.answer.next_sequence()))
        async with asyncio.timeout(self._claude.deadlines.answer):
            async for event in self._claude.stream(request):
                ours = job.answer.take(event)
                if ours is not None:
                    job.first_token_at = job.first_token_at or now()
                    self._log.append(ours)

    async def _wait_in_line(self, job: _Job) -> None:
        in_front = [self._jobs[other].settling for other in job.behind if other in self._jobs]
        if in_front:
            await asyncio.wait(in_front)

    async def _begin(self, job: _Job) -> Json:
        async with self._database.write() as session:
            found = await generations.unscoped(session, job.answer.generation_id)
            if found is None:
                raise StreamError(GenerationError(ErrorCode.NOT_FOUND, "The conversation was deleted."))
            generation, answer, conversation = found
            job.message_id = answer.id
            branch = await messages.branch(session, answer.parent_id)
            prefix = prefix_fingerprint(generation.model, conversation.system_prompt)
            values = {"status": Status.RUNNING, "started_at": now(), "prefix": prefix}
            await generations.change(session, generation.id, values)
        model = await self._models.get(generation.model)
        return build_request(
            model=generation.model,
            max_output_tokens=model.max_output_tokens,
            system_prompt=conversation.system_prompt,
            options=generation.options,
            turns=[(message.role, message.content, written_with) for message, written_with in branch],
        )

    async def _keep_saving(self, job: _Job) -> None:
        saved = 0
        while not (await asyncio.wait([job.writing], timeout=CHECKPOINT_SECONDS))[0]:
            if job.answer.sequence > saved:
                saved = job.answer.sequence
                with suppress(DatabaseError):
                    await self._save(job, {"sequence": saved, "first_token_at": job.first_token_at})

    async def _settle(self, job: _Job) -> None:
        await self._keep_saving(job)
        status, error = _outcome(job)
        terminal = _terminal(job.answer, status, error)
        try:
            await self._save(job, _final_values(job, status, error))
        except DatabaseError:
            # No listener may hang because the database fails; the row is failed when the server starts again.
            logger.exception("Generation %s could not be saved", job.answer.generation_id)
            terminal = GenerationFailed(terminal.generation_id, terminal.sequence, INTERRUPTED.to_json())
        self._jobs.pop(job.answer.generation_id, None)
        self._log.append(terminal)

    async def _save(self, job: _Job, values: dict[str, Any]) -> None:
        async with self._database.write() as session:
            if job.message_id is not None:
                await generations.write_answer(session, job.message_id, job.answer.content)
            await generations.change(session, job.answer.generation_id, values)


def _outcome(job: _Job) -> tuple[Status, GenerationError | None]:
    if job.writing.cancelled():
        return (Status.FAILED, INTERRUPTED) if job.interrupted else (Status.STOPPED, None)
    failure = job.writing.exception()
    if failure is None:
        return Status.COMPLETED, None
    if not isinstance(failure, (*CAN_FAIL, StreamError)):
        logger.error("Generation %s failed by a fault of ours", job.answer.generation_id, exc_info=failure)
        return Status.FAILED, GenerationError(ErrorCode.API_ERROR, "The answer could not be written.")
    return Status.FAILED, describe(failure, job.answer.request_id)


def _terminal(answer: Answer, status: Status, error: GenerationError | None) -> TerminalEvent:
    sequence = answer.next_sequence()
    if error is not None:
        return GenerationFailed(answer.generation_id, sequence, error.to_json())
    kind = GenerationCompleted if status is Status.COMPLETED else GenerationStopped
    return kind(answer.generation_id, sequence)


def _final_values(job: _Job, status: Status, error: GenerationError | None) -> dict[str, Any]:
    answer = job.answer
    return {
        "status": status,
        "sequence": answer.sequence,
        "stop_reason": answer.stop_reason,
        "error": error.to_json() if error else None,
        "request_id": answer.request_id or (error.request_id if error else None),
        "first_token_at": job.first_token_at,
        "finished_at": now(),
        **answer.usage,
    }
