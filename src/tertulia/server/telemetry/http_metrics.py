"""Count HTTP requests by route and status, measure the time until their responses begin, and log one line for each.

The number of labels is limited: routes are templates such as `/attachments/{id}`, or `other` if no route matches.
Source: Prometheus's "Instrumentation" and "Metric and label naming".
"""

import logging
import time
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tertulia.log_lines import log_fields
from tertulia.server.http.middleware import route_path
from tertulia.server.request_facts import RequestFacts, facts_of
from tertulia.server.telemetry.operations import OperationMetrics

OTHER = "other"
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
ASSETS = "/assets"
CLIENT_DISCONNECTED = 499
"""The status of a request whose client disconnected before the response began, as in nginx."""
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
FREQUENT = frozenset(("/healthz", "/readyz", "/metrics", ASSETS))
"""The routes whose requests are logged at `debug`: those of probes, and static files."""
SERVER_ERRORS = 500
"""The lowest status whose requests are logged at `info` on all routes."""

logger = logging.getLogger("tertulia.requests")


class HttpMetrics:
    """The metrics of HTTP requests, in the registry of one application."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "tertulia_http_requests",
            "HTTP requests by method, route and status, without WebSockets. The route is a template.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "tertulia_http_response_start_seconds",
            "Time from an HTTP request to the start of its response, after which streams continue.",
            ("route",),
            buckets=BUCKETS,
            registry=registry,
        )
        # Cached, because each call of `labels()` checks and joins its arguments under a lock.
        self._counters = dict[tuple[str, str, int], Counter]()
        self._histograms = dict[str, Histogram]()

    def count(self, scope: Scope, path: str, status: int, seconds: float) -> None:
        """Count a request whose response has begun.

        Args:
            scope: The scope of the request, after routing.
            path: The path before routing, without the prefix under which the server is mounted.
            status: The status of the response.
            seconds: The time from the request to the start of the response.
        """
        method = method_of(scope)
        route = route_of(scope, path)
        counter = self._counters.get((method, route, status))
        if counter is None:
            counter = self._counters[method, route, status] = self._requests.labels(method, route, status)
        counter.inc()
        histogram = self._histograms.get(route)
        if histogram is None:
            histogram = self._histograms[route] = self._seconds.labels(route)
        histogram.observe(seconds)


def method_of(scope: Scope) -> str:
    """Return the method of a request, or `other` for one that no route has."""
    return scope["method"] if scope["method"] in METHODS else OTHER


def route_of(scope: Scope, path: str) -> str:
    """Return the template of the route that matched a request; never the path, which has too many values."""
    route: Any = scope.get("route")
    template = getattr(route, "path_format", None) or getattr(route, "path", None)
    if isinstance(template, str):
        return template
    # Files are served by mounts, which are not routes.
    return ASSETS if "endpoint" in scope and path.startswith(ASSETS) else OTHER


class CountRequests:
    """Middleware that counts and logs requests. It is the outermost one, so that it sees refusals of the others."""

    def __init__(self, app: ASGIApp, metrics: HttpMetrics, operations: OperationMetrics) -> None:
        self._app = app
        self._metrics = metrics
        self._operations = operations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request. Count it once, when its response begins or it fails before that; log it when it ends.

        A line is in the log before the client has the whole response, so that the client can look for it at once.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _ObservedRequest(scope)

        async def count(message: Message) -> None:
            if request.status is None:
                self._begin(request, message["status"])
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self._end(request)
            await send(message)

        try:
            await self._app(scope, receive, count)
        except Exception:
            if request.status is None:
                # The handler outside of all middleware responds with 500.
                self._begin(request, 500)
            raise
        except BaseException:
            if request.status is None:
                self._begin(request, CLIENT_DISCONNECTED)
            raise
        finally:
            self._end(request)

    def _begin(self, request: "_ObservedRequest", status: int) -> None:
        request.status, request.start_seconds = status, request.elapsed()
        self._metrics.count(request.scope, request.path, status, request.start_seconds)

    def _end(self, request: "_ObservedRequest") -> None:
        if request.has_ended:
            return
        request.has_ended = True
        facts, route = request.facts, route_of(request.scope, request.path)
        if facts.operation_label is not None:
            self._operations.count(facts, request.start_seconds)
        status = request.status
        is_frequent = route in FREQUENT and status is not None and status < SERVER_ERRORS
        log_fields(
            logger,
            logging.DEBUG if is_frequent else logging.INFO,
            "Request",
            method=method_of(request.scope),
            route=route,
            operation=facts.operation,
            operation_type=facts.operation_type,
            status=status,
            seconds=round(request.elapsed(), 4),
            errors=facts.joined_codes,
            viewer_id=facts.viewer_id,
        )


class _ObservedRequest:
    """A request, and what is known about it so far. The status is None until its response begins."""

    __slots__ = ("_begun_at", "facts", "has_ended", "path", "scope", "start_seconds", "status")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.path = route_path(scope)
        self.facts: RequestFacts = facts_of(scope)
        self.status: int | None = None
        self.has_ended = False
        self.start_seconds = 0.0
        self._begun_at = time.perf_counter()

    def elapsed(self) -> float:
        """Return the seconds since the request began."""
        return time.perf_counter() - self._begun_at
