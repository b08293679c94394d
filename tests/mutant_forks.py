"""Forks of a process that has imported all code and tests: each makes a change in memory and runs some tests."""

import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, Never

import asyncpg
import forking
import forking_server
import pytest
import redis as redis_client
from _pytest.runner import runtestprotocol
from servers import Servers, run

MEMORY = 6 << 30
"""Bytes that a fork may use. A change can make a loop allocate without end."""


class SharedServers(Servers):
    """PostgreSQL and Redis servers that successive forks share."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # All their data is deleted between two forks, so they must not be the servers that the environment names.
        for name in ("DATABASE_URL", "REDIS_URL"):
            os.environ.pop(name, None)
        self._clean = True
        super().settings()

    def begin(self) -> None:
        """Mark the databases as used and delete the Redis data of the previous fork."""
        self._clean = False
        client = redis_client.Redis.from_url(self.redis_url())
        client.flushall()
        client.close()

    def settings(self) -> dict[str, Any]:
        self._drop_databases()
        return super().settings()

    def empty(self) -> dict[str, Any]:
        self._drop_databases()
        return super().empty()

    def _drop_databases(self) -> None:
        async def drop() -> None:
            connection = await asyncpg.connect(self.postgres_url())
            for row in await connection.fetch("SELECT datname FROM pg_database WHERE datname LIKE 'tertulia_%'"):
                if row["datname"] != self._template:
                    await connection.execute(f"DROP DATABASE {row['datname']} WITH (FORCE)")
            await connection.close()

        if not self._clean:
            run(drop())
            self._clean = True

    def again(self, _folder: Path) -> "SharedServers":
        """Return itself: replaces the class `Servers` that fixtures call."""
        return self

    @property
    def owns_postgres(self) -> bool:
        return False

    def close(self) -> None:
        """Do nothing: the servers keep running for the next fork."""

    def end(self) -> None:
        super().close()


@dataclass
class Task:
    """The work of a fork: make a change, and run tests until one fails."""

    tests: list[pytest.Item]
    seconds: float
    """After this many seconds the fork is killed."""
    prepare: Callable[[], bool]
    finish: Callable[[str, float], None]
    """Called with the result and the seconds. The result is `passed`, `unchanged`, `cut off`, `error` and its text, or
    `failed`, `killed` or `crashed` and the test."""
    watch: Callable[[pytest.Item, list[pytest.TestReport]], bool]
    """Called after each test; returns whether to continue."""


@dataclass
class Child:
    task: Task
    pid: int
    folder: Path
    started: float = field(default_factory=time.monotonic)


class Forks:
    """Runs tasks in forks, one at a time for each pair of servers."""

    def __init__(self, session: pytest.Session, servers: list[SharedServers]) -> None:
        self._session = session
        self._servers = servers

    def run(self, next_task: Callable[[], Task | None], until: float) -> None:
        """Run tasks until `next_task` returns None and all forks have ended, or until the time `until`."""
        slots: list[Child | None] = [None] * len(self._servers)
        try:
            while True:
                for number, servers in enumerate(self._servers):
                    child = slots[number]
                    if child is not None and not self._has_ended(child, until):
                        continue
                    task = next_task() if time.monotonic() < until else None
                    slots[number] = None if task is None else self._begin(task, servers)
                if not any(slots):
                    return
                time.sleep(0.01)
        finally:
            for child in slots:
                if child is not None:
                    _kill(child.pid)
                    shutil.rmtree(child.folder, ignore_errors=True)

    def _begin(self, task: Task, servers: SharedServers) -> Child:
        folder = Path(tempfile.mkdtemp(prefix="mutant-"))
        pid = os.fork()
        if pid == 0:
            try:
                self._work(task, servers, folder)
            except BaseException as error:  # noqa: BLE001 - the fork ends here after any error
                (folder / "result").write_text(f"error {error!r}")
            os._exit(1)
        return Child(task, pid, folder)

    def _work(self, task: Task, servers: SharedServers, folder: Path) -> Never:
        os.setsid()
        quiet = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(quiet, number)
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        servers.begin()
        self._session.config._tmp_path_factory._basetemp = folder / "tests"  # type: ignore[attr-defined]
        (folder / "tests").mkdir()
        # pytest has imported conftest.py again. Its fixture calls the class by this name.
        setattr(sys.modules["conftest"], "Servers", servers.again)  # noqa: B010 - a module has no such attribute
        result = "unchanged"
        if task.prepare():
            begin_fork_server(folder)
            result = "passed"
            for test, following in zip_longest(task.tests, task.tests[1:]):
                (folder / "running").write_text(test.nodeid)
                reports = runtestprotocol(test, log=False, nextitem=following)
                if not task.watch(test, reports):
                    result = f"failed {test.nodeid}"
                    break
        (folder / "result").write_text(result)
        os._exit(0)

    def _has_ended(self, child: Child, until: float) -> bool:
        seconds = time.monotonic() - child.started
        if os.waitpid(child.pid, os.WNOHANG) == (0, 0):
            late = time.monotonic() > until + 5
            if seconds < child.task.seconds and not late:
                return False
            _kill(child.pid)
            os.waitpid(child.pid, 0)
            result = "cut off" if late else f"killed {_read(child.folder / 'running')}"
        else:
            result = _read(child.folder / "result") or f"crashed {_read(child.folder / 'running')}"
        _kill(child.pid)
        shutil.rmtree(child.folder, ignore_errors=True)
        child.task.finish(result, seconds)
        return True


def _read(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def _kill(pid: int) -> None:
    """Kill a fork and all processes that it has started."""
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)


def begin_fork_server(folder: Path) -> None:
    """Run the tests' commands as forks of this process, so that they contain its change."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "forks"))
    listener.listen(64)
    ended, alive = os.pipe()
    if os.fork() == 0:
        os.dup2(ended, 0)
        os.close(alive)
        forking_server.serve(listener)
        os._exit(0)
    listener.close()
    os.close(ended)
    os.environ[forking.SHARED] = str(folder / "forks")
