"""The handwritten peer: a FastAPI route that returns the list with SQL over aiosqlite and orjson.

It shows the cost of a page whose fields clients cannot choose. The SQL is what an expert would write for this page: two
statements that read by index. The response must equal Tertulia's for the same database, which the benchmark checks.
"""

import argparse
import base64
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote
from uuid import UUID

import aiosqlite
import orjson
import uvicorn
from fastapi import FastAPI, Request, Response

PAGE = """
SELECT c.id, c.title, c.updated_at, m.id, m.content, m.role,
  c.input_tokens, c.output_tokens, c.cache_read_tokens, c.cache_write_tokens,
  (SELECT json_array(g.id, g.status) FROM generations g
   WHERE g.conversation_id = c.id AND g.status IN ('queued', 'running', 'awaiting_tool_results') ORDER BY g.id LIMIT 1)
FROM conversations c LEFT JOIN messages m ON m.id = c.active_leaf_id
WHERE c.owner_id = ? ORDER BY c.updated_at DESC, c.id DESC LIMIT 51
"""


def _uuid(stored: str) -> str:
    return str(UUID(stored))


def _edge(row: Any) -> dict[str, Any]:
    conversation, title, updated, message, content, role, inputs, outputs, read, written, active = row
    updated_at = updated.replace(" ", "T").removesuffix(".000000") + "+00:00"
    own = _uuid(conversation)
    running = orjson.loads(active) if active else None
    text = "".join(block["text"] for block in orjson.loads(content) if block["type"] == "text") if message else ""
    return {
        "cursor": base64.urlsafe_b64encode(f"{quote(updated_at, safe='')}|{own}".encode()).decode().rstrip("="),
        "node": {
            "id": own,
            "title": title,
            "updatedAt": updated_at,
            "lastMessage": {"id": _uuid(message), "text": text, "role": role.upper()} if message else None,
            "usage": {
                "inputTokens": inputs,
                "outputTokens": outputs,
                "cacheReadTokens": read,
                "cacheWriteTokens": written,
                "costUsd": None,
            },
            "activeGeneration": {"id": _uuid(running[0]), "status": running[1].upper()} if running else None,
        },
    }


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """Keep one connection open, which only reads."""
    async with aiosqlite.connect(os.environ["DATABASE_URL"].partition(":///")[2]) as connection:
        app.state.connection = connection
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/conversations")
async def conversations(request: Request) -> Response:
    """Return the first page."""
    connection: aiosqlite.Connection = request.app.state.connection
    [[owner]] = await connection.execute_fetchall("SELECT id FROM users WHERE name = 'local'")
    rows = list(await connection.execute_fetchall(PAGE, (owner,)))
    edges = [_edge(row) for row in rows[:50]]
    info = {"hasNextPage": len(rows) > len(edges), "endCursor": edges[-1]["cursor"] if edges else None}
    body = {"data": {"conversations": {"edges": edges, "pageInfo": info}}}
    return Response(orjson.dumps(body), media_type="application/json")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=parser.parse_args().port,
        log_level="warning",
        access_log=False,
        loop="uvloop",
        http="httptools",
    )
