"""The metrics for Prometheus, and log lines in JSON."""

import json
import re
import signal
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import forking
import pytest
from client import WAIT, Api, Json, sleep_between_polls, wait_until
from conftest import Staged
from prometheus_client import CollectorRegistry
from running import tertulia
from scripted import Gate, Reply, says, uses
from servers import RedisServer, Servers

from tertulia.billing import budget
from tertulia.claude import models
from tertulia.schema.fallbacks import FallbackReason
from tertulia.server.telemetry.cost_metrics import MOST_NAMES, ToolMetrics
from tertulia.streams.redis import log

STOP = "mutation ($id: ID!) { stopGeneration(id: $id) { ... on GenerationPayload { generation { status } } } }"


def scrape(api: Api) -> dict[str, float]:
    """Return the values of `/metrics` by name and labels."""
    response = api.http.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    lines = (line.rsplit(" ", 1) for line in response.text.splitlines() if line.startswith("tertulia_"))
    return {name: float(value) for name, value in lines}


def ends(told: dict[str, float], status: str) -> float:
    """Return how many answers ended with this status."""
    return sum(value for name, value in told.items() if re.match(rf'tertulia_generations_total.*"{status}"', name))


def test_ended_answers_are_counted_with_their_times_and_tokens(staged: Staged) -> None:
    gate = Gate()
    stage = staged(says("whole"), says("half", gate, "more"), Reply(status=400, body={"type": "error", "error": {
        "type": "invalid_request_error", "message": "no"}}))  # fmt: skip
    stage.api.answer("One")
    assert ends(scrape(stage.api), "completed") == 1
    generation = stage.api.send("Two")["generation"]["id"]
    assert gate.reached.wait(WAIT)
    assert scrape(stage.api)["tertulia_generations_active"] == 1
    stage.api.ask(STOP, id=generation)
    gate.open.set()
    stage.api.answer("Three")
    metrics = scrape(stage.api)
    assert (ends(metrics, "completed"), ends(metrics, "stopped"), ends(metrics, "failed")) == (1, 1, 1)
    assert metrics['tertulia_failures_total{code="invalid_request_error"}'] == 1
    assert metrics["tertulia_stop_seconds_count"] == 1
    assert metrics['tertulia_output_tokens_total{model="claude-opus-5-5"}'] >= 7
    assert metrics['tertulia_time_to_first_token_seconds_count{model="claude-opus-5-5"}'] == 2
    assert metrics["tertulia_generations_active"] == 0


def test_followers_are_counted_by_how_they_began(tmp_path: Path) -> None:
    with tertulia(tmp_path) as address, Api(address) as api:
        generation = api.answer("Hello")["generation"]["id"]
        before = scrape(api)
        for after in (None, 0, 999):
            api.follow(generation, after)
        metrics = scrape(api)
        for how in ("snapshot", "resumed", "unknown_sequence"):
            name = f'tertulia_follows_total{{how="{how}"}}'
            assert metrics[name] == before.get(name, 0) + 1
        assert metrics["tertulia_subscriptions_active"] == 0


def test_refusals_by_a_limit_are_counted(tmp_path: Path) -> None:
    limits: Json = {"rate_limit": "3/hour", "max_concurrent_generations": 1, "daily_tokens": 1}
    with tertulia(tmp_path, **limits) as address, Api(address) as api:

        def refuse(limit: str, status: int) -> None:
            assert api.http.post("/chat", json={"message": "Again"}).status_code == status
            assert scrape(api)[f'tertulia_refused_total{{limit="{limit}"}}'] == 1

        generation = api.send("/simulate hang")["generation"]["id"]
        api.wait_for_some(generation)
        refuse("generations", 429)
        api.stop(generation)
        refuse("budget", 402)
        refuse("sends", 429)


def test_the_waiting_time_of_a_log_is_reported_while_redis_hangs(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "RESPONSE_SECONDS", 0.5)
    redis = RedisServer(tmp_path / "redis")
    place = {"database_url": servers.settings()["database_url"], "redis_url": redis.url(0)}
    try:
        with tertulia(tmp_path, **place, simulator_pace=1) as address, Api(address) as api:
            generation = api.send("/simulate long 2000")["generation"]["id"]
            api.wait_for_some(generation)
            assert scrape(api)["tertulia_log_lag_seconds_count"] > 0
            redis.process.send_signal(signal.SIGSTOP)
            waits = [0.0]
            deadline = time.monotonic() + WAIT
            while waits[-1] < 1.5:
                assert time.monotonic() < deadline, waits
                sleep_between_polls()
                waits.append(scrape(api)["tertulia_log_waits_seconds"])
                # Until the first batch that waits until Redis continues, batches are still accepted in between.
                assert waits[-1] >= waits[-2] or waits[-2] < 0.3, waits
            redis.process.send_signal(signal.SIGCONT)
            api.stop(generation)
            wait_until(lambda: not scrape(api)["tertulia_log_waits_seconds"], "a log that is written again")
    finally:
        redis.stop()


def test_requests_are_counted_by_the_template_of_their_route(tmp_path: Path) -> None:
    with tertulia(tmp_path) as address, Api(address) as api:
        for path in ("/attachments/a-secret-id", "/attachments/another", "/no/such/path", "/wp-login.php"):
            assert api.http.get(path).status_code == 404
        assert api.http.request("PROPFIND", "/chat").status_code == 405
        api.http.get("/assets/web/none.js")
        metrics = scrape(api)
    requests = {name: count for name, count in metrics.items() if name.startswith("tertulia_http_requests_total")}
    assert requests == {
        'tertulia_http_requests_total{method="GET",route="/attachments/{id}",status="404"}': 2,
        'tertulia_http_requests_total{method="GET",route="other",status="404"}': 2,
        'tertulia_http_requests_total{method="other",route="/chat",status="405"}': 1,
        'tertulia_http_requests_total{method="GET",route="/assets",status="404"}': 1,
    }
    assert metrics['tertulia_http_response_start_seconds_count{route="other"}'] == 2


def test_internal_errors_are_counted_over_every_transport(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tertulia(tmp_path) as address, Api(address) as api, api.socket() as socket:

        def broken(*_: object, **__: object) -> None:
            raise RuntimeError("as the test wants")

        monkeypatch.setattr(budget.Budget, "status", broken)
        before = scrape(api)["tertulia_internal_errors_total"]
        query = "{ viewer { budget { limitUsd } } }"
        answer = api.post(query)
        # The field may be null, so that the status is 200.
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (200, "INTERNAL_SERVER_ERROR")
        socket.subscribe(query, {})
        assert socket.receive()["type"] == "next"
        assert scrape(api)["tertulia_internal_errors_total"] == before + 2


def test_queries_that_leave_the_fast_path_are_counted_by_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with tertulia(tmp_path) as address, Api(address) as api:

        async def without_models(*_: object) -> list[None]:
            return [None]

        monkeypatch.setattr(models.Models, "list", without_models)
        before = scrape(api)
        for query in ("{ __schema { __typename } }", "{ conversations(first: -1) { __typename } }"):
            api.post(query)
        assert "fast path" not in caplog.text
        api.post("{ models { id } }")
        api.post("{ viewer { id } }")
        after = scrape(api)
        name = 'tertulia_query_fallbacks_total{{reason="{}"}}'
        counted = {reason: after[name.format(reason)] - before[name.format(reason)] for reason in FallbackReason}
        assert {reason for reason, count in counted.items() if count} == {"introspection", "client_error", "null"}
        assert "fast path failed" in caplog.text
        assert "models: null" in caplog.text


def test_metrics_contain_no_data_of_users(tmp_path: Path) -> None:
    with tertulia(tmp_path) as address, Api(address) as api:
        sent = api.answer("A secret about zeppelins")
        text = api.http.get("/metrics").text
        assert "zeppelins" not in text
        assert sent["generation"]["id"] not in text


def test_log_lines_are_json_if_configured(tmp_path: Path) -> None:
    settings: Json = {
        "TERTULIA_LOG_FORMAT": "json",
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
        "PATH": "/usr/bin:/bin",
    }
    port = urlsplit("http://127.0.0.1:0").port
    command = [str(forking.command() / "tertulia"), "serve", "--port", str(port)]
    with subprocess.Popen(command, env=settings, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        line = json.loads(server.stderr.readline())
        server.terminate()
    assert line["level"] == "warning"
    assert line["logger"] == "tertulia"
    assert "ANTHROPIC_BASE_URL" in line["message"]
    assert line["time"].endswith("+00:00")


def test_the_dashboard_and_the_alerts_use_only_existing_metrics(tmp_path: Path) -> None:
    folder = Path(__file__).parent.parent / "deploy" / "observability"
    used = set(re.findall(r"\b(?:tertulia|process)_\w+", (folder / "alerts.yaml").read_text()))
    used |= set(re.findall(r"\b(?:tertulia|process)_\w+", (folder / "grafana-dashboard.json").read_text()))
    with tertulia(tmp_path) as address, Api(address) as api:
        exposition = api.http.get("/metrics").text
    known = set(re.findall(r"^# TYPE (\w+)", exposition, re.MULTILINE))
    histograms = set(re.findall(r"^# TYPE (\w+) histogram", exposition, re.MULTILINE))
    assert used - known == {f"{name}_bucket" for name in histograms if f"{name}_bucket" in used}


def test_costs_and_tokens_are_counted_by_provider_model_kind_and_tool(staged: Staged) -> None:
    stage = staged(uses(("who", {}), ("of_a_client", {})), says("Done."), tools=("some_tools",))
    before = scrape(stage.api)
    assert stage.api.answer("Who am I?")["__typename"] == "GenerationCompleted"
    after = scrape(stage.api)

    def grown(name: str, **labels: str) -> float:
        joined = ",".join(f'{label}="{value}"' for label, value in labels.items())
        return after.get(f"{name}{{{joined}}}", 0) - before.get(f"{name}{{{joined}}}", 0)

    of_model = {"model": "claude-opus-5-5", "provider": "anthropic"}
    for kind in ("input", "output"):
        assert grown("tertulia_tokens_total", kind=kind, **of_model) > 0
        assert grown("tertulia_cost_usd_total", kind=kind, **of_model) > 0
    bill = stage.api.ask("{ viewer { usage { costUsd } } }")["viewer"]["usage"]["costUsd"]
    costs = sum(
        value - before.get(name, 0) for name, value in after.items() if name.startswith("tertulia_cost_usd_total")
    )
    assert costs == pytest.approx(float(bill), rel=1e-6)
    assert 0 < grown("tertulia_tool_cost_usd_total", tool="who") < costs
    of_who = grown("tertulia_tool_cost_usd_total", tool="who")
    assert grown("tertulia_tool_cost_usd_total", tool="other") == pytest.approx(of_who, rel=1e-6)
    assert grown("tertulia_tool_seconds_count", outcome="ok", tool="who") == 1
    assert grown("tertulia_tool_result_tokens_total", tool="who") > 0
    assert not [name for name in after if "of_a_client" in name]


def test_the_version_and_the_lateness_of_the_event_loop_are_reported(tmp_path: Path) -> None:
    with tertulia(tmp_path) as address, Api(address) as api:
        metrics = scrape(api)
        assert metrics[f'tertulia_build_info{{version="{version("tertulia")}"}}'] == 1
        count = metrics["tertulia_event_loop_lag_seconds_count"]
        wait_until(lambda: scrape(api)["tertulia_event_loop_lag_seconds_count"] > count, "a sample of the loop")


def test_the_number_of_tools_with_labels_is_limited() -> None:
    registry = CollectorRegistry()
    tools = ToolMetrics(registry)
    for number in range(MOST_NAMES + 5):
        tools.count(f"tool_{number}", "ok", 0.1, 1)
    tools.count("tool_0", "ok", 0.1, 1)
    assert registry.get_sample_value("tertulia_tool_result_tokens_total", {"tool": "other"}) == 5
    assert registry.get_sample_value("tertulia_tool_result_tokens_total", {"tool": "tool_0"}) == 2
