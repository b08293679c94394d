"""The benchmarks: a failing part does not affect the others, and the compared servers return the same."""

import asyncio
import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from client import Api
from running import running, tertulia

ROOT = Path(__file__).parents[1]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that imports a module of bench/."""
    monkeypatch.syspath_prepend(str(ROOT))

    def module(name: str) -> Any:
        return importlib.import_module(f"bench.{name}")

    return module


def dataset(folder: Path) -> Path:
    """Write a database of 60 conversations, as the benchmarks do."""
    file = folder / "tertulia.db"
    command = [sys.executable, "-m", "bench.parts.dataset", str(file), "60"]
    subprocess.run(command, env={"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "PATH": "/usr/bin:/bin"}, check=True)
    return file


def test_a_failing_part_does_not_affect_the_others(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = bench("__main__")

    def fails(_stage: object, report: Any, _options: object) -> None:
        report.add("streams", "half of it", "tertulia", 1.0)
        subprocess.run([sys.executable, "-c", "raise SystemExit('no such function')"], check=True, capture_output=True)

    def works(_stage: object, report: Any, _options: object) -> None:
        report.add("lists", "a list", "tertulia", 2.0)

    monkeypatch.setitem(run.PARTS, "streams", fails)
    monkeypatch.setitem(run.PARTS, "lists", works)
    monkeypatch.setattr(run, "HERE", tmp_path)
    monkeypatch.setattr(sys, "argv", ["bench", "--only", "streams,lists"])
    assert run.main() == 1
    (written,) = (json.loads(file.read_text()) for file in (tmp_path / "results").glob("*.json"))
    assert [figure["figure"] for figure in written["figures"]] == ["half of it", "a list"]
    assert written["failures"][0].startswith("streams failed: CalledProcessError")
    assert written["failures"][0].endswith("no such function")
    assert "FAILED: streams failed" in capsys.readouterr().out


def test_the_database_steps_of_every_list_can_be_counted(bench: Any, tmp_path: Path) -> None:
    lists, counting, file = bench("parts.lists"), bench("parts.statements"), dataset(tmp_path)
    for what, variables in lists.ASKED.items():
        body = json.dumps({"query": lists.LIST, "variables": variables}).encode()
        assert counting.steps(str(file), asyncio.run(counting.statements(str(file), body))) > 0, what


def test_the_handwritten_peer_returns_the_same_page_as_tertulia(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries, file = bench("parts.queries"), dataset(tmp_path)
    with tertulia(tmp_path, database_url=f"sqlite+aiosqlite:///{file}") as address, Api(address) as api:
        wanted = api.post(queries.LIST).json()
    monkeypatch.setenv("DATABASE_URL", f"sqlite+aiosqlite:///{file}")
    with running(bench("peers.handwritten").app) as address, Api(address) as api:
        assert api.http.get("/conversations").json() == wanted
