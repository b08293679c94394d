"""A host application with two Tertulias and its own login: `python embedding_host.py FOLDER [drain]`.

It runs uvicorn itself. With `drain`, it drains both Tertulias before uvicorn closes the sockets.
"""

import asyncio
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from running import prepare_database, settings
from starlette.requests import HTTPConnection

from tertulia import Tertulia, Viewer

PREFIXES = ("/sales", "/support")
TOKEN = "token-of-ada"


async def who_is_asking(connection: HTTPConnection) -> Viewer | None:
    token = connection.headers.get("authorization") or connection.state.connection_init.get("Authorization", "")
    return Viewer("ada@example.com", "Ada") if token == f"Bearer {TOKEN}" else None


def embed(folder: Path) -> Tertulia:
    folder.mkdir(exist_ok=True)
    # On a busy machine, an answer takes longer than the 30 seconds for which a drain waits by default.
    chosen = settings(folder, simulator_pace=0.5, drain_seconds=600)
    prepare_database(chosen.database_url)
    return Tertulia(chosen, authenticate=who_is_asking)


class DrainingServer(uvicorn.Server):
    """A uvicorn server that waits for running answers before it closes the sockets."""

    def __init__(self, config: uvicorn.Config, embedded: list[Tertulia]) -> None:
        super().__init__(config)
        self._embedded = embedded

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.gather(*(one.drain() for one in self._embedded))
        await super().shutdown(sockets)


def make_app(folder: Path) -> tuple[FastAPI, list[Tertulia]]:
    """Return the application and the Tertulias that are embedded in it."""
    embedded = [embed(folder / prefix.strip("/")) for prefix in PREFIXES]

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with embedded[0].lifespan(app), embedded[1].lifespan(app):
            yield

    app = FastAPI(lifespan=lifespan)
    for prefix, one in zip(PREFIXES, embedded, strict=True):
        app.mount(prefix, one.app)
    return app, embedded


def main(folder: Path, *, drain: bool) -> None:
    app, embedded = make_app(folder)
    config = uvicorn.Config(app, port=0, timeout_graceful_shutdown=5)
    server = DrainingServer(config, embedded) if drain else uvicorn.Server(config)
    server.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), drain="drain" in sys.argv)
