"""Run servers: uvicorn with our settings, and an announcement when it is ready."""

import logging
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from tertulia.server.app import create_app
from tertulia.server.environment import check_names
from tertulia.server.runtime.gc import tune_gc
from tertulia.server.runtime.http_protocol import HttpProtocol
from tertulia.server.runtime.socket_protocol import SocketProtocol
from tertulia.server.settings import Settings, known_names, load_settings
from tertulia.server.telemetry.log_format import JsonLines, TextLines

KEEP_ALIVE_SECONDS = 75
"""Longer than the idle timeout of common proxies (60 s): if the server closed first, a proxy would respond with 502."""
DRAIN_SECONDS = 10
"""Seconds for open requests to end after Ctrl+C."""
SWITCH_SECONDS = 0.0005
"""The time after which a thread gives up the interpreter's lock for the event loop. With Python's default of 5 ms,
tokens are late while a thread builds a long prompt: after each wait for sockets, the loop must get the lock again.
"""
MAX_MESSAGE = 2_000_000
"""Bytes of one WebSocket message. The limit of an HTTP request is the same."""


class AnnouncingServer(uvicorn.Server):
    """A server that announces on standard error that it listens."""

    def __init__(self, config: uvicorn.Config, announcement: str) -> None:
        super().__init__(config)
        self._announcement = announcement

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Exit with status 0 after SIGTERM and Ctrl+C, because everything is stored."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then announce it."""
        await super().startup(sockets)
        if self.started:
            announce(self._announcement)


def run(settings: Settings, listening: socket.socket, workers: int = 1) -> None:
    """Serve Tertulia until Ctrl+C or SIGTERM.

    Args:
        settings: The settings of the server.
        listening: The socket to accept connections on.
        workers: The number of processes; with 1, this process serves.
    """
    _log(settings)
    announcement = _announcement(settings, address_of(listening))
    if workers == 1:
        app = create_app(settings)
        tune_gc()
        _run(app, listening, announcement)
        return
    announce(announcement)
    Multiprocess(_config(f"{__name__}:worker", factory=True, workers=workers), [listening]).run()


def worker() -> FastAPI:
    """Return the application of one of several processes, with the settings of the environment."""
    settings = load_settings()
    _log(settings)
    app = create_app(settings)
    tune_gc()
    sys.setswitchinterval(SWITCH_SECONDS)
    return app


def _log(settings: Settings) -> None:
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    # At `debug`, libraries log users' texts: requests of the SDK, frames of sockets, parameters of SQL statements.
    logging.basicConfig(level=max(level, logging.INFO))
    for handler in logging.getLogger().handlers:
        handler.setFormatter(JsonLines() if settings.log_format == "json" else TextLines())
    logging.getLogger("tertulia").setLevel(level)
    for library in ("httpx2", "alembic", "anthropic"):
        logging.getLogger(library).setLevel(logging.WARNING)
    for warning in check_names(known_names()):
        logging.getLogger("tertulia").warning(warning)
    if settings.auth == "password" and settings.registration == "open":
        logging.getLogger("tertulia").warning(
            "Anybody can create an account. TERTULIA_REGISTRATION=closed prevents this."
        )
        if not settings.simulated and (settings.server_monthly_budget_usd or settings.server_daily_budget_usd) is None:
            logging.getLogger("tertulia").warning(
                "The total cost of all accounts is not limited. TERTULIA_SERVER_MONTHLY_BUDGET_USD limits it."
            )
    if settings.simulated and settings.anthropic_base_url:
        logging.getLogger("tertulia").warning("ANTHROPIC_BASE_URL is ignored, because ANTHROPIC_API_KEY is not set.")


def run_simulator(app: Any, listening: socket.socket) -> None:
    """Serve the simulated Claude until Ctrl+C."""
    address = address_of(listening)
    text = f"The simulated Claude listens on {address}\n  ANTHROPIC_BASE_URL={address} ANTHROPIC_API_KEY=anything"
    _run(app, listening, text)


def address_of(listening: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _run(app: Any, listening: socket.socket, announcement: str) -> None:
    sys.setswitchinterval(SWITCH_SECONDS)
    AnnouncingServer(_config(app, workers=1), announcement).run(sockets=[listening])


def _config(app: Any, **options: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws_max_size=MAX_MESSAGE,
        http=HttpProtocol,
        ws=SocketProtocol,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        **options,
    )


def announce(announcement: str) -> None:
    """Print an announcement on standard error, whatever the level of the log is."""
    print(announcement, file=sys.stderr, flush=True)  # noqa: T201 - this is what the operator looks for


def _announcement(settings: Settings, address: str) -> str:
    claude = (
        "The simulated Claude answers, because no ANTHROPIC_API_KEY is set."
        if settings.simulated
        else f"Claude answers. The default model is {settings.default_model}."
    )
    if settings.log_format == "json":
        fields = {"address": address, "version": version("tertulia")}
        record = {
            "name": "tertulia",
            "levelno": logging.INFO,
            "levelname": "INFO",
            "msg": f"Tertulia is ready. {claude}",
        }
        return JsonLines().format(logging.makeLogRecord(record | fields))
    return f"""
  Tertulia is ready.

    Chat      {address}
    GraphiQL  {address}/graphql
    REST      {address}/docs

  {claude}
  Stop with Ctrl+C.
"""
