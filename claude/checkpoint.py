"""Saving the text of what is being written, and renewing the leases, in one transaction."""

import time
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from claude.job import Ending, Job
from db import leases
from db.database import Database
from db.tables import now


async def checkpoint(database: Database, jobs: Sequence[Job], process: UUID, lease_seconds: float) -> None:
    """Save all jobs; end those whose lease is lost, and those that somebody asked to stop."""
    renewed = time.monotonic() + lease_seconds
    until = now() + timedelta(seconds=lease_seconds)
    held: list[tuple[Job, int, leases.Held | None]] = []
    async with database.write() as session:
        # In one order everywhere, so that no two processes wait for one another.
        for job in sorted(jobs, key=lambda job: job.generation_id):
            sequence = job.answer.sequence
            values = {"sequence": sequence, "first_token_at": job.first_token_at, "lease_until": until}
            found = await leases.renew(session, job.generation_id, process, values)
            if found is not None and sequence > job.saved and job.message_id is not None:
                await leases.write_answer(session, job.message_id, job.answer.content)
            held.append((job, sequence, found))
    for job, sequence, found in held:
        if found is not None:
            job.saved, job.held_until = sequence, renewed
            job.renewed.set()
        if found is None or found.stop_requested:
            job.end(Ending.LOST if found is None else Ending.STOPPED)
