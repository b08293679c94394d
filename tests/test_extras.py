"""The extras of the package: the server works without them, and errors name the missing extra."""

import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from running import read_until
from test_command import address_in, environment, run_here

from tertulia.extras import MODULES
from tertulia.server.settings import Settings

POSTGRES = 'DATABASE_URL: PostgreSQL needs the extra "postgres": pip install "tertulia[postgres]"'
SETTINGS = [
    ("postgres", "DATABASE_URL", "postgresql://ada@127.0.0.1/tertulia", POSTGRES),
    ("redis", "REDIS_URL", "redis://127.0.0.1", 'REDIS_URL: Redis needs the extra "redis": pip install "tertulia[redis]"'),
    ("mcp", "TERTULIA_MCP_CONFIG", "mcp.json", 'TERTULIA_MCP_CONFIG: MCP needs the extra "mcp": pip install "tertulia[mcp]"'),
    ("s3", "TERTULIA_ATTACHMENTS", "s3://bucket", 'TERTULIA_ATTACHMENTS: An object store needs the extra "s3": pip install "tertulia[s3]"'),
    *(
        ("otel", name, "http://127.0.0.1:4318", f'{name}: Tracing needs the extra "otel": pip install "tertulia[otel]"')
        for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    ),
]  # fmt: skip

SERVE = """
import sys
sys.modules.update(dict.fromkeys(sys.argv.pop(1).split()))
from tertulia.cli.main import main
main()
"""
"""Runs the command with the modules in the first argument made impossible to import."""


def hide(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, MODULES[extra], None)


@pytest.mark.parametrize(("extra", "name", "value", "line"), SETTINGS)
def test_a_setting_without_its_extra_is_refused_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: str, name: str, value: str, line: str
) -> None:
    hide(extra, monkeypatch)
    served = run_here(tmp_path, "serve", **{name: value})
    assert (served.exit_code, served.stderr.strip()) == (2, line)
    checked = run_here(tmp_path, "doctor", **{name: value})
    assert checked.exit_code == 1
    assert f"wrong  {line}\n" in checked.stdout


def test_the_chat_command_without_its_extra_is_refused_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide("chat", monkeypatch)
    chat = run_here(tmp_path, "chat")
    line = '`tertulia chat` needs the extra "chat": pip install "tertulia[chat]"'
    assert (chat.exit_code, chat.stderr.strip()) == (2, line)


def test_settings_in_python_without_their_extra_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    hide("postgres", monkeypatch)
    with pytest.raises(ValueError, match=r'needs the extra "postgres": pip install "tertulia\[postgres\]"'):
        Settings(database_url="postgresql://ada@127.0.0.1/tertulia")


def test_disabled_tracing_needs_no_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide("otel", monkeypatch)
    off = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"}
    assert run_here(tmp_path, "migrate", **off).exit_code == 0


def test_a_server_without_any_extra_answers(tmp_path: Path) -> None:
    hidden = " ".join([*MODULES.values(), "opentelemetry.sdk"])
    command = [sys.executable, "-c", SERVE, hidden, "serve", "--port", "0"]
    variables = environment({"PYTHONUNBUFFERED": "1"})
    with subprocess.Popen(
        command, cwd=tmp_path, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            address = address_in(read_until(process, "Ctrl+C"))
            answer = httpx2.post(f"{address}/chat", json={"message": "Hello"}, timeout=60).raise_for_status().json()
            assert answer["stop_reason"] == "end_turn"
        finally:
            process.terminate()
            process.wait(60)
