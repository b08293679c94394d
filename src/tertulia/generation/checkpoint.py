"""Save the text of unfinished answers and renew their leases, in one transaction.

If a text cannot be saved, all leases are renewed without the texts, and then each text is saved separately.
"""

import asyncio
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

Texts = dict[UUID, Progress | TailProgress]
AT_ONCE = 16
"""Texts that are prepared in a row. After each batch, the event loop runs, because many long texts would block it."""
FLUSH_SECONDS = 0.5
"""The longest time for which a checkpoint waits for the log. If Redis is frozen, new readers read the database after
two seconds (`READ_SECONDS`), and it must have the text by then."""
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
        texts = await self._new_texts(active_generations)
        lease_until = now() + timedelta(seconds=self._lease_seconds)
        # Created first: a process that is frozen in the transaction must not hold the lease longer than the row says.
        renewed = Lease(lease_until)
        ids = [*(active.generation_id for active in active_generations), *claimed]
        await RENEWING.reach()
        try:
            async with self._database.renew() as session:
                held_leases = await leases.renew_all(session, ids, self._process, lease_until)
                if not renewed.holds:
                    # The database took longer than the lease. Other processes cannot claim rows that are locked.
                    lease_until = now() + timedelta(seconds=self._lease_seconds)
                    renewed = Lease(lease_until)
                    held_leases = await leases.renew_all(session, ids, self._process, lease_until)
                saved = await _save(session, texts, held_leases)
        except Exception as error:  # noqa: BLE001 - no failure to save a text may let a lease lapse
            logger.warning("Answers could not be saved together, so each is saved separately: %s", error)
            async with self._database.renew() as session:
                held_leases = await leases.renew_all(session, ids, self._process, lease_until)
            self._note(active_generations, held_leases, renewed, {})
            saved = await self._save_each(texts)
        await RENEWED.reach()
        for generation_id in held_leases.keys() & claimed.keys():
            claimed[generation_id].renew(renewed)
        self._note(active_generations, held_leases, renewed, saved)

    async def _new_texts(self, active_generations: Sequence[ActiveGeneration]) -> Texts:
        """Return the texts to save, by the id of their generation.

        If a row were ahead of the log that other processes can read, they could not continue the answer. So this waits
        until the log has the events of the texts. After a lease has lapsed, the log accepts no events, and the next
        checkpoint saves the text.
        """
        texts: Texts = {}
        for start in range(0, len(active_generations), AT_ONCE):
            for active in active_generations[start : start + AT_ONCE]:
                id = active.generation_id
                if not TEXTS.skips(id):
                    with TEXTS.guarded(id, partial(texts.pop, id, None)):
                        if (text := _progress(active)) is not None:
                            texts[id] = text
            await asyncio.sleep(0)
        await self._log.flush_all(FLUSH_SECONDS)
        held = {active.generation_id for active in active_generations if active.lease.holds}
        return {id: text for id, text in texts.items() if id in held}

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

    async def _save_each(self, texts: Texts) -> dict[UUID, int]:
        saved = dict[UUID, int]()

        async def save(id: UUID) -> None:
            lease_until = now() + timedelta(seconds=self._lease_seconds)
            async with self._database.renew() as session:
                # Another process may hold the lease by now. Its text must not be overwritten.
                held_leases = await leases.renew_all(session, [id], self._process, lease_until)
                sequences = await _save(session, {id: texts[id]}, held_leases)
            saved.update(sequences)

        await TEXTS.each(texts, save)
        return saved


async def _save(session: AsyncSession, texts: Texts, held_leases: Mapping[UUID, RenewedLease]) -> dict[UUID, int]:
    """Save the texts of the generations that are held. Return the last sequence of each saved one."""
    held = [(text, held_leases[id].sequence) for id, text in texts.items() if id in held_leases]
    # The row can have a newer text, of a round that was recorded since the text was taken.
    newer = [text for text, sequence in held if sequence < text.sequence]
    for start in range(0, len(newer), AT_ONCE):
        await save_progress(session, newer[start : start + AT_ONCE])
    return {text.generation_id: text.sequence for text, _ in held}


def _progress(active: ActiveGeneration) -> Progress | TailProgress | None:
    progress = active.progress()
    if progress is not None:
        SAVE.hit(active.generation_id)
    return progress
