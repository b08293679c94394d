"""Count and measure GraphQL operations over HTTP and sockets.

The number of labels is limited, because clients cannot choose them (see `DocumentPolicy.label`).
"""

from prometheus_client import CollectorRegistry, Counter, Histogram

from tertulia.schema.failures import CODE as INTERNAL
from tertulia.server.request_facts import RequestFacts
from tertulia.storage import CODE as STORAGE_FULL

OK, REFUSED, FAILED = "ok", "refused", "failed"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SUBSCRIPTION = "subscription"


class OperationMetrics:
    """The metrics of GraphQL operations, in the registry of one application."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._operations = Counter(
            "tertulia_graphql_operations",
            "GraphQL operations by name, type and status: ok, refused or failed.",
            ("operation", "type", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "tertulia_graphql_operation_seconds",
            "Duration of queries and mutations.",
            ("operation",),
            buckets=BUCKETS,
            registry=registry,
        )
        self._counters = dict[tuple[str, str, str], Counter]()
        self._histograms = dict[str, Histogram]()

    def count(self, facts: RequestFacts, seconds: float) -> None:
        """Count an operation that has ended.

        Args:
            facts: The facts about the operation, which has a label.
            seconds: Its duration. That of subscriptions depends on their clients, and is not measured.
        """
        label, kind, status = facts.operation_label or "", facts.operation_type or "", status_of(facts)
        counter = self._counters.get((label, kind, status))
        if counter is None:
            counter = self._counters[label, kind, status] = self._operations.labels(label, kind, status)
        counter.inc()
        if kind == SUBSCRIPTION:
            return
        histogram = self._histograms.get(label)
        if histogram is None:
            histogram = self._histograms[label] = self._seconds.labels(label)
        histogram.observe(seconds)


def status_of(facts: RequestFacts) -> str:
    """Return `failed` if an operation failed because of the server, and `refused` if it has another error."""
    if not facts.error_codes:
        return OK
    return FAILED if {INTERNAL, STORAGE_FULL}.intersection(facts.error_codes) else REFUSED
