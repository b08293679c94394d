"""The journal: what a process has shown of an answer, on its disk before anybody sees it.

A file for each generation that is being written, one line for each batch of events. It is mapped into memory and not
synced: what is written outlives the process, which may be killed at any moment, costs no system call, and is read back
by whoever starts next.
"""

import fcntl
import mmap
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from tertulia.storage import is_storage_full
from tertulia.streams.codec import decode, encode
from tertulia.streams.events import GenerationEvent

CHUNK = 32 * 1024
"""Bytes by which a file begins; it doubles when it is full."""


class _File:
    """One mapped file; behind its last line stand zeros."""

    def __init__(self, path: Path) -> None:
        """Go on behind the last whole line that another process has left, if any has."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._size = os.fstat(self._file).st_size
        written, _, _ = os.pread(self._file, self._size, 0).partition(b"\0")
        self._end = written.rfind(b"\n") + 1
        self._map = self._grow(max(2 * self._end, CHUNK))

    def write(self, line: bytes) -> None:
        end = self._end + len(line)
        if end > self._size:
            grown = self._grow(max(2 * self._size, end))
            self._map.close()
            self._map = grown
        self._map[self._end : end] = line
        self._end = end

    def close(self) -> None:
        self._map.close()
        os.close(self._file)

    def _grow(self, size: int) -> mmap.mmap:
        # Written, not only declared: a disk that is full must say so here, and not by a signal at some later byte.
        place = self._end
        while place < size:
            # A disk that is nearly full takes a part, and refuses the rest only when it is written again.
            place += os.pwrite(self._file, bytes(size - place), place)
        self._size = max(size, self._size)
        return mmap.mmap(self._file, self._size)


class Journal:
    """The files of one process, in one folder."""

    def __init__(self, folder: Path) -> None:
        """Take the folder; it is made when the first answer is written."""
        self._folder = folder
        self._files: dict[UUID, _File] = {}
        self._lock: int | None = None
        self._is_full = False

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
        try:
            file = self._files.get(generation_id)
            if file is None:
                file = self._open(generation_id)
            file.write(encode(events) + b"\n")
        except OSError as error:
            self._is_full = self._is_full or is_storage_full(error)
            raise
        self._is_full = False

    def read(self, generation_id: UUID) -> list[GenerationEvent]:
        """Give what was written of a generation, as far as it is whole."""
        events: list[GenerationEvent] = []
        with suppress(OSError, ValueError, KeyError, TypeError):
            written, _, _ = self._path(generation_id).read_bytes().partition(b"\0")
            for line in written.splitlines():
                for event in decode(generation_id, line):
                    # A gap would shift the numbers of all that follows.
                    if event.sequence == len(events) + 1:
                        events.append(event)
        return events

    def check_storage(self) -> None:
        """Raise OSError where nothing can be written. Only after that has happened is it tried here."""
        if self._is_full:
            probe = self._folder / f"probe-{os.getpid()}"
            try:
                probe.write_bytes(bytes(CHUNK))
                self._is_full = False
            finally:
                probe.unlink(missing_ok=True)

    def close(self, generation_id: UUID) -> None:
        """Write no more of a generation."""
        file = self._files.pop(generation_id, None)
        if file is not None:
            file.close()

    def forget(self, generation_id: UUID) -> None:
        """Remove what was written: it is stored, or its conversation is gone."""
        self.close(generation_id)
        self._path(generation_id).unlink(missing_ok=True)

    def _open(self, generation_id: UUID) -> _File:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        file = self._files[generation_id] = _File(self._path(generation_id))
        return file

    def _path(self, generation_id: UUID) -> Path:
        return self._folder / f"{generation_id}.jsonl"
