"""The process that is forked: it imports the whole server and forks one run of the command for each connection.

Run it by its path: `forking_server.py SOCKET`. It exits when its standard input is closed.
"""

import gc
import io
import json
import os
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any

MOST = 1 << 20
"""The largest size of a request (arguments, folder and environment), in bytes."""

LAZY = (
    *("alembic.command", "anthropic", "limits.aio.storage", "limits.aio.strategies", "tertulia.claude.transport"),
    *("tertulia.db.postgresql", "tertulia.server.auth.oidc", "tertulia.server.auth.routes", "tertulia.simulator.app"),
    *("tertulia.streams.redis.log", "tertulia.transfer.exporter", "tertulia.transfer.importer"),
    *(
        "tertulia.server.start_checks",
        "regex",
        "httpcore2",
        "httpx2._config",
        "truststore",
        "uvloop",
        "uvicorn.lifespan.on",
    ),
    *("fastapi.telemetry._runtime", "pydantic.v1", "anyio.streams.tls", "typer._adapters", "typer._click.decorators"),
)
"""Modules that servers import only when they use them, which many tests do."""


def command_module() -> str:
    """Return the module of the command. Versions before the code became one package have it elsewhere."""
    return "tertulia.cli.main" if find_spec("tertulia.cli") else "server.command"


def prepare() -> None:
    """Create an application and the mappers of all tables, which all servers would do again."""
    from sqlalchemy.orm import configure_mappers

    from tertulia.server.app import create_app
    from tertulia.server.settings import Settings

    create_app(Settings(auth="password"))
    configure_mappers()


def begin(request: dict[str, Any], files: list[int]) -> None:
    """Turn the current fork into the command. Never returns."""
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[:0] = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    sys.argv = ["tertulia", *request["arguments"]]
    # A program in a terminal handles Ctrl+C. Tests that run in the background would pass on an ignored SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.environ.get("PYTHONUNBUFFERED"):
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "wb", closefd=False), write_through=True)
    status = 1
    try:
        import_module(command_module()).main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as Python itself does
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def serve(listener: socket.socket) -> None:
    """Fork for each connection, report how each fork ended, and kill forks whose connection is closed."""
    running: dict[int, socket.socket] = {}
    waking, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, wake)
    while True:
        readable: list[Any] = [0, listener, waking, *running.values()]
        ready, _, _ = select.select(readable, [], [])
        if 0 in ready and not os.read(0, 1):
            break
        if waking in ready:
            os.read(waking, 4096)
            reap(running)
        if listener in ready:
            accept(listener, running, (waking, woken))
        for child, asker in list(running.items()):
            if asker in ready:
                signals = b""
                with suppress(OSError):
                    signals = asker.recv(16)
                for number in signals or [signal.SIGKILL]:
                    os.kill(child, number)
                if not signals:
                    running.pop(child).close()
    for child in running:
        os.kill(child, signal.SIGKILL)


def wake(_number: int, _frame: object) -> None:
    """Do nothing. The pipe already reports that a child has ended."""


def reap(running: dict[int, socket.socket]) -> None:
    """Send the exit status of each fork that has ended to the client that started it."""
    while True:
        try:
            child, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if child == 0:
            return
        asker = running.pop(child, None)
        if asker is not None:
            with suppress(OSError):
                asker.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
            asker.close()


def accept(listener: socket.socket, running: dict[int, socket.socket], own: tuple[int, int]) -> None:
    """Accept a connection and fork for it."""
    asker, _ = listener.accept()
    text, files, _, _ = socket.recv_fds(asker, MOST, 3)
    if not text:
        asker.close()
        return
    while not text.endswith(b"\n"):
        text += asker.recv(MOST)
    child = os.fork()
    if child == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for other in (listener, asker, *running.values()):
            other.close()
        for number in own:
            os.close(number)
        begin(json.loads(text), files)
    for file in files:
        os.close(file)
    running[child] = asker
    with suppress(OSError):
        asker.sendall(f"{child}\n".encode())


if __name__ == "__main__":
    # Remove the tests' folder: the served code is found by PYTHONPATH.
    del sys.path[0]
    gc.disable()
    one_package = ("tertulia.server.app", "tertulia.server.run")
    for part in (command_module(), *(one_package if find_spec("tertulia.cli") else ("server.app", "server.serving"))):
        import_module(part)
    for part in LAZY:
        # An earlier version may not have the module.
        with suppress(ImportError):
            import_module(part)
    with suppress(Exception):
        prepare()
    # Imported modules live until the end, so the garbage collector of a fork need not scan them.
    gc.collect()
    gc.freeze()
    gc.enable()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(sys.argv[1])
        listening.listen(64)
        serve(listening)
