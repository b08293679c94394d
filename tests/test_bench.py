"""The benchmarks: their runs, what they write, their targets, and the servers that they compare."""

import asyncio
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from client import Api
from running import running, tertulia
from sqlalchemy import text

from tertulia.db.database import open_engine

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "PATH": os.environ["PATH"]}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a function that imports a module of bench/."""
    monkeypatch.syspath_prepend(str(ROOT))
    cores = os.sched_getaffinity(0)

    def module(name: str) -> Any:
        return importlib.import_module(f"bench.{name}")

    yield module
    os.sched_setaffinity(0, cores)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a database of 60 conversations, as the benchmarks do."""
    file = tmp_path_factory.mktemp("dataset") / "tertulia.db"
    subprocess.run([sys.executable, "-m", "bench.parts.dataset", file, "60"], env=ENVIRONMENT, check=True)
    return file


@pytest.fixture
def dataset(written: Path, tmp_path: Path) -> Path:
    """Copy that database."""
    return Path(shutil.copy(written, tmp_path))


def run(bench: Any, monkeypatch: pytest.MonkeyPatch, parts: dict[str, Any], *arguments: str) -> int:
    """Run the benchmarks in this process with these parts, and return the exit status."""
    module = bench("__main__")
    for name, part in parts.items():
        monkeypatch.setitem(module.PARTS, name, part)
    monkeypatch.setattr(sys, "argv", ["bench", "--only", ",".join(parts), *arguments])
    return int(module.main())


def test_a_failing_part_does_not_affect_the_others(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "results.json"
    first_core = min(os.sched_getaffinity(0))
    servers: list[int] = []

    def fails(stage: Any, report: Any, _options: object) -> None:
        servers.append(stage.cores.server)
        report.add("streams", "half of it", "tertulia", 1.0)
        subprocess.run([sys.executable, "-c", "raise SystemExit('no such function')"], check=True, capture_output=True)

    def works(stage: Any, report: Any, _options: object) -> None:
        servers.append(stage.cores.server)
        # The part before this one is already written.
        assert json.loads(output.read_text())["figures"][0]["figure"] == "half of it"
        report.add("lists", "a list", "tertulia", 2.0)

    assert run(bench, monkeypatch, {"streams": fails, "lists": works}, "--output", str(output)) == 1
    written = json.loads(output.read_text())
    assert [figure["figure"] for figure in written["figures"]] == ["half of it", "a list"]
    assert len(written["failures"]) == 1
    assert written["failures"][0].startswith("streams failed: CalledProcessError")
    assert written["failures"][0].endswith("no such function")
    assert "FAILED: streams failed" in capsys.readouterr().out
    assert servers == [first_core, first_core]


@pytest.mark.parametrize(
    ("milliseconds", "arguments", "status"),
    [(12.0, (), 0), (12.0, ("--check",), 0), (13.0, (), 0), (13.0, ("--check",), 1), (None, ("--check",), 1)],
)
def test_a_missed_target_fails_a_run_that_checks(
    bench: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    milliseconds: float | None,
    arguments: tuple[str, ...],
    status: int,
) -> None:
    def first(_stage: object, report: Any, _options: object) -> None:
        report.add("first", "first text: median", "node", 10.0, "ms")
        report.add("first", "first text: median", "tertulia-untitled", 12.0, "ms")
        if milliseconds is not None:
            report.add("first", "first text: median", "tertulia", milliseconds, "ms")

    monkeypatch.setattr(bench("__main__"), "staged", nullcontext)
    output = ("--output", str(tmp_path / "results.json"))
    assert run(bench, monkeypatch, {"first": first}, *output, *arguments) == status


def test_candidates_are_measured_in_another_order_in_each_round(bench: Any) -> None:
    options = bench("options").Options(rounds=3)
    assert "".join(options.turns("A", "B", "C")) == "ABCBCACAB"


def test_peers_can_be_left_out_but_not_tertulia(bench: Any) -> None:
    candidates = bench("peers.candidates")
    options = bench("options").Options(peers=frozenset({"relay"}))
    present = options.present(candidates.TERTULIA_ITSELF, candidates.NAIVE, candidates.NODE, candidates.RELAY)
    assert [candidate.name for candidate in present] == ["tertulia", "relay"]


def test_every_target_belongs_to_a_part(bench: Any) -> None:
    targets = bench("targets").TARGETS
    assert {target.part for target in targets} <= bench("__main__").PARTS.keys()


def test_a_table_shows_the_median_and_the_spread_of_the_rounds(bench: Any) -> None:
    report = bench("report").Report()
    for value in (3.0, 1.0, 2.0):
        report.add("first", "first text: median", "tertulia", value, "ms")
    assert "2.00 (1.00-3.00)" in report.show("first")


def test_a_ratio_above_its_limit_is_met_when_the_value_itself_is_small_enough(bench: Any) -> None:
    report = bench("report").Report()
    report.add("streams", "200 answers: p99", "relay", 1.0, "ms")
    report.add("streams", "200 answers: p99", "tertulia", 14.0, "ms")
    checks = {check.target.name: check.verdict for check in report.checks("streams")}
    assert checks["200 answers: p99, tertulia / relay"] == "ok"
    report.add("streams", "200 answers: p99", "tertulia", 18.0, "ms")
    checks = {check.target.name: check.verdict for check in report.checks("streams")}
    assert checks["200 answers: p99, tertulia / relay"] == "MISSED"


def test_both_clients_measure_the_same_with_a_real_relay(tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    command: list[str | Path] = [sys.executable, "-m", "bench", "--quick", "--only", "client", "--output", output]
    done = subprocess.run(
        command, env=ENVIRONMENT, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    written = json.loads(output.read_text())
    medians = {(figure["figure"], figure["candidate"]): figure["median"] for figure in written["figures"]}
    for client in ("load", "second client"):
        assert medians["20 answers: deltas per token", client] == 1, client
        assert medians["20 answers: delivered", client] > 0, client
        assert medians["20 answers: p99", client] >= medians["20 answers: p50", client] > 0, client
    assert not any("wrong offset" in note or note.startswith("client,") for note in written["notes"]), written["notes"]


def test_the_merging_relay_sends_what_arrived_in_its_pause_as_one_delta(bench: Any) -> None:
    relay = bench("peers.relay")
    sent: list[Any] = []

    class Client:
        def say(self, message: Any) -> None:
            sent.append(message)

    async def receive() -> None:
        upstream = relay.Upstream(Client(), "1", "text", pause=0.04)
        upstream.data_received(bench("upstream").token() + bench("upstream").token())

    asyncio.run(receive())
    assert len(sent) == 1
    assert len(sent[0]["payload"]["data"]["events"]["text"]) == 2 * bench("upstream").WIDTH


def test_the_database_steps_of_requests_can_be_counted(bench: Any, dataset: Path) -> None:
    counting, sizes = bench("parts.statements"), bench("parts.sizes")
    bodies = [sizes.body(one, name) for one in (sizes.LISTS, sizes.LAST_MESSAGES) for name in one.requests]
    for executed in asyncio.run(counting.statements(str(dataset), bodies)):
        assert counting.steps(str(dataset), executed) > 0


def test_statements_of_background_tasks_are_not_counted(bench: Any, tmp_path: Path) -> None:
    async def count() -> list[str]:
        engine, counting = open_engine(f"sqlite+aiosqlite:///{tmp_path}/empty.db"), asyncio.Event()

        async def execute(statement: str) -> None:
            async with engine.connect() as connection:
                await connection.execute(text(statement))

        async def background() -> None:
            await counting.wait()
            await execute("SELECT 1")

        task = asyncio.create_task(background())
        with bench("parts.statements").recording() as seen:
            counting.set()
            await task
            await asyncio.create_task(execute("SELECT 2"))
        await engine.dispose()
        return [statement for statement, _ in seen]

    assert asyncio.run(count()) == ["SELECT 2"]


def test_the_handwritten_peer_returns_the_same_page_as_tertulia(
    bench: Any, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = bench("parts.queries")
    with tertulia(tmp_path, database_url=f"sqlite+aiosqlite:///{dataset}") as address, Api(address) as api:
        wanted = queries.nodes(api.post(queries.LIST).json())
    active = [node["activeGeneration"]["status"] for node in wanted if node["activeGeneration"]]
    assert 5 < len(active) < 15
    assert set(active) == {"AWAITING_TOOL_RESULTS"}
    monkeypatch.setenv("DATABASE_URL", f"sqlite+aiosqlite:///{dataset}")
    with running(bench("peers.handwritten").app) as address, Api(address) as api:
        assert queries.nodes(api.http.get(queries.PATH).json()) == wanted


class MeasuredStage:
    """A stage without servers. The naive peer delivers half of the tokens of 200 answers."""

    def __init__(self) -> None:
        self.measured: list[tuple[str, int]] = []

    @contextmanager
    def server(self, _candidate: Any, *_: object) -> Generator[None]:
        yield

    def measure(self, _mode: str, candidate: Any, _server: None, *, streams: int, **_: object) -> dict[str, Any]:
        self.measured.append((candidate.name, streams))
        reader = {"p50_ms": 1.0, "p99_ms": 2.0, "errors": [], "violations": 0}
        costs = dict.fromkeys(("cpu_us", "frame_us", "cpu_share", "load_share", "load_core_busy"), 0.5)
        share = 0.5 if (candidate.name, streams) == ("naive", 200) else 1.0
        counts = {"deltas": 10, "tokens": 10, "offered": 100, "delivered": 100 * share, "rss_mb": [100.0]}
        return {**costs, **counts, "readers": [reader]}


def test_an_overloaded_candidate_is_measured_once(bench: Any) -> None:
    stage, options = MeasuredStage(), bench("options").Options(rounds=3, peers=frozenset({"naive"}))
    bench("parts.streams").streams(stage, bench("report").Report(), options)
    counts = {(name, streams): stage.measured.count((name, streams)) for name, streams in stage.measured}
    assert counts == {("tertulia", 20): 3, ("tertulia", 200): 3, ("naive", 20): 3, ("naive", 200): 1}


def test_the_relay_that_merges_is_the_relay_if_tertulia_merges_nothing(bench: Any) -> None:
    stage, report = MeasuredStage(), bench("report").Report()
    peers = frozenset({"relay", "relay-merging"})
    bench("parts.streams").streams(stage, report, bench("options").Options(rounds=1, peers=peers))
    assert {name for name, _ in stage.measured} == {"tertulia", "relay"}
    assert report.median("streams", "20 answers: CPU per token", "relay-merging") == 0.5


def test_tables_of_growing_loads_have_a_row_for_each_size(bench: Any) -> None:
    tables = bench("scaling.tables")
    for table, sizes in ((tables.answers, tables.ANSWERS), (tables.followers, tables.FOLLOWERS)):
        header, *rows = table(MeasuredStage(), bench("options").Options(), "sqlite")
        assert [row[0] for row in rows] == [f"{size:,}" for size in sizes]
        assert {len(row) for row in rows} == {len(header)}
    assert tables.line(["a", "b"]) == "| a | b |"
