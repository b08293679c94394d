"""The journal: a process writes events to its disk before readers see them.

Each running generation has a file with one line for each batch of events. The files are mapped into memory and not
synced, so writing needs no system call, and the data survives a killed process. The next process reads it.
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
"""The initial size of a file in bytes. A full file is doubled."""


class _File:
    """A mapped file. After the last line, it is filled with zeros."""

    __slots__ = (
        "_end",
        "_file",
        "_map",
        "_size",
    )

    def __init__(self, path: Path) -> None:
        """Open or create a file, and continue after its last complete line."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._size = os.fstat(self._file).st_size
        content, _, _ = os.pread(self._file, self._size, 0).partition(b"\0")
        self._end = content.rfind(b"\n") + 1
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
        # Zeros are written, so that a full disk raises OSError here, and writing to the mapping does not raise SIGBUS.
        position = self._end
        while position < size:
            # A nearly full disk writes only a part. The next attempt raises the error.
            position += os.pwrite(self._file, bytes(size - position), position)
        self._size = max(size, self._size)
        return mmap.mmap(self._file, self._size)


class Journal:
    """The journal of one process: the files of its running generations, in one folder."""

    def __init__(self, folder: Path) -> None:
        """Initialize with a folder, which is created when the first event is written."""
        self._folder = folder
        self._files: dict[int, _File] = {}
        """The files by the numbers of the ids, because the hash of a UUID takes several times as long."""
        self._lock: int | None = None
        self._is_full = False

    def lock(self) -> bool:
        """Lock the folder until `unlock` or the end of this process. Return False if another process holds the lock."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._lock = os.open(self._folder / "lock", os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def unlock(self) -> None:
        """Release the lock of the folder."""
        if self._lock is not None:
            os.close(self._lock)

    def write(self, generation_id: UUID, events: Sequence[GenerationEvent]) -> None:
        """Append events as one line. Raise OSError if that fails."""
        try:
            file = self._files.get(generation_id.int)
            if file is None:
                file = self._open(generation_id)
            file.write(encode(events) + b"\n")
        except OSError as error:
            self._is_full = self._is_full or is_storage_full(error)
            raise

    def read(self, generation_id: UUID) -> list[GenerationEvent]:
        """Return the events of a generation from sequence 1 on, without incomplete lines."""
        events: list[GenerationEvent] = []
        with suppress(OSError, ValueError, KeyError, TypeError):
            content, _, _ = self._path(generation_id).read_bytes().partition(b"\0")
            for line in content.splitlines():
                for event in decode(generation_id, line):
                    # An event that was written twice, or after a gap, is ignored.
                    if event.sequence == len(events) + 1:
                        events.append(event)
        return events

    def check_storage(self) -> None:
        """Raise OSError if the disk is still full. It is tested only after a write has failed because it was full."""
        if self._is_full:
            probe = self._folder / f"probe-{os.getpid()}"
            try:
                probe.write_bytes(bytes(CHUNK))
                self._is_full = False
            finally:
                probe.unlink(missing_ok=True)

    def close(self, generation_id: UUID) -> None:
        """Close the file of a generation."""
        file = self._files.pop(generation_id.int, None)
        if file is not None:
            file.close()

    def forget(self, generation_id: UUID) -> None:
        """Delete the file of a generation, which is saved in the database or was deleted."""
        self.close(generation_id)
        self._path(generation_id).unlink(missing_ok=True)

    def _open(self, generation_id: UUID) -> _File:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        file = self._files[generation_id.int] = _File(self._path(generation_id))
        return file

    def _path(self, generation_id: UUID) -> Path:
        return self._folder / f"{generation_id}.jsonl"
