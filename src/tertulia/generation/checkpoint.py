"""Save the text of unfinished answers and renew their leases, in one transaction.

If a text cannot be saved, all leases are renewed without the texts, and then each text is saved separately.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

from tertulia.db import leases
from tertulia.db.database import AsyncSession, Database
from tertulia.db.leases import RenewedLease
from tertulia.db.progress import Progress, TailProgress, save_progress
from tertulia.db.tables import now
from tertulia.failpoints import Failpoint
from tertulia.generation.state import ActiveGeneration, Ending
from tertulia.isolation import ItemLoop
from tertulia.streams.lease import Lease
from tertulia.streams.log import EventLog

AT_ONCE = 16
"""Texts that are prepared in a row. After each batch, the event loop runs, because many long texts would block it."""
TEXTS, SHOWN = ItemLoop("checkpoint.text"), ItemLoop("checkpoint.show")
SAVE = Failpoint("checkpoint.save")
RENEWING, RENEWED = Failpoint("checkpoint.renewing"), Failpoint("checkpoint.renewed")

logger = logging.getLogger("tertulia.generator")


class Checkpoints:
    """Saves the text of all generations of this process, and renews their leases."""

    def __init__(self, database: Database, log: EventLog, process: UUID, lease_seconds: float) -> None:
        """Initialize for the process with this id; a lease lasts for `lease_seconds`."""
        self._database = database
        self._log = log
        self._process = process
        self._lease_seconds = lease_seconds

    async def save(self, active_generations: Sequence[ActiveGeneration], claimed: Mapping[UUID, Lease]) -> None:
        """Save the text of all generations, and end those that have lost their lease or must stop.

        Args:
            active_generations: All generations of this process, including those whose end is not saved yet, because
                they need their lease too.
            claimed: The leases of generations that this process has claimed and is still reading.
        """
        lease_until = now() + timedelta(seconds=self._lease_seconds)
        # Created first: a process that is frozen in the transaction must not hold the lease longer than the row says.
        renewed = Lease(lease_until)
        ids = [*(active.generation_id for active in active_generations), *claimed]
        saved = dict[UUID, int]()
        await RENEWING.reach()
        try:
            async with self._database.renew() as session:
                held_leases = await leases.renew_all(session, ids, self._process, lease_until)
                if not renewed.holds:
                    # The database took longer than the lease. Other processes cannot claim rows that are locked.
                    lease_until = now() + timedelta(seconds=self._lease_seconds)
                    renewed = Lease(lease_until)
                    held_leases = await leases.renew_all(session, ids, self._process, lease_until)
                saved = await _save(
                    session, [active for active in active_generations if active.generation_id in held_leases]
                )
        except Exception as error:  # noqa: BLE001 - no failure to save a text may let a lease lapse
            logger.warning("Answers could not be saved together, so each is saved separately: %s", error)
            async with self._database.renew() as session:
                held_leases = await leases.renew_all(session, ids, self._process, lease_until)
            self._note(active_generations, held_leases, renewed, {})
            saved = await self._save_each(
                [active for active in active_generations if active.generation_id in held_leases]
            )
        await RENEWED.reach()
        for generation_id in held_leases.keys() & claimed.keys():
            claimed[generation_id].renew(renewed)
        self._note(active_generations, held_leases, renewed, saved)

    def _note(
        self,
        active_generations: Sequence[ActiveGeneration],
        held_leases: Mapping[UUID, RenewedLease],
        lease: Lease,
        saved: Mapping[UUID, int],
    ) -> None:
        for active in active_generations:
            held_lease = held_leases.get(active.generation_id)
            if held_lease is not None:
                if (sequence := saved.get(active.generation_id)) is not None:
                    active.note_saved(sequence)
                active.lease.renew(lease)
                active.renewed.set()
                SHOWN.attempt_now(
                    active.generation_id, partial(self._log.mark_saved, active.generation_id, active.saved)
                )
            if held_lease is None or held_lease.stop_requested:
                active.end(Ending.LOST if held_lease is None else Ending.STOPPED)

    async def _save_each(self, active_generations: Sequence[ActiveGeneration]) -> dict[UUID, int]:
        saved = dict[UUID, int]()

        async def save(active: ActiveGeneration) -> None:
            if (progress := _progress(active)) is not None:
                lease_until = now() + timedelta(seconds=self._lease_seconds)
                async with self._database.renew() as session:
                    # Another process may hold the lease by now. Its text must not be overwritten.
                    if not await leases.renew_all(session, [active.generation_id], self._process, lease_until):
                        return
                    await save_progress(session, [progress])
                saved[active.generation_id] = progress.sequence

        for active in active_generations:
            if not TEXTS.skips(active.generation_id):
                await TEXTS.attempt(active.generation_id, partial(save, active))
        return saved


async def _save(session: AsyncSession, active_generations: Sequence[ActiveGeneration]) -> dict[UUID, int]:
    """Save texts together, except those that failed before. Return the last sequence of each saved one."""
    saved = dict[UUID, int]()
    for start in range(0, len(active_generations), AT_ONCE):
        batch = [
            active for active in active_generations[start : start + AT_ONCE] if not TEXTS.skips(active.generation_id)
        ]
        progress = [text for active in batch if (text := _progress(active)) is not None]
        await save_progress(session, progress)
        saved.update((item.generation_id, item.sequence) for item in progress)
    return saved


def _progress(active: ActiveGeneration) -> Progress | TailProgress | None:
    progress = active.progress()
    if progress is not None:
        SAVE.hit(active.generation_id)
    return progress
