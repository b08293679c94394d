"""Count the SQL statements of requests, which are sent to the application inside this process.

Usage: python -m bench.parts.statements DATABASE_FILE < BODIES

Reads bodies of POST /graphql from standard input, one per line, and prints a line of JSON for each: the number of its
statements without BEGIN and COMMIT, and the number of instructions that SQLite executes for them. Each request is sent
twice and the second one is counted, so that caches are filled.
"""

import asyncio
import json
import sqlite3
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from unittest.mock import patch

from tertulia.db.sqlite import Connection, Result, add_functions
from tertulia.server.app import create_app
from tertulia.server.settings import Settings

Statement = tuple[str, Any]
"""The text of a statement, and its parameters."""
_in_request: ContextVar[bool] = ContextVar("_in_request", default=False)
"""Whether a statement belongs to the request. The application's own tasks, which read and write too, have no value."""


@contextmanager
def recording() -> Generator[list[Statement]]:
    """Record the statements of this request, with their parameters."""
    seen: list[Statement] = []
    run = Connection.run

    async def recorded(connection: Connection, statement: str, parameters: Any, *, many: bool) -> Result:
        if _in_request.get():
            seen.append((statement, parameters))
        return await run(connection, statement, parameters, many=many)

    token = _in_request.set(True)
    try:
        with patch.object(Connection, "run", recorded):
            yield seen
    finally:
        _in_request.reset(token)


async def ask(app: Any, body: bytes) -> bytes:
    """Send one request over ASGI, and return the body of the response."""
    sent: list[bytes] = []
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json"), (b"accept", b"application/json")]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/graphql",
        "raw_path": b"/graphql",
        "root_path": "",
        "query_string": b"",
        "headers": headers,
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message.get("body", b""))

    await app(scope, receive, send)
    return b"".join(sent)


async def statements(file: str, bodies: Sequence[bytes]) -> list[list[Statement]]:
    """Send each request twice, and return the statements of the second one with their parameters."""
    app = create_app(Settings(database_url=f"sqlite+aiosqlite:///{file}", simulator_pace=0))
    executed: list[list[Statement]] = []
    async with app.router.lifespan_context(app):
        for body in bodies:
            await ask(app, body)
            with recording() as seen:
                answer = await ask(app, body)
            assert b'"errors"' not in answer, answer[:500]
            executed.append(seen)
    return executed


def steps(file: str, executed: list[Statement]) -> int:
    """Execute the statements again, and return the number of instructions of SQLite's virtual machine."""
    connection = sqlite3.connect(file)
    add_functions(connection)
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    connection.set_progress_handler(step, 1)
    for statement, parameters in executed:
        connection.execute(statement, parameters).fetchall()
    connection.close()
    return count


if __name__ == "__main__":
    for executed in asyncio.run(statements(sys.argv[1], sys.stdin.buffer.read().splitlines())):
        print(json.dumps({"statements": len(executed), "steps": steps(sys.argv[1], executed)}))
