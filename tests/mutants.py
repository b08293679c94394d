"""Run the tests against small changes (mutants) of the code, and report those that no test notices.

`make mutants` runs it: `python tests/mutants.py [--seconds 1200] [--sample 500] [--seed 24] [--only TEXT] [--tests TEXT]`.

All code and tests are imported once. A first pass runs the tests and records which suites of statements each of them
reaches. The record of a test is kept in `build/mutants/` until its file changes, or a function that it reaches;
`--record` records all tests again. Then each mutant gets a fork of this process, in which the change is made in memory
and the fastest tests that reach it run until one fails. Nothing in the working tree changes.

Only behavior is changed. Texts, messages of errors, lines of the log and the attributes of spans are not: see `mutating`.

A failed test counts only if it passes without the change and fails again with it, so flaky tests do not count.
"""

import argparse
import ast
import hashlib
import importlib
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import CodeType
from typing import Any

import PIL.Image
import pytest
from mutant_forks import Forks, SharedServers, Task
from mutating import Change, Source, functions_by_file
from running import migrated

ROOT = Path(__file__).parent.parent
RECORD = ROOT / "build" / "mutants" / "reached.json"
EQUIVALENT = ROOT / "tests" / "equivalent_mutants.toml"
PACKAGE = ROOT / "src" / "tertulia"
MUTATED = {
    "billing": ["*"],
    "claude": [
        "backpressure",
        "cache_control",
        "compaction",
        "continuation",
        "event_parser",
        "prompt",
        "rate_limits",
        "receiver",
        "sse",
        "streaming",
        "usage",
    ],
    "db": [
        "accounts",
        "answer_tails",
        "attachments",
        "branches",
        "changes",
        "contributions",
        "conversations",
        "credentials",
        "database",
        "generated_files",
        "generations",
        "guests",
        "identities",
        "inserting",
        "leases",
        "ledger",
        "limit_hits",
        "memories",
        "messages",
        "ownership",
        "paging",
        "progress",
        "prompt_branches",
        "read_limit",
        "rows",
        "search",
        "shares",
        "spending",
        "spent_here",
        "sqlite",
        "statements",
        "steering",
        "tool_calls",
        "tool_connections",
        "usage_reports",
    ],
    "generation": ["*"],
    "ratelimit": ["*"],
    "resolvers": ["followed_rows", "loading"],
    "schema": ["cost", "document_policy", "selections"],
    "server.auth": ["*"],
    "server.http": ["websocket"],
    "server.runtime": ["shutdown"],
    "streams": ["*"],
    "streams.redis": ["*"],
    "tools": ["execution"],
}
LEFT_OUT = (
    *("adapters", "alerts", "architecture", "backup", "bench", "command", "deploy", "deployed", "descriptions"),
    *("docs", "example_scripts", "examples", "failpoint_walk", "faults", "freezes", "full_disk", "fuzz"),
    *("import_checks", "json", "json_boundaries", "levels", "load", "loop_latency", "media", "model_settings"),
    *(
        "multipart",
        "page",
        "prose",
        "reducer",
        "rolling_upgrades",
        "secrets",
        "settings",
        "simulator",
        "simulator_server_tools",
    ),
    *("simulator_tool_rules", "simulator_tools", "stock_clients", "telemetry", "tool_schemas", "transfer"),
    *("upgrades",),
)
"""Tests of other modules, tests of speed, tests whose programs run unchanged code, and tests that take minutes."""
SLOTS = 2 * (os.cpu_count() or 1)
"""The number of forks at once: twice the number of cores, because tests spend much of their time waiting."""
IN_TURN = 3
"""How many tests of a file are tried before those of the next file."""
SLOWEST_TEST = 15.0
BREADTH = 150
"""In suites. Tests are ranked by the suites that they reach, in steps of this size: fewer are more direct."""
WORD = re.compile(r"[a-z]{4,}?(?=s?(?:[^a-z]|$))")
NAMED_ALIKE = 10
"""How many tests are tried first because their names resemble the changed code."""
IMPORTED_LATE = (
    *("anthropic.resources.beta", "anthropic.resources.messages", "anthropic.resources.models", "docstring_parser"),
    *("h11", "httpcore2._async", "jiter", "jwt", "limits.aio.storage", "limits.aio.strategies", "pydantic.v1", "regex"),
    *("redis.asyncio", "truststore", "uvicorn.lifespan.on"),
)
"""Modules that the server imports lazily. Without an import here, each fork would import them again."""
RATE = 0.9
UNTRIED = ("not tried", "cut off", "unchanged", "error")
"""Results that count neither as noticed nor as missed."""
NOTICED = ("failed", "killed", "crashed")


@dataclass
class Reached:
    """The names of the suites of statements that one test reaches."""

    seconds: float
    suites: list[str]
    version: str = ""
    """The digest of the test's file."""


class Recorder:
    """Records which suites each test reaches."""

    def __init__(self, sources: dict[str, Source]) -> None:
        self._seen: set[str] = set()
        self._file = -1
        for source in sources.values():
            source.instrument(self._reached)

    def _reached(self, suite: str) -> None:
        if suite not in self._seen:
            self._seen.add(suite)
            os.write(self._file, f"{suite}\n".encode())

    def _open(self, file: Path) -> bool:
        # Commands that the tests start are also forks, and append to the same file.
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        return True

    def _watch(self, test: pytest.Item, reports: list[pytest.TestReport]) -> bool:
        seconds = sum(report.duration for report in reports)
        passed = all(report.passed for report in reports)
        os.write(self._file, f"={seconds:.3f} {int(passed)} {test.nodeid}\n".encode())
        self._seen.clear()
        return True

    def tasks(self, items: list[pytest.Item], folder: Path) -> Iterator[Task]:
        """Yield a task for every forty tests of a file."""
        files: dict[Path, list[pytest.Item]] = defaultdict(list)
        # Tests without a server come first: they are fast, and the most direct.
        for item in sorted(items, key=lambda item: "setup" in getattr(item, "fixturenames", ())):
            files[item.path].append(item)
        for number, (file, tests) in enumerate(files.items()):
            for start in range(0, len(tests), 40):
                record = folder / f"{number}-{start}"
                done = partial(self._done, f"{file.name} from test {start} on")
                yield Task(tests[start : start + 40], 300, partial(self._open, record), done, self._watch)

    def _done(self, what: str, result: str, seconds: float) -> None:
        if result != "passed":
            print(f"{what}: {result} after {seconds:.0f} s", flush=True)

    def read(self, folder: Path) -> dict[str, Reached]:
        """Return the suites that each passed test has reached."""
        tests: dict[str, Reached] = {}
        for file in folder.iterdir():
            suites: list[str] = []
            for line in file.read_text().splitlines():
                if not line.startswith("="):
                    suites.append(line)
                    continue
                seconds, passed, name = line[1:].split(" ", 2)
                if passed == "1":
                    tests[name] = Reached(float(seconds), sorted(set(suites)))
                else:
                    print(f"left out because it does not pass: {name}", flush=True)
                suites = []
        return tests


def _nothing() -> bool:
    return True


@dataclass
class Mutant:
    """A change of a module, and its result."""

    module: str
    change: Change
    tests: list[pytest.Item] = field(default_factory=list[pytest.Item])
    reaching: int = 0
    apply: Callable[[], bool] = _nothing
    result: str = "not tried"
    seconds: float = 0.0

    @property
    def key(self) -> str:
        """Return a name for the change that does not depend on its line number."""
        return f"{self.module}:{self.change.scope}: {self.change.text}"

    def __str__(self) -> str:
        place = f"{_file(self.module)}:{self.change.line}"
        return f"{place} {self.change.scope}: {self.change.text} ({len(self.tests)} of {self.reaching} tests)"


class Run:
    """The plugin that takes over from pytest when it has collected the tests."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._until = time.monotonic() + options.seconds
        self._killers: dict[str, Counter[str]] = defaultdict(Counter)
        """By module, how often each test has noticed a change."""
        self._seconds: dict[str, float] = {}
        """The duration of each test."""
        self._to_confirm: deque[Task] = deque()
        self._passing: set[str] = set()
        """Tests that failed with a change and passed without it."""
        self._failing: set[str] = set()
        """Tests that have failed without a change."""
        self.rate = 0.0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        _warm_up()
        names = _every_module()
        modules = {name: importlib.import_module(name) for name in names}
        functions = functions_by_file()
        sources = {name: Source(module, functions) for name, module in modules.items()}
        with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
            servers = [
                SharedServers(_create_folder(Path(folder) / str(number))) for number in range(self._options.slots)
            ]
            try:
                forks = Forks(session, servers)
                reached = self._record(forks, session.items, sources, Path(folder) / "reached")
                self._try(forks, session.items, sources, reached)
            finally:
                for server in servers:
                    server.end()
        return True

    def _record(
        self, forks: Forks, items: list[pytest.Item], sources: dict[str, Source], folder: Path
    ) -> dict[str, Reached]:
        """Return what each test reaches, from the record or by running the tests that it lacks."""
        versions = {path: _digest(path.read_text()) for path in {item.path for item in items}}
        functions = _digests(sources)
        known = {} if self._options.record else _read_record(functions)
        missing = [item for item in items if _version(known, item) != versions[item.path]]
        if missing:
            print(f"Recording what {len(missing)} tests reach ...", flush=True)
            if (pid := os.fork()) == 0:
                recorder = Recorder(sources)
                tasks = recorder.tasks(missing, _create_folder(folder))
                forks.run(lambda: next(tasks, None), self._until - self._options.seconds / 2)
                recorded = recorder.read(folder)
                for item in missing:
                    if item.nodeid in recorded:
                        recorded[item.nodeid].version = versions[item.path]
                _create_folder(RECORD.parent)
                tests = {name: vars(test) for name, test in (known | recorded).items()}
                RECORD.write_text(json.dumps({"functions": functions, "tests": tests}))
                sys.stdout.flush()
                os._exit(0)
            try:
                os.waitpid(pid, 0)
            except BaseException:
                os.kill(pid, signal.SIGTERM)
                raise
        return _read_record(functions)

    def _try(
        self, forks: Forks, items: list[pytest.Item], sources: dict[str, Source], reached: dict[str, Reached]
    ) -> None:
        reaching: dict[str, list[str]] = defaultdict(list)
        for name, test in reached.items():
            for suite in test.suites:
                reaching[suite].append(name)
        by_name = {item.nodeid: item for item in items}
        equivalent = tomllib.loads(EQUIVALENT.read_text()) if EQUIVALENT.exists() else {}
        every = _sample(sources, self._options)
        mutants = [mutant for mutant in every if mutant.key not in equivalent]
        mutants = mutants[self._options.skip :][: self._options.sample]
        print(f"Trying {len(mutants)} of {len(every)} changes ...", flush=True)

        self._seconds = {name: test.seconds for name, test in reached.items()}

        def tasks() -> Iterator[Task]:
            for mutant in mutants:
                source = sources[mutant.module]
                names = source.dependents(mutant.change)
                suites = {suite for other in sources.values() for suite in other.users(names)}
                if mutant.change.suite is not None:
                    suites.add(mutant.change.suite)
                found = {name for suite in suites for name in reaching[suite] if name in by_name}
                if mutant.change.suite is None:
                    found |= _naming(mutant.change.scope, by_name) & reached.keys()
                mutant.reaching = len(found)
                chosen = self._choose(mutant, {name: reached[name] for name in found})
                mutant.tests = [by_name[name] for name in chosen]
                mutant.apply = _nothing if self._options.control else partial(source.apply, mutant.change)
                yield self._task(mutant.tests, mutant.apply, partial(self._tried, mutant, mutant.tests))

        started = time.monotonic()
        fresh = tasks()
        forks.run(lambda: self._to_confirm.popleft() if self._to_confirm else next(fresh, None), self._until)
        self.rate = _report(mutants, len(every), len(equivalent), time.monotonic() - started)

    def _choose(self, mutant: Mutant, found: dict[str, Reached]) -> list[str]:
        """Return the tests to run on a mutant, within the budget of seconds.

        Tests that have noticed the most changes of the module come first, then those whose names share words with the
        changed code, then those that reach few other suites. The remaining order takes the fastest tests of each file
        in turn, and begins with the files that reach the largest part of the module.
        """
        module, change = mutant.module, mutant.change
        shared = _shared_words(f"{module} {change.scope} {change.text}", found)
        files: dict[str, list[str]] = defaultdict(list)
        depth: dict[str, set[str]] = defaultdict(set)
        for name in sorted(found, key=lambda name: found[name].seconds):
            file = name.partition("::")[0]
            depth[file] |= {suite for suite in found[name].suites if suite.startswith(f"{module}:")}
            if found[name].seconds < SLOWEST_TEST and name not in self._failing:
                files[file].append(name)
        killers = self._killers[module]
        order = sorted(
            (
                -killers[name],
                -shared[name],
                len(found[name].suites) // BREADTH,
                rank // IN_TURN,
                -len(depth[file]),
                name,
            )
            for file, tests in files.items()
            for rank, name in enumerate(tests)
        )
        chosen: list[str] = []
        seconds_left = self._options.budget
        for *_, name in order:
            if seconds_left > found[name].seconds:
                seconds_left -= found[name].seconds
                chosen.append(name)
        return chosen

    def _task(
        self, tests: list[pytest.Item], prepare: Callable[[], bool], finish: Callable[[str, float], None]
    ) -> Task:
        seconds = 15 + 4 * sum(self._seconds[test.nodeid] for test in tests)
        return Task(tests, seconds, prepare, finish, _all_passed)

    def _tried(self, mutant: Mutant, tests: list[pytest.Item], result: str, seconds: float) -> None:
        mutant.seconds += seconds
        failed = next((test for test in tests if result.endswith(f" {test.nodeid}")), None)
        if failed is None or self._options.control:
            # A fork that ends before its first test does was not stopped by a test.
            by_no_test = failed is None and result.startswith(NOTICED)
            self._end(mutant, f"error: {result}" if by_no_test else result)
        elif failed.nodeid in self._passing:
            self._repeat(mutant, tests, failed)
        else:
            finish = partial(self._tried_unchanged, mutant, tests, failed)
            self._to_confirm.append(self._task([failed], _nothing, finish))

    def _tried_unchanged(
        self, mutant: Mutant, tests: list[pytest.Item], failed: pytest.Item, result: str, _seconds: float
    ) -> None:
        if result.startswith(UNTRIED):
            self._end(mutant, result)
        elif result == "passed":
            self._passing.add(failed.nodeid)
            self._repeat(mutant, tests, failed)
        else:
            self._failing.add(failed.nodeid)
            print(f"not counted, because it also fails without a change: {failed.nodeid}", flush=True)
            self._try_remaining_tests(mutant, tests, failed)

    def _repeat(self, mutant: Mutant, tests: list[pytest.Item], failed: pytest.Item) -> None:
        finish = partial(self._repeated, mutant, tests, failed)
        self._to_confirm.append(self._task([failed], mutant.apply, finish))

    def _repeated(
        self, mutant: Mutant, tests: list[pytest.Item], failed: pytest.Item, result: str, seconds: float
    ) -> None:
        mutant.seconds += seconds
        if result != "passed":
            self._end(mutant, result)
            return
        print(f"not counted, because it passed when it was repeated: {failed.nodeid} ({mutant})", flush=True)
        self._try_remaining_tests(mutant, tests, failed)

    def _try_remaining_tests(self, mutant: Mutant, tests: list[pytest.Item], failed: pytest.Item) -> None:
        """Try a change with the tests after the one whose failure did not count."""
        rest = [test for test in tests[tests.index(failed) + 1 :] if test.nodeid not in self._failing]
        self._to_confirm.append(self._task(rest, mutant.apply, partial(self._tried, mutant, rest)))

    def _end(self, mutant: Mutant, result: str) -> None:
        mutant.result = result
        kind, _, name = result.partition(" ")
        if kind in NOTICED:
            self._killers[mutant.module][name] += 1
        if self._options.verbose or result == "passed":
            print(f"{result} ({mutant.seconds:.1f} s): {mutant}", flush=True)


def _shared_words(text: str, tests: Iterable[str]) -> Counter[str]:
    """Return the tests whose names share most words with a text, with their scores; rare words score higher."""
    words = {name: set(WORD.findall(name.partition("[")[0].lower())) for name in tests}
    counts = Counter(word for found in words.values() for word in found)
    wanted = set(WORD.findall(text.lower()))
    scores = {name: round(100 * sum(1 / counts[word] for word in found & wanted)) for name, found in words.items()}
    return Counter(dict(Counter(scores).most_common(NAMED_ALIKE)))


def _naming(constant: str, items: dict[str, pytest.Item]) -> set[str]:
    """Return the tests that name a constant, because a test of its value reaches no code that uses it."""
    code = {name: getattr(getattr(item, "function", None), "__code__", None) for name, item in items.items()}
    return {name for name, of_test in code.items() if of_test is not None and constant in _names(of_test)}


def _names(code: CodeType) -> set[str]:
    """Return the names and texts in the code of a function, and of those that it contains."""
    names = {*code.co_names}
    for value in code.co_consts:
        values = value if isinstance(value, tuple) else (value,)
        names |= {text for text in values if isinstance(text, str)}
        names |= _names(value) if isinstance(value, CodeType) else set()
    return names


def _all_passed(_test: pytest.Item, reports: list[pytest.TestReport]) -> bool:
    return not any(report.failed for report in reports)


def _sample(sources: dict[str, Source], options: argparse.Namespace) -> list[Mutant]:
    """Return the changes in an order in which every prefix is spread over the modules."""
    placed: list[tuple[float, Mutant]] = []
    for package, names in MUTATED.items():
        for name in _modules(package, names):
            chance = random.Random(f"{options.seed} {name}")
            mutants = [Mutant(name, change) for change in sources[name].changes()]
            chance.shuffle(mutants)
            placed += [((i + chance.random()) / len(mutants), mutant) for i, mutant in enumerate(mutants)]
    ordered = [mutant for _, mutant in sorted(placed, key=lambda pair: pair[0])]
    return [mutant for mutant in ordered if any(text in str(mutant) for text in options.only or [""])]


def _report(mutants: list[Mutant], every: int, equivalent: int, seconds: float) -> float:
    """Print the results by module and the changes that no test noticed; return the rate of noticed changes."""
    tried = [mutant for mutant in mutants if not mutant.result.startswith(UNTRIED)]
    survivors = [mutant for mutant in tried if mutant.result == "passed"]
    by_module, missed = Counter(mutant.module for mutant in tried), Counter(mutant.module for mutant in survivors)
    print("\nnoticed  tried  module")
    for module, number in sorted(by_module.items()):
        print(f"{number - missed[module]:7}  {number:5}  {_file(module)}")
    print("\nNoticed by no test:")
    for mutant in survivors:
        print(f"  {mutant}")
    rate = (len(tried) - len(survivors)) / max(len(tried), 1)
    results = Counter(mutant.result.partition(" ")[0] for mutant in mutants)
    print(
        f"\n{len(tried) - len(survivors)} of {len(tried)} changes were noticed ({rate:.1%}) in {seconds:.0f} s; "
        f"{len(mutants) - len(tried)} of the sample were not tried. There are {every} changes; {equivalent} are listed "
        f"as equivalent. {dict(results)}"
    )
    return rate


def _warm_up() -> None:
    """Import lazily imported modules and migrate an empty database, so that each fork need not do so."""
    for name in IMPORTED_LATE:
        importlib.import_module(name)
    PIL.Image.init()
    migrated()


def _every_module() -> list[str]:
    """Return all modules, including those in linked folders. Migrations are left out: only Alembic imports them."""
    folders = [Path(folder) for folder, _, files in os.walk(PACKAGE, followlinks=True) if "__init__.py" in files]
    packages = [str(folder.relative_to(PACKAGE)).replace("/", ".") for folder in sorted(folders)]
    return [name for package in packages for name in _modules(package, ["*"])]


def _modules(package: str, names: list[str]) -> list[str]:
    folder = PACKAGE if package == "." else PACKAGE / package.replace(".", "/")
    files = sorted(file.stem for file in folder.glob("*.py") if file.stem != "__init__")
    if names != ["*"] and (missing := set(names) - set(files)):
        raise LookupError(f"{folder} has no modules {sorted(missing)}: update MUTATED.")
    prefix = "tertulia" if package == "." else f"tertulia.{package}"
    return [f"{prefix}.{stem}" for stem in files if names == ["*"] or stem in names]


def _file(module: str) -> str:
    """Return the path of a module's file, relative to the root of the repository."""
    path = PACKAGE / f"{module.removeprefix('tertulia.').replace('.', '/')}.py"
    return str(path.resolve().relative_to(ROOT.resolve()))


def _read_record(functions: dict[str, str]) -> dict[str, Reached]:
    """Return the recorded tests that reach only functions whose code is as it was then."""
    record: dict[str, Any] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    before: dict[str, str] = record.get("functions", {})
    tests = {name: Reached(**test) for name, test in record.get("tests", {}).items()}
    current = {name for name, digest in before.items() if functions.get(name) == digest}
    return {name: test for name, test in tests.items() if all(_function(suite) in current for suite in test.suites)}


def _digests(sources: dict[str, Source]) -> dict[str, str]:
    """Return a digest of the code of each function."""
    code: dict[str, list[str]] = defaultdict(list)
    for source in sources.values():
        for suite in source.suites:
            code[_function(suite.name)] += map(ast.unparse, suite.statements)
    return {name: _digest("\n".join(statements)) for name, statements in code.items()}


def _function(suite: str) -> str:
    """Return the name of the function that contains a suite."""
    return suite.rpartition("#")[0]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _version(known: dict[str, Reached], item: pytest.Item) -> str | None:
    test = known.get(item.nodeid)
    return None if test is None else test.version


def _create_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main() -> int:
    """Try the changes; return 1 if the share of noticed changes is below `RATE`."""
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=1200, help="end after this many seconds")
    options.add_argument("--sample", type=int, default=500, help="number of changes to try")
    options.add_argument("--budget", type=float, default=20, help="seconds of tests for each change")
    options.add_argument("--skip", type=int, default=0, help="number of changes to leave out at the start")
    options.add_argument("--seed", default="24")
    options.add_argument("--only", action="append", help="only changes whose line contains this; may be repeated")
    options.add_argument(
        "--tests", action="append", help="only tests in files whose name contains this; may be repeated"
    )
    options.add_argument("--slots", type=int, default=SLOTS, help="number of forks at once")
    options.add_argument("--record", action="store_true", help="record again what all tests reach")
    options.add_argument("--control", action="store_true", help="change nothing, to find tests that fail by themselves")
    options.add_argument("--verbose", action="store_true", help="print every change that was tried")
    chosen = options.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the forks and servers are ended too
    plugin = Run(chosen)
    files = [str(file) for file in sorted((ROOT / "tests").glob("test_*.py")) if file.stem[5:] not in LEFT_OUT]
    files = [file for file in files if any(text in Path(file).stem for text in chosen.tests or [""])]
    plain = [
        "-W",
        "ignore:Module already imported",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-p",
        "no:cov",
        "-o",
        "addopts=",
        "-q",
        "-s",
    ]
    status = pytest.main([*plain, "-o", "tmp_path_retention_policy=none", *files], plugins=[plugin])
    return int(status) or int(plugin.rate < RATE)


if __name__ == "__main__":
    sys.exit(main())
