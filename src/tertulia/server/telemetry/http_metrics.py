"""Counts HTTP requests by route and status, and measures how long their responses take to begin.

Labels are bounded: routes are templates such as `/attachments/{id}`, and what no route matches is `other`.
Source: Prometheus's "Instrumentation" and "Metric and label naming".
"""

import time
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tertulia.server.http.middleware import route_path

OTHER = "other"
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
ASSETS = "/assets"
GONE = 499
"""The status of a request whose client left before its response began; as in nginx."""
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class HttpMetrics:
    """The counters; one registry belongs to one application."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register the metrics."""
        self._requests = Counter(
            "tertulia_http_requests",
            "HTTP requests, by the template of their route; sockets are not among them.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "tertulia_http_response_start_seconds",
            "From an HTTP request to the beginning of its response; streams go on after that.",
            ("route",),
            buckets=BUCKETS,
            registry=registry,
        )
        # `labels()` checks and joins its arguments under a lock each time.
        self._counters = dict[tuple[str, str, int], Counter]()
        self._histograms = dict[str, Histogram]()

    def count(self, scope: Scope, path: str, status: int, seconds: float) -> None:
        """Count a request whose response has begun.

        Args:
            scope: The request's, as routing has left it.
            path: Its path before routing, without the prefix under which the server is mounted.
            status: That of the response.
            seconds: From the request to the beginning of the response.
        """
        method = scope["method"] if scope["method"] in METHODS else OTHER
        route = route_of(scope, path)
        counter = self._counters.get((method, route, status))
        if counter is None:
            counter = self._counters[method, route, status] = self._requests.labels(method, route, status)
        counter.inc()
        histogram = self._histograms.get(route)
        if histogram is None:
            histogram = self._histograms[route] = self._seconds.labels(route)
        histogram.observe(seconds)


def route_of(scope: Scope, path: str) -> str:
    """Return the template of the route that a request was matched to, never its path."""
    route: Any = scope.get("route")
    template = getattr(route, "path_format", None) or getattr(route, "path", None)
    if isinstance(template, str):
        return template
    # Files are served by mounts, which are not routes.
    return ASSETS if "endpoint" in scope and path.startswith(ASSETS) else OTHER


class CountRequests:
    """The middleware. It is the outermost one, so that it counts refusals of the others."""

    def __init__(self, app: ASGIApp, metrics: HttpMetrics) -> None:
        """Count the requests to `app` in `metrics`."""
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, and count it once: when the response begins, or fails to."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = route_path(scope)
        start, is_counted = time.perf_counter(), False

        async def count(message: Message) -> None:
            nonlocal is_counted
            if not is_counted:
                is_counted = True
                self._metrics.count(scope, path, message["status"], time.perf_counter() - start)
            await send(message)

        try:
            await self._app(scope, receive, count)
        except Exception:
            if not is_counted:
                # The handler outside of all middleware responds with 500.
                self._metrics.count(scope, path, 500, time.perf_counter() - start)
            raise
        except BaseException:
            if not is_counted:
                self._metrics.count(scope, path, GONE, time.perf_counter() - start)
            raise
