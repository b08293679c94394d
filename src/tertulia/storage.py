"""Detect errors of a disk that is full or not writable."""

import errno
import sqlite3
from collections.abc import Iterator

MESSAGE = "The server cannot store anything at the moment: its disk is full or not writable. Try again later."
CODE = "STORAGE_FULL"
DISK_FULL, READ_ONLY = "53100", "25006"
"""PostgreSQL's codes (appendix A of its documentation)."""
_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
_SQLITE = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_TRUNCATE,
    sqlite3.SQLITE_IOERR_SHMSIZE,
)
_TEXTS = tuple(f"(os error {number})" for number in _ERRNOS)
"""How the library of the object store, which is written in Rust, reports them."""
_LONGEST_CHAIN = 20
"""Errors to look at: an error may be among its own causes."""


def is_storage_full(error: BaseException) -> bool:
    """Return whether an error, or one of its causes, means that the disk is full or not writable."""
    return any(_is_disk_error(cause) for cause in _chain(error))


def _is_disk_error(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _ERRNOS:
        return True
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0)
        return code in _SQLITE or code & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY)
    return getattr(error, "sqlstate", None) in (DISK_FULL, READ_ONLY) or any(text in str(error) for text in _TEXTS)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes. SQLAlchemy stores the driver's error as `orig`."""
    count = 0
    pending: list[BaseException | None] = [error]
    while pending and count < _LONGEST_CHAIN:
        cause = pending.pop()
        if cause is None:
            continue
        count += 1
        yield cause
        pending += [getattr(cause, "orig", None), cause.__cause__]
