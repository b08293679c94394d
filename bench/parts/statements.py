"""Count the SQL statements of a request, which is sent to the application inside this process.

Usage: python -m bench.parts.statements DATABASE_FILE [--steps]

Reads the JSON body of a POST /graphql from standard input, and prints the number of statements without BEGIN and
COMMIT. The request is sent twice and the second one is counted, so that caches are filled. With --steps, prints the
number of instructions that SQLite's virtual machine executes for the statements.
"""

import asyncio
import sqlite3
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine

from tertulia.db.sqlite import add_functions
from tertulia.server.app import create_app
from tertulia.server.settings import Settings


@contextmanager
def recording(file: str) -> Generator[list[tuple[str, Any]]]:
    """Record the statements on a SQLite file, with their parameters."""
    seen: list[tuple[str, Any]] = []

    def note(connection: Connection, _cursor: object, statement: str, parameters: object, *_more: object) -> None:
        # All engines of the process call this, also those of other servers in the process.
        if connection.engine.url.database == file and not statement.startswith("BEGIN"):
            seen.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


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


async def statements(file: str, body: bytes) -> list[tuple[str, Any]]:
    """Send the request twice, and return the statements of the second one with their parameters."""
    app = create_app(Settings(database_url=f"sqlite+aiosqlite:///{file}", simulator_pace=0))
    with recording(file) as seen:
        async with app.router.lifespan_context(app):
            await ask(app, body)
            seen.clear()
            answer = await ask(app, body)
            executed = list(seen)
    assert b'"errors"' not in answer, answer[:500]
    print("\n\n".join(statement for statement, _ in executed), file=sys.stderr)
    return executed


def steps(file: str, executed: list[tuple[str, Any]]) -> int:
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
    executed = asyncio.run(statements(sys.argv[1], sys.stdin.buffer.read()))
    print(steps(sys.argv[1], executed) if "--steps" in sys.argv else len(executed))
