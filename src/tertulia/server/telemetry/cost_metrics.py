"""The metrics of costs: what each provider, model and tool costs, and how long the calls of tools take."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client import Counter as CounterMetric
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from tertulia.db import spent_here
from tertulia.db.ledger import dollars
from tertulia.resolvers.context import Services

BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
MOST_NAMES = 200
"""The most tools with labels of their own in one process. MCP servers can list any number of tools."""
OTHER = "other"


class ToolMetrics:
    """The metrics of the calls of tools that this process runs, in the registry of one application."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "tertulia_tool_seconds",
            "Duration of the calls of a tool by outcome: ok or error.",
            ("tool", "outcome"),
            buckets=BUCKETS,
            registry=registry,
        )
        self._tokens = CounterMetric(
            "tertulia_tool_result_tokens",
            "Estimated tokens of the results of a tool, which are part of all later requests of the conversation.",
            ("tool",),
            registry=registry,
        )
        self._names = set[str]()

    def count(self, tool: str, outcome: str, seconds: float, tokens: int) -> None:
        """Count a call that has ended, and the estimated tokens of its result."""
        if tool not in self._names and len(self._names) >= MOST_NAMES:
            tool = OTHER
        self._names.add(tool)
        self._seconds.labels(tool, outcome).observe(seconds)
        self._tokens.labels(tool).inc(tokens)


class CostCollector(Collector):
    """Collects the costs and tokens of the requests to Claude that this process has stored in the ledger."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[Metric]:
        """Yield the current values."""
        totals = spent_here.totals()
        labels = ("provider", "model", "kind")
        costs = CounterMetricFamily(
            "tertulia_cost_usd", "Cost of requests to Claude in US dollars, by what it pays for.", labels=labels
        )
        tokens = CounterMetricFamily("tertulia_tokens", "Tokens of requests to Claude, by kind.", labels=labels)
        for (model, kind), amount in sorted(totals.costs.items()):
            costs.add_metric((self._provider(model), model, kind), float(dollars(amount)))
        for (model, kind), count in sorted(totals.tokens.items()):
            tokens.add_metric((self._provider(model), model, kind), count)
        yield costs
        yield tokens
        tools = CounterMetricFamily(
            "tertulia_tool_cost_usd",
            "Cost of the requests in whose responses Claude has called a tool, in US dollars.",
            labels=("tool",),
        )
        for name, amount in sorted(self._tool_costs(totals.tool_costs).items()):
            tools.add_metric((name,), float(dollars(amount)))
        yield tools

    def _provider(self, model: str) -> str:
        return self._services.models.known(model).provider.value

    def _tool_costs(self, amounts: Counter[str]) -> Counter[str]:
        """Return the costs by tool. Tools that clients declare, and those of single users, are `other`."""
        offered = {offer.name for offer in self._services.tool_registry.offers()}
        costs = Counter[str]()
        for name, amount in amounts.items():
            costs[name if name in offered else OTHER] += amount
        return costs
