"""A full disk has its own error code, `/readyz` reports it, and the server recovers once there is space."""

import errno
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import asyncpg
import httpx2
import pytest
from client import Api, Json
from media import image
from obstore.exceptions import GenericError
from running import START_SECONDS, killed_after
from sqlalchemy.exc import DBAPIError

from tertulia.storage import is_storage_full

ANY_REASON = "the disk is full or not writable"
UNLIMITED = resource.RLIM_INFINITY
SETTINGS = ("ANTHROPIC", "TERTULIA", "DATABASE", "REDIS")


@contextmanager
def served(folder: Path) -> Generator[tuple[int, Api]]:
    """Serve in a separate process, whose file sizes can be limited."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    environment["DATABASE_URL"] = f"sqlite+aiosqlite:///{folder / 'tertulia.db'}"
    environment["TERTULIA_LOG_LEVEL"] = "error"  # nobody reads the log
    command = [str(Path(sys.executable).with_name("tertulia")), "serve", "--port", "0"]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            with killed_after(process):
                line = next(line for line in process.stdout if "http://" in line)
            with Api(line[line.index("http://") :].split()[0].rstrip("/")) as api:
                yield process.pid, api
        finally:
            limit_file_sizes(process.pid, UNLIMITED)
            process.terminate()
            process.wait(START_SECONDS)


def limit_file_sizes(pid: int, size: int) -> None:
    """Limit the size of the files that a process may write, as if the disk were full."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, UNLIMITED))


def ready(api: Api) -> tuple[int, Json]:
    response = api.http.get("/readyz")
    return response.status_code, response.json()


def try_to_upload(api: Api) -> httpx2.Response:
    return api.http.post("/attachments", files={"file": ("a.png", image())})


@pytest.mark.needs("Linux")
def test_a_full_disk_has_an_error_code_and_fails_readiness_until_there_is_space(tmp_path: Path) -> None:
    with served(tmp_path) as (pid, api):
        assert ready(api)[0] == 200
        first = api.send("Hello")
        api.follow(first["generation"]["id"])
        # Loads all modules: Python would store one that is compiled now only up to the limit, and fail to load it later.
        assert try_to_upload(api).status_code == 201
        limit_file_sizes(pid, 4096)
        query = 'mutation { createConversation(input: {title: "x"}) { __typename } }'
        (error,) = api.post(query).json()["errors"]
        assert error["extensions"]["code"] == "STORAGE_FULL"
        assert "disk is full" in error["message"]
        for answer in (api.http.post("/chat", json={"message": "Hello"}), try_to_upload(api)):
            assert (answer.status_code, answer.json()["error"]["code"]) == (507, "STORAGE_FULL")
        assert ready(api) == (503, {"status": "unavailable", "database": "ok", "storage": ANY_REASON})
        # Stored data can still be read.
        assert len(api.messages(first["conversation"]["id"])) == 2
        limit_file_sizes(pid, UNLIMITED)
        assert ready(api) == (200, {"status": "ok", "database": "ok"})
        assert "data" in api.post(query).json()
        assert try_to_upload(api).status_code == 201


def raised_by_sqlite(*statements: str) -> sqlite3.Error:
    *before, last = statements
    with closing(sqlite3.connect(":memory:")) as database:
        for statement in before:
            database.execute(statement)
        with pytest.raises(sqlite3.Error) as raised:
            database.execute(last)
    return raised.value


def wrapped(error: Exception) -> Exception:
    return DBAPIError("INSERT", None, error)


FULL = "CREATE TABLE t AS SELECT zeroblob(1000000)"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (raised_by_sqlite("PRAGMA max_page_count = 2", FULL), True),
        (raised_by_sqlite("PRAGMA query_only = 1", FULL), True),
        (wrapped(raised_by_sqlite("PRAGMA max_page_count = 2", FULL)), True),
        (raised_by_sqlite("SELECT * FROM nowhere"), False),
        (wrapped(asyncpg.DiskFullError("could not extend file")), True),
        (asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT"), True),
        (asyncpg.UniqueViolationError("exists"), False),
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), False),
        (GenericError("Generic LocalFileSystem error: No space left on device (os error 28)"), True),
        (GenericError("Generic S3 error: timed out"), False),
    ],
    ids=repr,
)
def test_errors_of_a_full_disk_are_distinguished_from_others(error: Exception, *, expected: bool) -> None:
    assert is_storage_full(error) is expected
