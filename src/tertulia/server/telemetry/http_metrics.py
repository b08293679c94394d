"""Count HTTP requests by route and status, and measure the time until their responses begin.

The number of labels is limited: routes are templates such as `/attachments/{id}`, or `other` if no route matches.
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
CLIENT_DISCONNECTED = 499
"""The status of a request whose client disconnected before the response began, as in nginx."""
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


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
    """Return the template of the route that matched a request; never the path, which has too many values."""
    route: Any = scope.get("route")
    template = getattr(route, "path_format", None) or getattr(route, "path", None)
    if isinstance(template, str):
        return template
    # Files are served by mounts, which are not routes.
    return ASSETS if "endpoint" in scope and path.startswith(ASSETS) else OTHER


class CountRequests:
    """Middleware that counts requests. It is the outermost one, so that it counts refusals of the others."""

    def __init__(self, app: ASGIApp, metrics: HttpMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, and count it once: when the response begins, or when the request fails before that."""
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
                self._metrics.count(scope, path, CLIENT_DISCONNECTED, time.perf_counter() - start)
            raise
