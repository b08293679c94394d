"""Earlier versions: the databases that they wrote, recorded in `tests/databases`, and their code from git."""

import asyncio
import base64
import json
import re
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
from alembic.script import ScriptDirectory
from client import Api, Json
from programs import require, skip_or_fail

from tertulia.db.migrate import MIGRATIONS
from tertulia.server.settings import database_file

ROOT = Path(__file__).parent.parent
REVISIONS = sorted(script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions())
HEAD = REVISIONS[-1]
DATABASES = ROOT / "tests" / "databases"
RECORDED = sorted(file.name.partition("-")[0] for file in DATABASES.glob("*-sqlite.sql"))
"""The schema revisions that have recorded databases."""
AGE = timedelta(minutes=5)
"""How old a recorded database appears to the server that opens it: leases have expired, and nothing else."""
TIME = re.compile(r"(\d{4}-\d\d-\d\d)([ T])(\d\d:\d\d:\d\d)")


@dataclass(frozen=True)
class Recording:
    """A database that an earlier version wrote, and what the API of that version returned for it."""

    script: str
    """The SQL that creates and fills the database."""
    ids: dict[str, str]
    """The ids of conversations, generations and other rows, by name."""
    conversations: dict[str, Json]
    """The finished conversations, by name."""
    exports: dict[str, list[Json]]
    """The lines that `exported` returned for each of these conversations."""
    used_tokens: int
    spent: int
    """In 10^-12 US dollars."""
    key: str
    """The idempotency key of the first message."""
    personal_token: str
    blob: str
    attachment: bytes


def recording(revision: str, url: str) -> Recording:
    """Return the recording of a schema for the kind of database in `url`, with its times moved so that it is `AGE` old."""
    file = DATABASES / f"{revision}-{'sqlite' if database_file(url) else 'postgresql'}"
    text = file.with_suffix(".json").read_text(encoding="utf-8")
    recorded_at = datetime.fromisoformat(json.loads(text)["recorded_at"])
    script = file.with_suffix(".sql").read_text(encoding="utf-8")
    now = datetime.now(UTC)
    values: Json = json.loads(_move(text, recorded_at, now))
    del values["commit"], values["recorded_at"]
    attachment = base64.b64decode(values.pop("attachment"))
    return Recording(script=_move(script, recorded_at, now), attachment=attachment, **values)


def _move(text: str, recorded_at: datetime, now: datetime) -> str:
    """Move all times in a text by whole seconds, and replace the day of the recording by today."""
    shift = timedelta(seconds=int((now - AGE - recorded_at).total_seconds()))

    def moved(match: re.Match[str]) -> str:
        return (datetime.fromisoformat(match[0]) + shift).strftime(f"%Y-%m-%d{match[2]}%H:%M:%S")

    return TIME.sub(moved, text).replace(f"'{recorded_at:%Y-%m-%d}'", f"'{now:%Y-%m-%d}'")


def load(recorded: Recording, url: str, folder: Path) -> None:
    """Create the recorded database, and store its attachment where a server in `folder` looks for it."""
    file = database_file(url)
    if file is not None:
        with closing(sqlite3.connect(file)) as connection:
            connection.executescript(recorded.script)
    else:
        asyncio.run(_execute(url.replace("+asyncpg", ""), recorded.script))
    stored = folder / "files" / recorded.blob[-2:] / recorded.blob
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_bytes(recorded.attachment)


async def _execute(url: str, script: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(script)
    await connection.close()


def exported(api: Api, conversation: str) -> list[Json]:
    """Return the lines of a conversation's export, except the first, which has the time of the export."""
    return [json.loads(line) for line in api.http.get(f"/export/{conversation}").text.splitlines()[1:]]


def former_code(folder: Path) -> Path:
    """Write the code of the version before the current schema into a folder, and return the folder to import it from.

    Skips or fails the test if git does not have that version.
    """
    require("git")
    if not (commit := _former_commit()):
        skip_or_fail("This test needs the whole history of the repository. Run `git fetch --unshallow`.")
    code = extract(commit, folder)
    assert not list((folder / "db" / "migrations" / "versions").glob(f"{HEAD}_*.py"))
    return code


def extract(commit: str, folder: Path) -> Path:
    """Write the code of a commit into a folder, and return the folder to import it from."""
    folder.mkdir(exist_ok=True)
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", commit], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
    return folder / "src" if (folder / "src").exists() else folder


def command_module(code: Path) -> str:
    """Return the module whose `main` is the command."""
    return "tertulia.cli.main" if (code / "tertulia" / "cli").exists() else "server.command"


def _former_commit() -> str:
    """Return the newest commit with the schema before the current one, or an empty string if git does not have it."""
    (head,) = (MIGRATIONS / "versions").glob(f"{HEAD}_*.py")
    added = _git("log", "--format=%H", "--diff-filter=A", "--", str(head.resolve().relative_to(ROOT.resolve())))
    if not added:
        # The migration is not committed yet.
        return _git("rev-parse", "--verify", "-q", "HEAD^{commit}")
    return _git("rev-parse", "--verify", "-q", f"{added.splitlines()[-1]}^^{{commit}}")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], check=False, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""
