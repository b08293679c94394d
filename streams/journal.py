"""The journal: what a process has shown of an answer, on its disk before anybody sees it.

A file for each generation that is being written, one line for each batch of events. It is written, not synced: it
outlives the process, which may be killed at any moment, and whoever starts next reads it back.
"""

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from streams.encoding import decode, encode
from streams.events import GenerationEvent


class Journal:
    """The files of one process, in one folder."""

    def __init__(self, folder: Path) -> None:
        """Take the folder; it is made when the first answer is written."""
        self._folder = folder
        self._files: dict[UUID, int] = {}
        self._lock: int | None = None

    def take(self) -> bool:
        """Say whether no other living process writes here; from then on this one does, until it ends."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._lock = os.open(self._folder / "lock", os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def leave(self) -> None:
        """Let another process write here."""
        if self._lock is not None:
            os.close(self._lock)

    def write(self, generation_id: UUID, events: Sequence[GenerationEvent]) -> None:
        """Write events down, in one go."""
        file = self._files.get(generation_id)
        if file is None:
            file = self._open(generation_id)
        os.write(file, encode(events) + b"\n")

    def read(self, generation_id: UUID) -> list[GenerationEvent]:
        """Give what was written of a generation, as far as it is whole."""
        events: list[GenerationEvent] = []
        with suppress(OSError, ValueError, KeyError, TypeError):
            for line in self._path(generation_id).read_bytes().splitlines():
                for event in decode(generation_id, line):
                    # A gap would shift the numbers of all that follows.
                    if event.sequence == len(events) + 1:
                        events.append(event)
        return events

    def close(self, generation_id: UUID) -> None:
        """Write no more of a generation."""
        file = self._files.pop(generation_id, None)
        if file is not None:
            os.close(file)

    def forget(self, generation_id: UUID) -> None:
        """Remove what was written: it is stored, or its conversation is gone."""
        self.close(generation_id)
        self._path(generation_id).unlink(missing_ok=True)

    def _open(self, generation_id: UUID) -> int:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        file = os.open(self._path(generation_id), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._files[generation_id] = file
        return file

    def _path(self, generation_id: UUID) -> Path:
        return self._folder / f"{generation_id}.jsonl"
