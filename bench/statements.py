"""Counts the SQL statements of a request, by asking the application inside of this process.

Usage: statements.py DATABASE_FILE, the JSON body of a POST /graphql on standard input. Prints the number; transactions'
BEGIN and COMMIT are not counted. The request is made twice, and the second one counts: nothing is cached by chance.
"""

import asyncio
import sys
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from server.app import create_app
from server.settings import Settings

seen: list[str] = []


def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
    """Remember a statement."""
    if not statement.startswith("BEGIN"):
        seen.append(statement)


async def ask(app: Any, body: bytes) -> bytes:
    """Make one request of ASGI's; give the answer's body."""
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


async def count(file: str, body: bytes) -> int:
    """Ask twice on an open application."""
    event.listen(Engine, "before_cursor_execute", note)
    app = create_app(Settings(database_url=f"sqlite+aiosqlite:///{file}", simulator_pace=0))
    async with app.router.lifespan_context(app):
        await ask(app, body)
        seen.clear()
        answer = await ask(app, body)
        statements = list(seen)
    assert b'"errors"' not in answer, answer[:500]
    print("\n\n".join(statements), file=sys.stderr)
    return len(statements)


if __name__ == "__main__":
    print(asyncio.run(count(sys.argv[1], sys.stdin.buffer.read())))
