"""The process that is forked: all of the server is imported, and each connection asks for one run of the command.

Run by its path: `forking_server.py SOCKET`. It ends with its standard input.
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
"""Bytes of a request: arguments, folder and environment."""

LAZY = (
    *("alembic.command", "anthropic", "limits.aio.storage", "limits.aio.strategies", "tertulia.claude.transport"),
    *("tertulia.db.postgresql", "tertulia.server.auth.oidc", "tertulia.server.auth.routes", "tertulia.simulator.app"),
    *("tertulia.streams.redis.log", "tertulia.transfer.exporter", "tertulia.transfer.importer"),
)
"""What servers import when they use it, and many tests do."""


def command_module() -> str:
    """Return the module of the command: the code may be that of a version before it was one package."""
    return "tertulia.cli.main" if find_spec("tertulia.cli") else "server.command"


def begin(asked: dict[str, Any], files: list[int]) -> None:
    """Become the command, in a fork."""
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.path[:0] = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    sys.argv = ["tertulia", *asked["arguments"]]
    # What a terminal gives a program: tests that run in the background would hand down an ignored Ctrl+C.
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
    """Fork for each who asks, say how each fork ended, and kill those whose asker has gone."""
    running: dict[int, socket.socket] = {}
    waking, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, wake)
    while True:
        heard_of: list[Any] = [0, listener, waking, *running.values()]
        ready, _, _ = select.select(heard_of, [], [])
        if 0 in ready and not os.read(0, 1):
            break
        if waking in ready:
            os.read(waking, 4096)
            reap(running)
        if listener in ready:
            accept(listener, running, (waking, woken))
        for child, asker in list(running.items()):
            if asker in ready:
                heard = b""
                with suppress(OSError):
                    heard = asker.recv(16)
                for number in heard or [signal.SIGKILL]:
                    os.kill(child, number)
                if not heard:
                    running.pop(child).close()
    for child in running:
        os.kill(child, signal.SIGKILL)


def wake(_number: int, _frame: object) -> None:
    """Do nothing: that a child has ended is read from the pipe."""


def reap(running: dict[int, socket.socket]) -> None:
    """Tell those who asked how their runs ended."""
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
    """Fork for one who asks."""
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
    # Not the tests' folder: what is served is found by PYTHONPATH.
    del sys.path[0]
    gc.disable()
    one_package = ("tertulia.server.app", "tertulia.server.run")
    for part in (command_module(), *(one_package if find_spec("tertulia.cli") else ("server.app", "server.serving"))):
        import_module(part)
    for part in LAZY:
        # The code may be that of a version before.
        with suppress(ImportError):
            import_module(part)
    # No fork has to look at what lives until the end.
    gc.collect()
    gc.freeze()
    gc.enable()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(sys.argv[1])
        listening.listen(64)
        serve(listening)
