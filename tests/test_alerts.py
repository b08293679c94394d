"""The alerts of deploy/observability, evaluated by promtool on the `/metrics` of real servers during outages.

A server is scraped before and during a real outage. Each scrape counts as one of Prometheus's, fifteen seconds apart.
After the last scrape the outage is extrapolated: gauges keep their values, and counters grow at the same rate.
"""

import json
import math
import re
import subprocess
import time
from collections.abc import Generator
from decimal import Decimal
from pathlib import Path

import asyncpg
import httpx2
import pytest
import yaml
from client import WAIT, Api, sleep_between_polls
from conftest import SECRET
from prometheus_client.parser import text_string_to_metric_families
from running import tertulia
from scripted import START, Cut, Reply, says, scripted, text
from servers import RedisServer, Servers, run
from test_command import REAL, address_in, started

from tertulia.server import services as server_services

ROOT = Path(__file__).parent.parent
RULES = ROOT / "deploy" / "observability" / "alerts.yaml"
JOB = "assistants"
"""The name of the job, which operators choose."""
STEP = 15
"""Seconds between two scrapes, as promtool sees them."""
LOAD_ALERTS = {"TertuliaCoreIsFull", "TertuliaRequestsSlow", "TertuliaFirstTokenLate", "TertuliaStopIsSlow"}
"""Alerts that may also fire during an outage because many tests share a core."""
COUNTER = re.compile(r"\w+_(total|bucket|count|sum)\b")

pytestmark = pytest.mark.needs("promtool")


class Recording:
    """Scrapes of one target, in the order in which they were made."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._begun = time.time()
        self._series = dict[str, list[float | None]]()
        self.count = self._outage = 0

    def scrape(self, times: int = 1) -> None:
        """Record the samples of `/metrics`, or `up == 0` if the server does not answer."""
        for _ in range(times):
            values = {f'up{{job="{JOB}",instance="a"}}': 1.0}
            try:
                text = httpx2.get(f"{self._address}/metrics", timeout=5).text
                values |= {name: self._at(name, value) for name, value in _samples(text)}
            except httpx2.HTTPError:
                values = dict.fromkeys(values, 0.0)
            for name in self._series.keys() | values.keys():
                self._series.setdefault(name, [None] * self.count).append(values.get(name))
            self.count += 1

    def last(self, sign: str) -> float | None:
        """Return the latest value of the first series whose name starts with `sign`."""
        return next((values[-1] for name, values in self._series.items() if name.startswith(sign)), None)

    def begins(self) -> None:
        """Note that the outage begins now."""
        self._outage = self.count

    def vanish(self) -> None:
        """Record that service discovery has lost the target."""
        for values in self._series.values():
            values.append(None)
        self.count += 1

    def _at(self, name: str, value: float) -> float:
        """Shift timestamps to promtool's clock, on which the current scrape is the last one."""
        return value - time.time() + self.count * STEP if "timestamp_seconds" in name and value else value

    def series(self, more: int) -> list[dict[str, str]]:
        """Return promtool's series, extended by `more` scrapes of the same outage."""
        return [
            {"series": name, "values": " ".join(map(_written, [*values, *self._rest(name, values, more)]))}
            for name, values in self._series.items()
        ]

    def _rest(self, name: str, values: list[float | None], more: int) -> list[float | None]:
        last, first = values[-1], values[min(self._outage, self.count - 1)] or 0.0
        if last is None or not COUNTER.match(name):
            return [last] * more
        growth = (last - first) / max(self.count - self._outage - 1, 1)
        return [last + growth * (step + 1) for step in range(more)]


def _samples(text: str) -> Generator[tuple[str, float]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = {**sample.labels, "job": JOB, "instance": "a"}
            written = ",".join(f'{name}="{value}"' for name, value in labels.items())
            yield f"{sample.name}{{{written}}}", sample.value


def _written(value: float | None) -> str:
    if value is None:
        return "_"
    return "Inf" if math.isinf(value) else f"{value:.9g}"


def firing(folder: Path, recording: Recording, minutes: int = 8) -> set[str]:
    """Return the names of the alerts that fire `minutes` after the last scrape."""
    more = minutes * 60 // STEP
    asked = {
        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": f"{(recording.count - 1 + more) * STEP}s",
        # promtool lists the firing alerts when it reports that this expectation failed.
        "exp_samples": [],
    }
    case = {"interval": f"{STEP}s", "input_series": recording.series(more), "promql_expr_test": [asked]}
    file = folder / "alerts.test.yaml"
    # JSON is YAML.
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": f"{STEP}s", "tests": [case]}))
    done = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, timeout=120, check=False
    )
    output = done.stdout + done.stderr
    names = set(re.findall(r'alertname="(\w+)"\}', output))
    assert names or not done.returncode, output
    return names - LOAD_ALERTS


def test_each_alert_links_to_its_section_of_the_runbooks() -> None:
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    page = (ROOT / "docs" / "runbooks.md").read_text()
    sections = dict(re.findall(r"^## (\w+)\n\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert sections.keys() == {rule["alert"] for rule in rules}
    for rule in rules:
        annotations, section = rule["annotations"], sections[rule["alert"]]
        # The page's headings have their names in lower case as anchors.
        assert annotations["runbook_url"] == "{{ $externalLabels.runbooks }}#" + rule["alert"].lower()
        for part in ("**Means.**", "**Check.**", "**Fix.**"):
            assert part in section, (rule["alert"], part)
    assert "runbooks" in yaml.safe_load(RULES.with_name("prometheus.yaml").read_text())["global"]["external_labels"]


def test_the_rules_and_the_configuration_are_valid() -> None:
    for kind, file in (("rules", RULES), ("config", RULES.with_name("prometheus.yaml"))):
        done = subprocess.run(["promtool", "check", kind, str(file)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


LIST = "{ conversations(first: 1) { edges { node { id } } } }"


def healthy(recording: Recording, api: Api) -> None:
    """Record scrapes of a healthy server, and note that the outage begins after them."""
    for _ in range(4):
        assert "errors" not in api.post(LIST).json()
        recording.scrape()
    recording.begins()


def refuse_connections(url: str, name: str, *, allow: bool = False) -> None:
    """Make PostgreSQL refuse connections to one of its databases, and close the existing ones."""

    async def change() -> None:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        await connection.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS {str(allow).lower()}")
        await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        await connection.close()

    run(change())


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probe the database and Redis at least as often as the tests scrape."""
    monkeypatch.setattr(server_services, "PROBE_SECONDS", 0.1)


def until(recording: Recording, sign: str, low: float, high: float) -> None:
    """Scrape until a sample is within bounds."""
    deadline = time.monotonic() + WAIT
    while not low <= (recording.last(sign) or 0.0) <= high:
        assert time.monotonic() < deadline, sign
        sleep_between_polls()
        recording.scrape()


@pytest.mark.usefixtures("probed")
def test_a_healthy_server_fires_no_alert(tmp_path: Path) -> None:
    with tertulia(tmp_path) as address, Api(address) as api:
        recording = Recording(address)
        healthy(recording, api)
        for _ in range(4):
            api.answer("Hello")
            recording.scrape()
        assert firing(tmp_path, recording) == set()


@pytest.mark.usefixtures("probed")
def test_a_database_that_refuses_connections_fires(servers: Servers, tmp_path: Path) -> None:
    url = servers.settings()["database_url"]
    name = url.partition("?")[0].rpartition("/")[2]
    with tertulia(tmp_path, database_url=url) as address, Api(address) as api:
        recording = Recording(address)
        healthy(recording, api)
        refuse_connections(servers.postgres_url(), name)
        for _ in range(6):
            for _ in range(2):
                assert api.errors(LIST)[0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
            recording.scrape()
        until(recording, 'tertulia_ready{part="database"', 0, 0)
        assert firing(tmp_path, recording) == {"TertuliaNotReady", "TertuliaRequestsFail"}
        refuse_connections(servers.postgres_url(), name, allow=True)
        until(recording, 'tertulia_ready{part="database"', 1, 1)


@pytest.mark.usefixtures("probed")
def test_a_killed_redis_fires_even_without_requests(servers: Servers, tmp_path: Path) -> None:
    redis = RedisServer(tmp_path / "redis")
    try:
        place = {"database_url": servers.settings()["database_url"], "redis_url": redis.url(0)}
        with tertulia(tmp_path, **place) as address, Api(address) as api:
            recording = Recording(address)
            healthy(recording, api)
            redis.process.kill()
            redis.process.wait()
            until(recording, 'tertulia_ready{part="redis"', 0, 0)
            assert firing(tmp_path, recording) == {"TertuliaRedisAway"}
    finally:
        redis.stop()


def test_a_killed_process_fires_and_so_does_the_answer_that_another_process_continues(tmp_path: Path) -> None:
    pace = {"TERTULIA_SIMULATOR_PACE": "1"}
    with started(tmp_path, "serve", program=REAL, **pace) as (process, printed), Api(address_in(printed)) as api:
        recording = Recording(api.address)
        healthy(recording, api)
        sent = api.send("/simulate long 500")
        api.wait_for_some(sent["generation"]["id"])
        process.kill()
        process.wait()
        recording.scrape(3)
        assert firing(tmp_path, recording) == {"TertuliaDown"}
    with tertulia(tmp_path) as address, Api(address) as api:
        assert api.follow(sent["generation"]["id"])[-1]["__typename"] == "GenerationCompleted"
        again = Recording(address)
        healthy(again, api)
        assert again.last('tertulia_continuations_total{reason="interrupted"') == 1
        assert firing(tmp_path, again) == {"TertuliaAnswersInterrupted"}
        # An hour later the alert has ended.
        assert firing(tmp_path, again, minutes=60) == set()


def test_a_target_that_vanishes_fires(tmp_path: Path) -> None:
    with tertulia(tmp_path) as address, Api(address) as api:
        recording = Recording(address)
        healthy(recording, api)
    recording.vanish()
    assert firing(tmp_path, recording) == {"TertuliaAbsent"}


@pytest.mark.usefixtures("probed")
def test_a_spent_server_budget_fires_and_a_spent_user_budget_does_not(tmp_path: Path) -> None:
    with scripted(says("Hi")) as claude:
        keyed = {"anthropic_api_key": SECRET, "anthropic_base_url": claude.address}
        for setting, expected in (
            ("monthly_budget_usd", set[str]()),
            ("server_daily_budget_usd", {"TertuliaBudgetNearlySpent", "TertuliaBudgetSpent"}),
        ):
            folder = tmp_path / setting
            folder.mkdir()
            with tertulia(folder, **keyed, **{setting: Decimal("0.0002")}) as address, Api(address) as api:
                recording = Recording(address)
                healthy(recording, api)
                for _ in range(6):
                    api.ask('mutation { sendMessage(input: { text: "Hello" }) { __typename } }')
                    sleep_between_polls()
                    recording.scrape()
                if expected:
                    until(recording, 'tertulia_server_budget_spent_usd{period="day"', 0.0002, 1)
                assert firing(folder, recording) == expected


@pytest.mark.usefixtures("probed")
def test_a_claude_that_is_overloaded_fires(tmp_path: Path) -> None:
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    with scripted(Reply(status=529, body=overloaded, headers={"x-should-retry": "false"})) as claude:
        keyed = {"anthropic_api_key": SECRET, "anthropic_base_url": claude.address}
        with tertulia(tmp_path, **keyed) as address, Api(address) as api:
            recording = Recording(address)
            healthy(recording, api)
            for _ in range(4):
                assert api.http.post("/chat", json={"message": "Hello"}).status_code == 503
                recording.scrape()
            assert firing(tmp_path, recording) == {"TertuliaAnswersFail"}


@pytest.mark.usefixtures("probed")
def test_responses_of_claude_that_break_off_fire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tertulia.generation.continuation.FIRST_DELAY", 0.0)
    broken = Reply([START, *text("Half ")[:-1], Cut])
    with scripted(*[broken, says("whole.")] * 4) as claude:
        keyed = {"anthropic_api_key": SECRET, "anthropic_base_url": claude.address}
        with tertulia(tmp_path, **keyed) as address, Api(address) as api:
            recording = Recording(address)
            healthy(recording, api)
            for _ in range(4):
                assert api.answer("Hello")["__typename"] == "GenerationCompleted"
                recording.scrape()
            assert recording.last('tertulia_continuations_total{reason="connection_error"') == 4
            assert firing(tmp_path, recording, minutes=15) == {"TertuliaAnswersContinued"}
