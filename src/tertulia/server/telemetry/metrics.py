"""`/metrics`, the metrics of this process in Prometheus's text format.

Several processes behind one port would respond to scrapes in turn, so each replica needs its own port.
Source: Prometheus's "Metric and label naming".
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from starlette.responses import Response

from tertulia import isolation
from tertulia.billing.server_budget import PeriodBudget
from tertulia.claude.rate_limits import RateLimits
from tertulia.db.ledger import dollars
from tertulia.generation.observer import End, GenerationObserver
from tertulia.resolvers.context import Services
from tertulia.schema.failures import internal_errors
from tertulia.schema.fallbacks import fallbacks
from tertulia.server.telemetry.cost_metrics import ToolMetrics
from tertulia.server.telemetry.http_metrics import HttpMetrics
from tertulia.server.telemetry.operations import OperationMetrics

FIRST_TOKEN = (0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64)
DURATION = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
PACE = (5, 10, 20, 40, 60, 80, 120, 160, 240, 320)
LAG = (0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
LOOP_LAG = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
HOOKS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60)
STOPS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics(GenerationObserver):
    """The metrics that are updated by events, in the registry of one application."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        labels = ("status", "model")
        self._ends = Counter("tertulia_generations", "Answers that ended in this process.", labels, registry=registry)
        self._failures = Counter("tertulia_failures", "Failed answers by error code.", ("code",), registry=registry)
        self._time_to_first_token = Histogram(
            "tertulia_time_to_first_token_seconds",
            "Time from the start of an answer to its first token.",
            ("model",),
            buckets=FIRST_TOKEN,
            registry=registry,
        )
        self._duration = Histogram(
            "tertulia_generation_seconds", "Duration of an answer.", ("model",), buckets=DURATION, registry=registry
        )
        self._pace = Histogram(
            "tertulia_tokens_per_second",
            "Tokens per second of an answer after its first token.",
            ("model",),
            buckets=PACE,
            registry=registry,
        )
        self._tokens = Counter("tertulia_output_tokens", "Output tokens of answers.", ("model",), registry=registry)
        self._taken_over = Counter("tertulia_taken_over", "Answers taken over from lost processes.", registry=registry)
        self._last_taken = Gauge(
            "tertulia_last_taken_over_timestamp_seconds",
            "Time at which this process last took over an answer of a lost process; 0 if never.",
            registry=registry,
        )
        self._stops = Histogram(
            "tertulia_stop_seconds", "Time that stopping an answer took.", buckets=STOPS, registry=registry
        )
        self._followed = Counter(
            "tertulia_follows",
            "Followed answers by how the stream started: snapshot, resumed, or the reason of a gap.",
            ("how",),
            registry=registry,
        )
        self._lag = Histogram(
            "tertulia_log_lag_seconds",
            "Time from an event until all processes can read it from Redis, of the oldest event of each batch.",
            buckets=LAG,
            registry=registry,
        )
        self._refused = Counter("tertulia_refused", "Requests refused by limit.", ("limit",), registry=registry)
        self.http, self.operations = HttpMetrics(registry), OperationMetrics(registry)
        self._hooks, self._deliveries, self._ratings = _hooks(registry), _deliveries(registry), _ratings(registry)
        self._add_gauges(registry)

    def _add_gauges(self, registry: CollectorRegistry) -> None:
        self._continuations, self.tools = _continuations(registry), ToolMetrics(registry)
        self.event_loop_lag = _event_loop_lag(registry)
        build = Gauge("tertulia_build_info", "1; the label is the version.", ("version",), registry=registry)
        build.labels(version("tertulia")).set(1)
        self._ready = Gauge("tertulia_ready", "1 if the last check of a part succeeded.", ("part",), registry=registry)
        self._budget = {
            name: Gauge(f"tertulia_server_budget_{name}_usd", meaning, ("period",), registry=registry)
            for name, meaning in (
                ("limit", "Budget of all users together by period."),
                ("spent", "Part of the budget that is spent; the same on all replicas."),
                ("reserved", "Part of the budget that is reserved for running answers; the same on all replicas."),
            )
        }

    def on_end(self, end: End) -> None:
        """Count an answer that has ended."""
        self._ends.labels(end.status, end.model).inc()
        if end.code is not None:
            self._failures.labels(end.code).inc()
        self._duration.labels(end.model).observe(end.seconds)
        self._tokens.labels(end.model).inc(end.output_tokens)
        if end.first_token_seconds is not None:
            self._time_to_first_token.labels(end.model).observe(end.first_token_seconds)
            seconds_after_first = end.seconds - end.first_token_seconds
            if seconds_after_first > 0 and end.output_tokens > 1:
                self._pace.labels(end.model).observe(end.output_tokens / seconds_after_first)

    def on_takeover(self) -> None:
        """Count an answer that was taken over from a lost process."""
        self._taken_over.inc()
        # A counter restarts at 0 with its process; the timestamp shows a takeover right after the start.
        self._last_taken.set(time.time())

    def on_continue(self, reason: str) -> None:
        """Count a continuation of an interrupted answer."""
        self._continuations.labels(reason).inc()

    def on_stop(self, seconds: float) -> None:
        """Count a stopped answer, and the seconds that stopping it took."""
        self._stops.observe(seconds)

    def on_follow(self, how: str) -> None:
        """Count a followed answer by how its stream started."""
        self._followed.labels(how).inc()

    def on_tool(self, tool: str, outcome: str, seconds: float, tokens: int) -> None:
        """Count a call of a tool."""
        self.tools.count(tool, outcome, seconds, tokens)

    def on_rating(self, rating: str, model: str) -> None:
        """Count a rated answer."""
        self._ratings.labels(rating, model).inc()

    def lagged(self, seconds: float) -> None:
        """Count a batch that Redis has accepted, and the seconds since its oldest event."""
        self._lag.observe(seconds)

    def on_limit_reached(self, limit: str) -> None:
        """Count a request that a limit refused."""
        self._refused.labels(limit).inc()

    def on_hook(self, name: str, outcome: str, seconds: float) -> None:
        """Count a call of a hook by its outcome, and the seconds that it took."""
        self._hooks.labels(name, outcome).observe(seconds)

    def delivered(self, subscriber: str, outcome: str) -> None:
        """Count an attempt to deliver an event."""
        self._deliveries.labels(subscriber, outcome).inc()

    def ready(self, parts: Mapping[str, bool]) -> None:
        """Set for each part whether it works."""
        for name, is_ready in parts.items():
            self._ready.labels(name).set(is_ready)

    def spent(self, periods: Sequence[PeriodBudget]) -> None:
        """Set the metrics of the server's budget."""
        for period in periods:
            amounts = {"limit": period.limit, "spent": period.spent, "reserved": period.reserved}
            for name, amount in amounts.items():
                self._budget[name].labels(period.period).set(float(dollars(amount)))


def _continuations(registry: CollectorRegistry) -> Counter:
    meaning = "Continuations of interrupted answers by the error code of the interruption."
    return Counter("tertulia_continuations", meaning, ("reason",), registry=registry)


def _event_loop_lag(registry: CollectorRegistry) -> Histogram:
    meaning = "Lateness of the event loop, measured 40 times per second while an answer is read, and 4 times otherwise."
    return Histogram("tertulia_event_loop_lag_seconds", meaning, buckets=LOOP_LAG, registry=registry)


def _deliveries(registry: CollectorRegistry) -> Counter:
    labels = ("subscriber", "outcome")
    return Counter("tertulia_deliveries", "Attempts to deliver an event.", labels, registry=registry)


def _hooks(registry: CollectorRegistry) -> Histogram:
    meaning = "Duration of the application's hooks by outcome: ok, refused, failed, timeout or cancelled."
    return Histogram("tertulia_hook_seconds", meaning, ("hook", "outcome"), buckets=HOOKS, registry=registry)


def _ratings(registry: CollectorRegistry) -> Counter:
    meaning = "Ratings of answers by users: good or bad."
    return Counter("tertulia_ratings", meaning, ("rating", "model"), registry=registry)


class RateLimitCollector(Collector):
    """Collects the rate limits of the Claude account, and how long requests have waited for them."""

    def __init__(self, limits: RateLimits) -> None:
        self._limits = limits

    def collect(self) -> Iterator[Metric]:
        """Yield the current values."""
        labels = ("model", "kind")
        meanings = {
            "limit": "Rate limit of the Claude account per minute, as its API reports it.",
            "remaining": "Rest of the rate limit at the last response.",
            "reset_seconds": "Time until the rate limit is completely replenished.",
        }
        families = {
            name: GaugeMetricFamily(f"tertulia_claude_rate_limit_{name}", meaning, labels=labels)
            for name, meaning in meanings.items()
        }
        for model, kind, limit in self._limits:
            values: dict[str, float] = {"limit": limit.limit, "remaining": limit.remaining}
            values["reset_seconds"] = max(limit.reset_at - time.time(), 0.0)
            for name, family in families.items():
                family.add_metric((model, kind.replace("-", "_")), values[name])
        yield from families.values()
        meaning = "Requests that were delayed because little was left of a rate limit of the Claude account."
        yield CounterMetricFamily("tertulia_claude_rate_limit_waits", meaning, value=self._limits.waits)
        meaning = "Sum of these delays in seconds."
        seconds = self._limits.waited_seconds
        yield CounterMetricFamily("tertulia_claude_rate_limit_waited_seconds", meaning, value=seconds)


class StateCollector(Collector):
    """Collects current values at each scrape, and costs nothing in between."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[Metric]:
        """Yield the current values."""
        services = self._services
        in_use, max_connections = services.database.connections
        connected = sum(server.connected for server in services.mcp.servers)
        skipped = sum(len(server.skipped) for server in services.mcp.servers)
        models = services.models
        tools = services.tool_registry.cost(models.known(models.default_id).max_input_tokens)
        for name, meaning, value in (
            ("generations_active", "Answers that run in this process.", services.generation_manager.running),
            ("subscriptions_active", "Open subscriptions of this process.", services.subscriptions.open),
            ("draining", "1 while this process accepts no new messages.", int(services.generation_manager.draining)),
            (
                "rest_seconds",
                "Pause of answers between reads from Claude, while the event loop is overloaded.",
                services.generation_manager.read_delay,
            ),
            ("log_waits_seconds", "Time that the oldest unsent event has waited for Redis.", services.log.longest_wait),
            ("database_connections_in_use", "Database connections in use.", in_use),
            ("database_connections_most", "Largest number of database connections.", max_connections),
            ("mcp_servers_connected", "Connected MCP servers.", connected),
            ("mcp_tools_skipped", "Tools of MCP servers that cannot be used.", skipped),
            ("tools", "Tools that Claude may call.", tools.tools),
            ("tool_definition_tokens", "Estimated tokens of the definitions of all tools.", tools.tokens),
            (
                "tool_definition_tokens_loaded",
                "Estimated tokens of those definitions that every request to the default model adds to the prompt.",
                tools.loaded_tokens,
            ),
        ):
            yield GaugeMetricFamily(f"tertulia_{name}", meaning, value=value)
        failures = CounterMetricFamily(
            "tertulia_item_failures", "Items that failed in a loop over many items, by loop.", labels=("loop",)
        )
        for loop, count in sorted(isolation.failures().items()):
            failures.add_metric((loop,), count)
        yield failures
        fallen_back = CounterMetricFamily(
            "tertulia_query_fallbacks",
            "Queries that graphql-core executed instead of the fast path, by reason.",
            labels=("reason",),
        )
        for reason, count in fallbacks().items():
            fallen_back.add_metric((reason,), count)
        yield fallen_back
        yield CounterMetricFamily(
            "tertulia_internal_errors",
            "Errors reported as INTERNAL_SERVER_ERROR over HTTP and sockets, with any response status.",
            value=internal_errors(),
        )


def metrics_router(metrics: Metrics) -> APIRouter:
    """Return the route that Prometheus scrapes. It reports nothing about single users."""
    router = APIRouter(include_in_schema=False)

    @router.get("/metrics")
    async def scrape() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router
