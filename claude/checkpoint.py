"""Saving the text of what is being written, and renewing the leases, in one transaction.

Where one text cannot be saved, all leases are renewed without the texts, and each text is saved by itself.
"""

import logging
import time
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

from claude.job import Ending, Job
from db import leases
from db.database import AsyncSession, Database
from db.leases import Held, Progress
from db.tables import now
from tertulia.failpoints import Failpoint
from tertulia.isolation import ItemLoop

AT_ONCE = 16
"""Texts that are put together without giving way: many long ones would hold the event loop."""
TEXTS = ItemLoop("checkpoint.text")
SAVE = Failpoint("checkpoint.save")

logger = logging.getLogger("tertulia.generator")


async def checkpoint(database: Database, jobs: Sequence[Job], process: UUID, lease_seconds: float) -> None:
    """Save all jobs; end those whose lease is lost, and those that somebody asked to stop.

    Those that are written and wait to be saved are among them: nobody else may take them for lost.
    """
    renewed = time.monotonic() + lease_seconds
    until = now() + timedelta(seconds=lease_seconds)
    ids = [job.generation_id for job in jobs]
    saved = dict[UUID, int]()
    try:
        async with database.renew() as session:
            held = await leases.renew_all(session, ids, process, until)
            saved = await _save(session, [job for job in jobs if job.generation_id in held])
    except Exception as error:  # noqa: BLE001 - whatever it is that cannot be saved, no lease may lapse for it
        logger.warning("Texts are saved one by one, because they could not be saved together: %s", error)
        async with database.renew() as session:
            held = await leases.renew_all(session, ids, process, until)
        _note(jobs, held, renewed)
        saved = await _save_each(database, [job for job in jobs if job.generation_id in held])
    for job in jobs:
        job.saved = saved.get(job.generation_id, job.saved)
    _note(jobs, held, renewed)


def _note(jobs: Sequence[Job], held: dict[UUID, Held], renewed: float) -> None:
    for job in jobs:
        found = held.get(job.generation_id)
        if found is not None:
            job.held_until = renewed
            job.renewed.set()
        if found is None or found.stop_requested:
            job.end(Ending.LOST if found is None else Ending.STOPPED)


async def _save(session: AsyncSession, jobs: Sequence[Job]) -> dict[UUID, int]:
    """Save texts together, those that are put aside left out; return the number of the last event in each."""
    saved = dict[UUID, int]()
    for place in range(0, len(jobs), AT_ONCE):
        some = [job for job in jobs[place : place + AT_ONCE] if not TEXTS.skips(job.generation_id)]
        progress = [news for job in some if (news := _progress(job)) is not None]
        await leases.save_progress(session, progress)
        saved.update((one.generation_id, one.sequence) for one in progress)
    return saved


async def _save_each(database: Database, jobs: Sequence[Job]) -> dict[UUID, int]:
    saved = dict[UUID, int]()

    async def save(job: Job) -> None:
        if (progress := _progress(job)) is not None:
            async with database.renew() as session:
                await leases.save_progress(session, [progress])
            saved[job.generation_id] = progress.sequence

    for job in jobs:
        if not TEXTS.skips(job.generation_id):
            await TEXTS.attempt(job.generation_id, partial(save, job))
    return saved


def _progress(job: Job) -> Progress | None:
    progress = job.progress()
    if progress is not None:
        SAVE.hit(job.generation_id)
    return progress
