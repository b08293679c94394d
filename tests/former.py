"""Databases as earlier versions left them: real rows of this version, of which a schema gets what it has places for."""

import asyncio
import subprocess
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy
from alembic.script import ScriptDirectory
from client import Api, Json, wait_until
from conftest import SECRET as KEY
from media import pdf
from people import SECRET
from programs import require, skip_or_fail
from running import tertulia
from scripted import START, Gate, Reply, begin, delta, end, finish, says, scripted, text, uses
from sqlalchemy import Connection, column, inspect, select

from tertulia.db.database import open_engine
from tertulia.db.identities import PersonalToken, SignIn
from tertulia.db.migrate import MIGRATIONS, migrate
from tertulia.db.search import insertion
from tertulia.db.tables import METADATA, UNFINISHED, Conversation, Generation, Message, Role, Status, new_id, now
from tertulia.server.auth.jwt import Tokens, digest_of, new_personal_token

ROOT = Path(__file__).parent.parent
HEAD = str(ScriptDirectory(str(MIGRATIONS)).get_current_head())
RENAME = "mutation ($input: UpdateConversationInput!) { updateConversation(input: $input) { __typename } }"
EDIT = """mutation ($input: EditMessageInput!) { editMessage(input: $input) {
  __typename ... on SendMessagePayload { generation { id } }
} }"""
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
CONVERSATIONS = ("travel", "failed", "shown", "waiting", "running", "long")
TURNS = 300
"""Of a conversation that is longer than any step of a migration takes at once."""


@dataclass
class Past:
    """What was there: the rows of each table, and what the public API said of them."""

    rows: dict[str, list[Json]]
    seen: dict[str, Json]
    """Finished conversations by what they are, as the API showed them."""
    used: int
    """Tokens of the model's window that the first conversation has in use."""
    ids: dict[str, str]
    key: str
    blobs: dict[str, bytes]
    personal: str
    access: str
    refresh: str

    @property
    def conversations(self) -> set[str]:
        return {self.ids[name] for name in CONVERSATIONS}


def remember(folder: Path) -> Past:
    """Talk to a server of this version, and take a picture of its database while it writes."""
    gate, halting = Gate(), Gate()
    replies = [
        THOUGHT,
        says("Then the", halting),
        says("Porto has a breeze"),
        REFUSED,
        says("It says that sales rose."),
    ]
    replies += [uses(("read_page", {})), says("Half of it", gate, " and the rest"), says("unseen")]
    with scripted(*replies) as claude:
        keyed = {"anthropic_api_key": KEY, "anthropic_base_url": claude.address}
        with tertulia(folder, **keyed) as address, Api(address) as api:
            try:
                return _told(api, folder, halting)
            finally:
                gate.open.set()


def _told(api: Api, folder: Path, halting: Gate) -> Past:
    key = str(uuid4())
    sent = api.send("Where shall I go?", idempotencyKey=key)
    api.follow(sent["generation"]["id"])
    travel: str = sent["conversation"]["id"]
    api.ask(RENAME, input={"id": travel, "title": "Travel", "pinned": True, "systemPrompt": "Be brief."})
    halted = api.send("And in winter?", conversationId=travel)
    api.wait_for_text(halted["generation"]["id"], "Then the")
    api.stop(halted["generation"]["id"])
    halting.open.set()
    edited = api.ask(EDIT, input={"messageId": halted["userMessage"]["id"], "text": "And in summer?"})["editMessage"]
    api.follow(edited["generation"]["id"])
    failed = _answered(api, "What is wrong?")
    file = pdf("Sales rose.")
    attached = api.http.post("/attachments", files={"file": ("report.pdf", file)}).json()["id"]
    shown = _answered(api, "What does it say?", attachmentIds=[attached])
    waiting = api.send("Read it", tools={"client": [TOOL]})
    wait_until(lambda: _status(api, waiting["generation"]["id"]) == "AWAITING_TOOL_RESULTS", seconds=60)
    running = api.send("Tell me all")
    api.wait_for_text(running["generation"]["id"], "Half of it")
    queued = api.send("And then?", conversationId=running["conversation"]["id"], whenBusy="QUEUE")
    rows: dict[str, list[Json]] = {}
    wait_until(lambda: _is_saved(rows, folder, running["generation"]["message"]["id"]), seconds=60)
    ids = {"travel": travel, "failed": failed, "shown": shown, "running": running["conversation"]["id"]}
    ids |= {"waiting": waiting["conversation"]["id"]}
    seen = {name: api.conversation(ids[name]) for name in ("travel", "failed", "shown")}
    owner: UUID = rows["users"][0]["id"]
    ids["long"] = _add_a_long_one(rows, owner)
    personal, access, refresh = _let_in(rows, owner)
    _age(rows)
    blobs = {rows["blobs"][0]["id"].hex: file}
    ids |= {"running answer": running["generation"]["id"], "queued answer": queued["generation"]["id"]}
    ids |= {"waiting answer": waiting["generation"]["id"], "attachment": attached, "answer": sent["generation"]["id"]}
    return Past(rows, seen, used_tokens(api, travel), ids, key, blobs, personal, access, refresh)


def used_tokens(api: Api, conversation: str) -> int:
    query = "query ($id: ID!) { conversation(id: $id) { context { usedTokens } } }"
    return int(api.ask(query, id=conversation)["conversation"]["context"]["usedTokens"])


def _answered(api: Api, text: str, **more: Any) -> str:
    sent = api.send(text, **more)
    api.follow(sent["generation"]["id"])
    return str(sent["conversation"]["id"])


def _status(api: Api, generation: str) -> str:
    return str(api.ask("query ($id: ID!) { generation(id: $id) { status } }", id=generation)["generation"]["status"])


def _is_saved(rows: dict[str, list[Json]], folder: Path, message: str) -> bool:
    rows |= asyncio.run(_read(f"sqlite+aiosqlite:///{folder / 'tertulia.db'}"))
    return any(str(row["id"]) == message and row["content"] for row in rows["messages"])


async def _read(url: str) -> dict[str, list[Json]]:
    engine = open_engine(url)
    found: dict[str, list[Json]] = {}
    async with engine.connect() as connection:
        for table in METADATA.sorted_tables:
            found[table.name] = [dict(row) for row in (await connection.execute(select(table))).mappings()]
    await engine.dispose()
    return found


def _add_a_long_one(rows: dict[str, list[Json]], owner: UUID) -> str:
    made = Conversation(owner_id=owner, title="Long", model="claude-opus-5-5")
    parent: UUID | None = None
    for turn in range(TURNS):
        for depth, role, words in ((2 * turn, Role.USER, "Ask"), (2 * turn + 1, Role.ASSISTANT, "Answer")):
            content = [{"type": "text", "text": f"{words} number{turn}"}]
            one = Message(conversation_id=made.id, parent_id=parent, role=role, depth=depth, content=content)
            rows["messages"].append(one.model_dump())
            parent = one.id
        moment = now()
        answer = Generation(
            conversation_id=made.id,
            message_id=parent or new_id(),
            status=Status.COMPLETED,
            model=made.model,
            sequence=3,
            stop_reason="end_turn",
            input_tokens=2,
            output_tokens=1,
            started_at=moment,
            finished_at=moment,
        )
        rows["generations"].append(answer.model_dump())
    made.active_leaf_id = parent
    made.input_tokens, made.output_tokens, made.amount = 2 * TURNS, TURNS, None
    rows["conversations"].append(made.model_dump())
    return str(made.id)


def _let_in(rows: dict[str, list[Json]], owner: UUID) -> tuple[str, str, str]:
    tokens, sign_in, personal = Tokens(SECRET), SignIn(owner_id=owner, expires_at=now() + timedelta(days=9)), ""
    personal = new_personal_token()
    rows["sign_ins"].append(sign_in.model_dump())
    rows["personal_tokens"].append(
        PersonalToken(owner_id=owner, label="script", digest=digest_of(personal)).model_dump()
    )
    return personal, tokens.access(owner, sign_in.id), tokens.refresh(owner, sign_in.id, 0)


def _age(rows: dict[str, list[Json]]) -> None:
    """Let the process that wrote be gone for an hour."""
    for row in rows["generations"]:
        if row["status"] in UNFINISHED:
            row["created_at"] -= timedelta(hours=1)
            row["lease_until"] = row["lease_until"] and row["lease_until"] - timedelta(hours=1)


def put(past: Past, url: str, revision: str) -> None:
    """Make a database of a former schema, with all that it could hold."""

    async def work() -> None:
        await migrate(url, revision)
        engine = open_engine(url)
        try:
            async with engine.execution_options(writes=True).begin() as connection:
                await connection.run_sync(_fill, past)
        finally:
            await engine.dispose()

    asyncio.run(work())


def _fill(connection: Connection, past: Past) -> None:
    inspector = inspect(connection)
    contents: list[tuple[UUID, UUID, list[Json]]] = []
    for table in METADATA.sorted_tables:
        if table.name not in inspector.get_table_names():
            continue
        columns = {one["name"] for one in inspector.get_columns(table.name)}
        kept = sorted(past.rows[table.name], key=lambda row: str(row.get("id")))
        values = [{name: value for name, value in row.items() if name in columns} for row in kept]
        if values:
            # Not the table as it is now, whose defaults would be inserted too.
            then = sqlalchemy.table(table.name, *(column(one.name, one.type) for one in table.c if one.name in columns))
            connection.execute(sqlalchemy.insert(then), values)
        if table.name == "messages":
            owner = past.rows["users"][0]["id"]
            contents = [(owner, row["id"], row["content"]) for row in kept]
    connection.execute(*insertion(connection.dialect.name, contents))


def lay_files(past: Past, folder: Path) -> None:
    """Put the bytes of attachments where a server looks for them."""
    for name, data in past.blobs.items():
        (folder / "files" / name[-2:]).mkdir(parents=True, exist_ok=True)
        (folder / "files" / name[-2:] / name).write_bytes(data)


def former_code(folder: Path) -> Path:
    """Write the code of the version before the present schema into a folder, and return the folder to import it from.

    Skips or fails the test where git does not have that version.
    """
    require("git")
    if not (commit := _former_commit()):
        skip_or_fail("This test needs the whole history of the repository. Run `git fetch --unshallow`.")
    folder.mkdir(exist_ok=True)
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", commit], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
    assert not list((folder / "db" / "migrations" / "versions").glob(f"{HEAD}_*.py"))
    return folder / "src" if (folder / "src").exists() else folder


def _former_commit() -> str:
    """Give the newest commit that wants the schema before the present one; nothing where it is not there."""
    (head,) = (MIGRATIONS / "versions").glob(f"{HEAD}_*.py")
    added = _git("log", "--format=%H", "--diff-filter=A", "--", str(head.resolve().relative_to(ROOT.resolve())))
    if not added:
        # The migration is not committed yet.
        return _git("rev-parse", "--verify", "-q", "HEAD^{commit}")
    return _git("rev-parse", "--verify", "-q", f"{added.splitlines()[-1]}^^{{commit}}")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], check=False, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""
