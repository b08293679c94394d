"""Real servers for the tests, each in its own thread and on a free port."""

import asyncio
import atexit
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal

import redis
import uvicorn
from argon2 import PasswordHasher
from pydantic_settings import BaseSettings
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tertulia.db.migrate import migrate
from tertulia.ratelimit import limits
from tertulia.server import services
from tertulia.server.app import create_app
from tertulia.server.auth import passwords, throttle
from tertulia.server.run import KEEP_ALIVE_SECONDS
from tertulia.server.runtime import gc as runtime_gc
from tertulia.server.runtime.http_protocol import HttpProtocol
from tertulia.server.runtime.socket_protocol import SocketProtocol
from tertulia.server.settings import Settings, database_file

START_SECONDS = 30
RECOMMENDED_HASHER = passwords.HASHER
"""The hasher of real servers. This process uses a cheaper one, because the tests sign in hundreds of times."""
passwords.HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
# A full pass traverses all objects of the test process, and each of its servers would start some.
runtime_gc.CHECK_SECONDS = 86_400.0
# The first deletions take half of the CPU time of a start. Tests of deletions start their servers in `sweeping`.
services.SWEEPS_AT_START = False
# On a busy machine, Redis itself answers later than this; the limits would not be counted.
limits.STORE_PATIENCE = throttle.REDIS_PATIENCE = 3.0


@contextmanager
def sweeping() -> Generator[None]:
    """Make the servers that start in this block delete expired data at their start, as real servers do."""
    services.SWEEPS_AT_START = True
    try:
        yield
    finally:
        services.SWEEPS_AT_START = False


@contextmanager
def killed_after(process: "subprocess.Popen[str]", seconds: float = 120) -> Generator[None]:
    """Kill a process if the block takes longer than `seconds`, so that reading its output cannot block forever."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def read_until(process: "subprocess.Popen[str]", text: str, seconds: float = 120) -> str:
    """Read a process's output one character at a time until it contains `text`, and return it."""
    assert process.stdout is not None
    printed = ""
    with killed_after(process, seconds):
        while text not in printed:
            piece = process.stdout.read(1)
            assert piece, f"the process ended, or was killed after {seconds:g} seconds, before {text!r}: {printed}"
            printed += piece
    return printed


class LoopClock:
    """The time of an event loop, which a test may stop and move forward."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ahead = 0.0
        self._stopped_at: float | None = None

    def time(self) -> float:
        return time.monotonic() + self._ahead if self._stopped_at is None else self._stopped_at

    @contextmanager
    def stopped(self) -> Generator[Callable[[float], None]]:
        """Stop the time, and yield a function that moves it forward by some seconds and runs the due timers."""
        self._stopped_at = self.time()
        vars(self._loop)["time"] = self.time
        self._finish_step()
        try:
            yield self._advance
        finally:
            self._ahead = self._stopped_at - time.monotonic()
            self._stopped_at = None
            self._finish_step()

    def _advance(self, seconds: float) -> None:
        assert self._stopped_at is not None
        self._finish_step()
        self._stopped_at += seconds
        # The loop finds the timers that are due after the first of these steps.
        self._finish_step()
        self._finish_step()

    def _finish_step(self) -> None:
        """Wake the loop, and wait until it has finished its current step."""
        finished = threading.Event()
        self._loop.call_soon_threadsafe(finished.set)
        assert finished.wait(START_SECONDS)


CLOCKS: dict[str, LoopClock] = {}
"""The clocks of the running servers, by address."""


ACCEPT_STEPS = 5
"""How many steps a loop takes at most from accepting a connection to reporting it to its protocol, with some to spare."""


class ThreadedServer(uvicorn.Server):
    """A uvicorn server that reports when it listens and exits at once when asked to."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.loop, self.left = asyncio.get_running_loop(), asyncio.Event()
        self.clock = LoopClock(self.loop)
        self.listens.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self.left.wait(), 1.0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Shut down like uvicorn, which waits at least 0.1 s for connections that close in a few milliseconds."""
        # No longer accept, but close the listener after the last accepted connection is known: asyncio loses it otherwise.
        for listener in sockets or ():
            self.loop.remove_reader(listener.fileno())
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                await self._close_connections()
        for listener in (*self.servers, *(sockets or ())):
            listener.close()
        for task in self.server_state.tasks:
            task.cancel()
        await self.lifespan.shutdown()
        for connection in self.server_state.connections:
            connection.transport.abort()

    async def _close_connections(self) -> None:
        """Close the connections, also those that have just been accepted and are known a few steps later."""
        asked = set[Any]()
        idle_steps = 0
        while idle_steps < ACCEPT_STEPS:
            for connection in self.server_state.connections - asked:
                connection.shutdown()
                asked.add(connection)
            if self.server_state.connections or self.server_state.tasks:
                idle_steps = 0
                await asyncio.sleep(0.005)
            else:
                idle_steps += 1
                await asyncio.sleep(0)

    def leave(self) -> None:
        self.should_exit = True
        if self.listens.is_set():
            with suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self.left.set)


@contextmanager
def running(
    app: Any,
    *,
    lifespan: Literal["on", "off"] = "on",
    ws: type[asyncio.Protocol] = SocketProtocol,
    http: type[asyncio.Protocol] = HttpProtocol,
) -> Generator[str]:
    """Serve an ASGI application and yield its address."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        log_config=None,
        server_header=False,
        lifespan=lifespan,
        http=http,
        ws=ws,
        ws_max_size=2_000_000,
        timeout_graceful_shutdown=2,
        # Uvicorn's default of 5 s can end while a test waits for the core, just when its client sends the next request.
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    server = ThreadedServer(config)
    thread = threading.Thread(target=asyncio.run, args=(server.serve([listening]),), daemon=True)
    thread.start()
    try:
        assert server.listens.wait(START_SECONDS), "the server did not start"
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        CLOCKS[address] = server.clock
        yield address
        del CLOCKS[address]
    finally:
        server.leave()
        thread.join(START_SECONDS)
        listening.close()


class FixedSettings(Settings):
    """Settings that ignore the environment and `.env`."""

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: Any, *_args: Any, **_more: Any
    ) -> tuple[Any, ...]:
        return (init_settings,)


def settings(folder: Path, **more: Any) -> Settings:
    """Return settings for a server whose database and attachments are in a folder."""
    values: dict[str, Any] = {
        "database_url": f"sqlite+aiosqlite:///{folder / 'tertulia.db'}",
        "attachments": str(folder / "files"),
        "simulator_pace": 0,
        # Also with accounts, where clients may set less by default.
        "clients_may_set": ("instructions", "model", "options", "tools"),
        # A scripted Claude's replies are for answers, not for titles.
        "title_model": "",
    }
    return FixedSettings(**(values | more))


def stopped_clock(address: str) -> AbstractContextManager[Callable[[float], None]]:
    """Stop the time of a server's event loop, whose timers then run only when the test moves the time."""
    return CLOCKS[address].stopped()


@contextmanager
def tertulia(folder: Path, **more: Any) -> Generator[str]:
    """Serve Tertulia and yield its address."""
    configured = settings(folder, **more)
    prepare_database(configured.database_url)
    with running(create_app(configured)) as address:
        yield address


def prepare_database(url: str) -> None:
    """Create a migrated database at a SQLite URL if its file does not exist."""
    file = database_file(url)
    if file is not None and not file.exists():
        shutil.copyfile(migrated(), file)


@cache
def migrated() -> Path:
    """Return an empty migrated database, made once: copying it is faster than migrating."""
    folder = Path(mkdtemp(prefix="tertulia-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    asyncio.run(migrate(f"sqlite+aiosqlite:///{folder / 'migrated.db'}"))
    return folder / "migrated.db"


def execute(place: dict[str, Any], statement: str) -> list[Any]:
    """Run an SQL statement on a database while a server uses it, and return its rows."""

    async def work() -> list[Any]:
        engine = create_async_engine(place["database_url"].replace("postgresql://", "postgresql+asyncpg://"))
        async with engine.begin() as connection:
            result = await connection.execute(text(statement))
            rows = list(result.all()) if result.returns_rows else []
        await engine.dispose()
        return rows

    return asyncio.run(work())


def forget_logs(place: dict[str, Any]) -> None:
    """Delete all stored events, as happens after their retention time."""
    if "redis_url" in place:
        client = redis.Redis.from_url(place["redis_url"])
        client.flushdb()
        client.close()
