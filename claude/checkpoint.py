"""Saving the text of what is being written, and renewing the leases, in one transaction."""

import time
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from claude.job import Ending, Job
from db import leases
from db.database import Database
from db.tables import now

AT_ONCE = 16
"""Texts that are put together without giving way: many long ones would hold the event loop."""


async def checkpoint(database: Database, jobs: Sequence[Job], process: UUID, lease_seconds: float) -> None:
    """Save all jobs; end those whose lease is lost, and those that somebody asked to stop.

    Those that are written and wait to be saved are among them: nobody else may take them for lost.
    """
    renewed = time.monotonic() + lease_seconds
    until = now() + timedelta(seconds=lease_seconds)
    saved = dict[UUID, int]()
    async with database.renew() as session:
        held = await leases.renew_all(session, [job.generation_id for job in jobs], process, until)
        mine = [job for job in jobs if job.generation_id in held]
        for place in range(0, len(mine), AT_ONCE):
            progress = [news for job in mine[place : place + AT_ONCE] if (news := job.progress()) is not None]
            await leases.save_progress(session, progress)
            saved.update((one.generation_id, one.sequence) for one in progress)
    for job in jobs:
        found = held.get(job.generation_id)
        if found is not None:
            job.saved, job.held_until = saved.get(job.generation_id, job.saved), renewed
            job.renewed.set()
        if found is None or found.stop_requested:
            job.end(Ending.LOST if found is None else Ending.STOPPED)
