"""The `tertulia` command, run as a separate process."""

import asyncio
import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import forking
import pytest
from client import WAIT, Api, wait_until
from former import REVISIONS
from running import killed_after, read_until, running, tertulia
from typer.testing import CliRunner, Result

from tertulia.cli.main import app
from tertulia.db.migrate import migrate, schema_of
from tertulia.schema.federation import subgraph_sdl
from tertulia.schema.root import schema
from tertulia.server.environment import ENV_FILE_VARIABLE
from tertulia.simulator.app import create_simulator

REAL = str(Path(sys.executable).with_name("tertulia"))
"""The program itself, which takes three seconds to start. All other tests fork a process that has already started."""
ROOT = Path(__file__).parent.parent


def environment(more: dict[str, str]) -> dict[str, str]:
    prefixes = ("TERTULIA_", "ANTHROPIC_", "DATABASE_URL", "REDIS_URL")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    return {
        **inherited,
        "PYTHONPATH": str(forking.CODE),
        "NO_COLOR": "1",
        "TERTULIA_SIMULATOR_PACE": "0",
        "TERTULIA_TITLE_MODEL": "",
        **more,
    }


def run_here(folder: Path, *arguments: str, stdin: str = "", **more: str) -> Result:
    """Run the command in this process, because starting another one takes seconds."""
    variables = environment(more)
    removed = dict.fromkeys(name for name in os.environ if name not in variables)
    with contextlib.chdir(folder):
        return CliRunner().invoke(app, arguments, input=stdin, env=removed | variables)


def run(folder: Path, *arguments: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [forking.command() / "tertulia", *arguments], cwd=folder, env=environment(more), input=stdin,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@contextmanager
def started(
    folder: Path, *arguments: str, program: Path | str | None = None, **more: str
) -> Generator[tuple[subprocess.Popen[str], str]]:
    """Start a serving command on a free port, and yield the process and its output until it listened.

    Nobody reads the output after that, so it must stay shorter than the buffer of a pipe.
    """
    variables = environment({"TERTULIA_LOG_LEVEL": "warning", **more})
    process = subprocess.Popen(
        [program or forking.command() / "tertulia", *arguments, "--port", "0"], cwd=folder, env=variables, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    printed = ""
    try:
        with killed_after(process):
            for line in process.stdout:
                printed += line
                if "Ctrl+C" in line or "ANTHROPIC_BASE_URL=" in line or "is ready. " in line:
                    break
        yield process, printed
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)


def address_in(printed: str) -> str:
    return next(word for word in printed.split() if word.startswith("http://"))


def test_serve_prints_its_address_and_that_claude_is_simulated(tmp_path: Path) -> None:
    with started(tmp_path, "serve", program=REAL) as (process, printed):
        assert "simulated Claude answers" in printed
        with Api(address_in(printed)) as api:
            assert api.answer("Hello")["__typename"] == "GenerationCompleted"
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT) in (0, -signal.SIGTERM)
    assert (tmp_path / "tertulia.db").exists()


def test_conversations_survive_a_restart(tmp_path: Path) -> None:
    with started(tmp_path, "serve") as (_, printed), Api(address_in(printed)) as api:
        sent = api.send("Remember me")
        api.follow(sent["generation"]["id"])
        before = api.conversation(sent["conversation"]["id"])
    with started(tmp_path, "serve") as (_, printed), Api(address_in(printed)) as api:
        assert api.conversation(sent["conversation"]["id"]) == before


def test_a_killed_server_keeps_the_text_of_its_last_checkpoint(tmp_path: Path) -> None:
    with (
        started(tmp_path, "serve", TERTULIA_SIMULATOR_PACE="1") as (process, printed),
        Api(address_in(printed)) as api,
    ):
        sent = api.send("/simulate long 2000")
        wait_until(
            lambda: "word5 " in api.messages(sent["conversation"]["id"])[-1]["text"], "a checkpoint with word5", 60
        )
        process.kill()
        process.wait(WAIT)
    with started(tmp_path, "serve") as (_, printed), Api(address_in(printed)) as api:
        ended = api.follow(sent["generation"]["id"])[-1]
        assert ended["__typename"] == "GenerationCompleted"
        assert "word5 " in ended["generation"]["message"]["text"]


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """Assert that the command failed with one line on stderr, and return the line."""
    assert done.returncode == 2, done
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("TERTULIA_AUTH", "nothing", "password"),
        ("TERTULIA_LOG_LEVEL", "loud", "loud"),
        ("TERTULIA_SIMULATOR_PACE", "fast", "fast"),
        ("TERTULIA_SIMULATOR_PACE", "-1", "-1"),
        ("DATABASE_URL", "mysql://x", "sqlite"),
        ("DATABASE_URL", "", "sqlite"),
        ("ANTHROPIC_BASE_URL", "gateway", "https://"),
        ("REDIS_URL", "127.0.0.1:6379", "redis://"),
        ("TERTULIA_MODLES", "x", "TERTULIA_MODELS"),
    ],
)
def test_an_invalid_setting_is_refused_in_one_line(tmp_path: Path, name: str, value: str, says: str) -> None:
    line = refused(run(tmp_path, "serve", **{name: value}))
    assert line.startswith(name)
    assert says in line


def test_settings_are_read_from_the_env_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TERTULIA_LOG_LEVEL=loud\n")
    assert refused(run(tmp_path, "serve")).startswith("TERTULIA_LOG_LEVEL")


def test_a_key_is_never_shown(tmp_path: Path) -> None:
    done = run(tmp_path, "doctor", ANTHROPIC_API_KEY="sk-ant-secret", ANTHROPIC_BASE_URL="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "sk-ant-secret" not in done.stdout + done.stderr


def test_a_port_in_use_is_reported_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert port in refused(run(tmp_path, "serve", "--port", port))


def test_a_public_address_without_authentication_is_refused(tmp_path: Path) -> None:
    assert "TERTULIA_AUTH" in refused(run(tmp_path, "serve", "--host", "0.0.0.0"))


def test_two_workers_without_redis_are_refused(tmp_path: Path) -> None:
    assert "REDIS_URL" in refused(run(tmp_path, "serve", "--workers", "2"))


def test_a_database_that_cannot_be_opened_is_reported_in_one_line(tmp_path: Path) -> None:
    assert "DATABASE_URL" in refused(
        run(tmp_path, "serve", "--port", "0", DATABASE_URL="sqlite+aiosqlite:////nowhere/at/all.db")
    )


def test_a_file_that_is_no_database_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "tertulia.db").write_text("this is a letter, not a database" * 100)
    assert "DATABASE_URL" in refused(run(tmp_path, "serve", "--port", "0"))


def test_a_locked_database_is_reported_in_one_line(tmp_path: Path) -> None:
    assert run(tmp_path, "migrate").returncode == 0
    with closing(sqlite3.connect(tmp_path / "tertulia.db")) as other, other:
        other.execute("BEGIN EXCLUSIVE")
        assert "locked" in refused(run(tmp_path, "migrate"))


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        assert run(tmp_path, "migrate").stdout.strip() == "The database is up to date."


def test_doctor_finds_no_problem_on_a_fresh_machine(tmp_path: Path) -> None:
    done = run(tmp_path, "doctor")
    assert done.returncode == 0, done.stdout
    assert "claude: simulated" in done.stdout


def test_doctor_reports_what_is_wrong(tmp_path: Path) -> None:
    with running(create_simulator(pace=0), lifespan="off") as address:
        key = {"ANTHROPIC_API_KEY": "sk-ant-fine", "ANTHROPIC_BASE_URL": address}
        assert run(tmp_path, "doctor", **key).returncode == 0
        done = run_here(tmp_path, "doctor", **(key | {"ANTHROPIC_API_KEY": "sk-ant-invalid"}))
        assert (done.exit_code, "wrong" in done.stdout) == (1, True)
        done = run_here(tmp_path, "doctor", **key, TERTULIA_DEFAULT_MODEL="gpt-4")
        assert "gpt-4" in done.stdout
    assert "DATABASE_URL" in run_here(tmp_path, "doctor", DATABASE_URL="mysql://x").stdout
    (tmp_path / "taken").write_text("a file is no folder")
    done = run_here(tmp_path, "doctor", TERTULIA_ATTACHMENTS=str(tmp_path / "taken"))
    assert (done.exit_code, "TERTULIA_ATTACHMENTS" in done.stdout) == (1, True)


def test_the_simulator_can_be_served_alone(tmp_path: Path) -> None:
    with started(tmp_path, "simulator", "--pace", "0") as (_, printed):
        key = {"anthropic_api_key": "sk-ant-fine", "anthropic_base_url": address_in(printed)}
        with tertulia(tmp_path, **key) as address, Api(address) as api:
            assert api.answer("Hello")["__typename"] == "GenerationCompleted"


def test_a_key_that_claude_refuses_fails_the_generation_and_keeps_the_conversation(tmp_path: Path) -> None:
    with running(create_simulator(pace=0), lifespan="off") as claude:
        key = {"anthropic_api_key": "sk-ant-invalid", "anthropic_base_url": claude}
        with tertulia(tmp_path, **key) as address, Api(address) as api:
            sent = api.send("Hello")
            assert api.follow(sent["generation"]["id"])[-1]["error"]["code"] == "AUTHENTICATION"
        with tertulia(tmp_path, **(key | {"anthropic_api_key": "sk-ant-fine"})) as address, Api(address) as api:
            ended = api.answer("Again", conversationId=sent["conversation"]["id"])
            assert ended["__typename"] == "GenerationCompleted"


def test_the_committed_schema_matches_the_code(tmp_path: Path) -> None:
    assert run(tmp_path, "export-schema").stdout == (ROOT / "schema" / "schema.graphql").read_text()
    target = tmp_path / "out.graphql"
    assert run_here(tmp_path, "export-schema", "--output", str(target)).exit_code == 0
    assert run_here(tmp_path, "export-schema", "--federation").stdout == subgraph_sdl(schema)
    assert target.read_text() == (ROOT / "schema" / "schema.graphql").read_text()
    done = run_here(tmp_path, "export-schema", "--output", "/nowhere/at/all")
    assert (done.exit_code, "--output" in done.stderr) == (2, True)


def test_chat_uses_the_public_api(tmp_path: Path, api: Api) -> None:
    done = run(tmp_path, "chat", "--url", api.address, stdin="My name is Ada\n\nWhat is my name?\n/simulate thinking\n")
    assert done.returncode == 0, done.stderr
    assert "Your name is Ada." in done.stdout
    assert "count to three" in done.stderr


def test_chat_shows_why_an_answer_failed_and_continues(tmp_path: Path, api: Api) -> None:
    done = run(tmp_path, "chat", "--url", api.address, stdin="/simulate error 1 reject\nHello again\n")
    assert done.returncode == 0
    assert "Hello again" in done.stdout


def test_chat_reports_that_no_server_answers(tmp_path: Path) -> None:
    done = run(tmp_path, "chat", "--url", "http://127.0.0.1:9", stdin="Hello\n")
    assert done.returncode == 1
    assert "tertulia serve" in done.stderr


def test_chat_reports_what_the_server_refuses(tmp_path: Path, api: Api) -> None:
    done = run(tmp_path, "chat", "--url", api.address, "--model", "gpt-4", stdin="Hello\n")
    assert done.returncode == 1
    assert "options.model" in done.stderr


def test_ctrl_c_stops_the_answer_and_the_chat_continues(tmp_path: Path) -> None:
    with tertulia(tmp_path, simulator_pace=1) as address, Api(address) as api:
        process = subprocess.Popen(
            [forking.command() / "tertulia", "chat", "--url", address],
            cwd=tmp_path, env=environment({"PYTHONUNBUFFERED": "1"}), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write("/simulate long 2000\n")
        read_until(process, "word9 ")
        process.send_signal(signal.SIGINT)
        read_until(process, "(stopped)")
        rest, _ = process.communicate("What did I say first?\n", timeout=120)
        assert process.returncode == 0, rest
        assert "/simulate long 2000" in rest
        listed = api.ask(
            "{ conversations { edges { node { messages { edges { node { generation { status } } } } } } } }"
        )
        messages = listed["conversations"]["edges"][0]["node"]["messages"]["edges"]
        assert [edge["node"]["generation"]["status"] for edge in messages[1::2]] == ["STOPPED", "COMPLETED"]


def test_commands_name_the_database_that_they_work_on_and_create_none(tmp_path: Path) -> None:
    for command in (
        ["user", "add", "ada"],
        ["user", "list"],
        ["token", "ada"],
        ["export", "ada"],
        ["import", "ada", "conversations.jsonl"],
        ["webhooks", "list"],
    ):
        done = run_here(tmp_path, *command)
        assert done.exit_code == 2
        assert "there is no database yet: sqlite+aiosqlite:///tertulia.db. `tertulia serve`" in done.stderr
    assert not (tmp_path / "tertulia.db").exists()
    created = run_here(tmp_path, "user", "add", "ada", "--create", stdin="a long enough one\n")
    assert (created.stdout, created.stderr) == ("Added ada.\n", "Database: sqlite+aiosqlite:///tertulia.db\n")


def test_an_export_does_not_migrate_the_database(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'tertulia.db'}"
    asyncio.run(migrate(url, REVISIONS[0]))
    done = run_here(tmp_path, "export", "ada")
    assert done.exit_code == 2
    assert f"its schema is {REVISIONS[0]}, not {REVISIONS[-1]}; run `tertulia migrate`" in done.stderr
    assert asyncio.run(schema_of(url)).current == REVISIONS[0]


def test_a_command_reads_its_settings_from_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The command sets it for the processes of a server.
    monkeypatch.setenv(ENV_FILE_VARIABLE, "")
    (tmp_path / ".env").write_text("DATABASE_URL=sqlite:///wrong.db\n")
    (tmp_path / "service.env").write_text("DATABASE_URL=sqlite:///right.db\n")
    done = run_here(tmp_path, "--env-file", "service.env", "migrate")
    assert done.stderr == "Database: sqlite+aiosqlite:///right.db\n"
    assert sorted(file.name for file in tmp_path.glob("*.db")) == ["right.db"]
    missing = run_here(tmp_path, "--env-file", "none.env", "migrate")
    assert missing.exit_code == 2
    assert missing.stderr == "--env-file: none.env does not exist.\n"
    (tmp_path / "service.env").write_text("TERTULIA_LOG_LEVEL=info\nTERTULIA_MODLES=x\n")
    assert "service.env, line 2" in run_here(tmp_path, "--env-file", "service.env", "migrate").stderr
