"""Note and log the GraphQL operations of requests and sockets."""

import logging
import time
from dataclasses import dataclass, field
from typing import Any

from tertulia.log_lines import log_fields
from tertulia.schema.document_policy import CheckedDocument, DocumentPolicy
from tertulia.server.request_facts import RequestFacts, bounded_name
from tertulia.server.telemetry.operations import SUBSCRIPTION, OperationMetrics, status_of

logger = logging.getLogger("tertulia.requests")


@dataclass(slots=True, eq=False)
class Operation:
    """A running operation of a socket.

    It has the text of its document only until it starts, because sockets may idle for hours.
    """

    id: str
    query: str
    variables: dict[str, Any] | None
    name: str | None
    facts: RequestFacts
    begun_at: float = field(default_factory=time.perf_counter)

    def elapsed(self) -> float:
        """Return the seconds since the operation began."""
        return time.perf_counter() - self.begun_at


def note_operation(facts: RequestFacts, document: CheckedDocument, policy: DocumentPolicy) -> None:
    """Note the operation that a request selects in a valid document."""
    operation = document.operation
    facts.operation = bounded_name(operation.name.value if operation.name else None)
    facts.operation_type, facts.operation_label = operation.operation.value, policy.label(document)


def log_subscription(facts: RequestFacts) -> None:
    """Log that a subscription begins. Its end is logged like that of other operations."""
    log_fields(logger, logging.INFO, "Subscription began", operation=facts.operation, viewer_id=facts.viewer_id)


class OperationObserver:
    """Logs and counts the operations of sockets. Those of requests are part of the request's line."""

    def __init__(self, policy: DocumentPolicy, metrics: OperationMetrics) -> None:
        self._policy = policy
        self._metrics = metrics

    def begin(self, facts: RequestFacts, document: CheckedDocument) -> None:
        """Note the operation of a valid document. Only the beginning of a subscription is logged."""
        note_operation(facts, document, self._policy)
        if facts.operation_type == SUBSCRIPTION:
            log_subscription(facts)

    def end(self, facts: RequestFacts, seconds: float, *, is_cancelled: bool) -> None:
        """Count and log an operation that has ended. `is_cancelled` is whether its client has ended it."""
        if facts.operation_label is not None:
            self._metrics.count(facts, seconds)
        log_fields(
            logger,
            logging.INFO,
            "Operation",
            operation=facts.operation,
            operation_type=facts.operation_type,
            status="cancelled" if is_cancelled else status_of(facts),
            seconds=round(seconds, 4),
            errors=facts.joined_codes,
            viewer_id=facts.viewer_id,
        )
