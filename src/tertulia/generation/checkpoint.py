"""Saving the text of what is being written, and renewing the leases, in one transaction.

Where one text cannot be saved, all leases are renewed without the texts, and each text is saved by itself.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

from tertulia.db import leases
from tertulia.db.database import AsyncSession, Database
from tertulia.db.leases import Held, Progress
from tertulia.db.tables import now
from tertulia.failpoints import Failpoint
from tertulia.generation.state import ActiveGeneration, Ending
from tertulia.isolation import ItemLoop
from tertulia.streams.lease import Lease
from tertulia.streams.log import EventLog

AT_ONCE = 16
"""Texts that are put together without giving way: many long ones would hold the event loop."""
TEXTS, SHOWN = ItemLoop("checkpoint.text"), ItemLoop("checkpoint.show")
SAVE = Failpoint("checkpoint.save")
RENEWING, RENEWED = Failpoint("checkpoint.renewing"), Failpoint("checkpoint.renewed")

logger = logging.getLogger("tertulia.generator")


class Checkpoints:
    """Saves what the jobs of a process have written, and renews the leases of all that it holds."""

    def __init__(self, database: Database, log: EventLog, process: UUID, lease_seconds: float) -> None:
        """Take the parts, this process's name, and how long a lease lasts."""
        self._database = database
        self._log = log
        self._process = process
        self._lease_seconds = lease_seconds

    async def save(self, jobs: Sequence[ActiveGeneration], claimed: Mapping[UUID, Lease]) -> None:
        """Save all jobs; end those whose lease is lost, and those that somebody asked to stop.

        Those that are written and wait to be saved are among them: nobody else may take them for lost. Nor what is
        `claimed`, and read before it becomes a job.
        """
        until = now() + timedelta(seconds=self._lease_seconds)
        # Created before the transaction: a process that is frozen in it holds the lease no longer than the row says.
        renewed = Lease(until)
        ids = [*(active.generation_id for active in jobs), *claimed]
        saved = dict[UUID, int]()
        await RENEWING.reach()
        try:
            async with self._database.renew() as session:
                held = await leases.renew_all(session, ids, self._process, until)
                saved = await _save(session, [active for active in jobs if active.generation_id in held])
        except Exception as error:  # noqa: BLE001 - whatever it is that cannot be saved, no lease may lapse for it
            logger.warning("Texts are saved one by one, because they could not be saved together: %s", error)
            async with self._database.renew() as session:
                held = await leases.renew_all(session, ids, self._process, until)
            self._note(jobs, held, renewed, {})
            saved = await self._save_each([active for active in jobs if active.generation_id in held])
        await RENEWED.reach()
        for generation_id in held.keys() & claimed.keys():
            claimed[generation_id].renew(renewed)
        self._note(jobs, held, renewed, saved)

    def _note(
        self, jobs: Sequence[ActiveGeneration], held: Mapping[UUID, Held], renewed: Lease, saved: Mapping[UUID, int]
    ) -> None:
        for active in jobs:
            found = held.get(active.generation_id)
            if found is not None:
                active.saved = saved.get(active.generation_id, active.saved)
                active.lease.renew(renewed)
                active.renewed.set()
                SHOWN.attempt_now(active.generation_id, partial(self._log.saved, active.generation_id, active.saved))
            if found is None or found.stop_requested:
                active.end(Ending.LOST if found is None else Ending.STOPPED)

    async def _save_each(self, jobs: Sequence[ActiveGeneration]) -> dict[UUID, int]:
        saved = dict[UUID, int]()

        async def save(active: ActiveGeneration) -> None:
            if (progress := _progress(active)) is not None:
                until = now() + timedelta(seconds=self._lease_seconds)
                async with self._database.renew() as session:
                    # Another process may hold it by now, whose text must stay.
                    if not await leases.renew_all(session, [active.generation_id], self._process, until):
                        return
                    await leases.save_progress(session, [progress])
                saved[active.generation_id] = progress.sequence

        for active in jobs:
            if not TEXTS.skips(active.generation_id):
                await TEXTS.attempt(active.generation_id, partial(save, active))
        return saved


async def _save(session: AsyncSession, jobs: Sequence[ActiveGeneration]) -> dict[UUID, int]:
    """Save texts together, those that are put aside left out; return the number of the last event in each."""
    saved = dict[UUID, int]()
    for place in range(0, len(jobs), AT_ONCE):
        some = [active for active in jobs[place : place + AT_ONCE] if not TEXTS.skips(active.generation_id)]
        progress = [news for active in some if (news := _progress(active)) is not None]
        await leases.save_progress(session, progress)
        saved.update((one.generation_id, one.sequence) for one in progress)
    return saved


def _progress(active: ActiveGeneration) -> Progress | None:
    progress = active.progress()
    if progress is not None:
        SAVE.hit(active.generation_id)
    return progress
