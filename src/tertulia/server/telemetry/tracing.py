"""Export traces to an OpenTelemetry collector, configured by OpenTelemetry's own variables.

FastAPI creates the spans of requests, and `claude.tracing` those of generations. The SDK is imported only if a
collector's address is set. Source: "OpenTelemetry Protocol Exporter" in OpenTelemetry's specification.
"""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from importlib.metadata import version
from typing import Any

from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace

from tertulia.server.environment import check_tracing, collector_variable
from tertulia.server.http.middleware import route_path

UNTRACED = ("/healthz", "/readyz", "/metrics", "/assets/", "/s/")
"""Paths without traces: those that probes request repeatedly, static files, and those that contain a token."""
QUERY_ATTRIBUTE, REDACTED = "url.query", "REDACTED"
FLUSH_SECONDS = 3.0
"""Seconds that a stopping process waits for its collector."""


def is_enabled() -> bool:
    """Return whether traces are recorded: the application has set up the SDK, or the address of a collector is set."""
    if trace.get_tracer_provider().__class__.__module__.startswith("opentelemetry.sdk"):
        return True
    return collector_variable() is not None


def fastapi_config() -> TelemetryConfig:
    """Return the configuration of FastAPI's traces, without messages of exceptions: they may contain users' texts."""
    return TelemetryConfig(logs=False, operation_spans=False, auto_configure=False, exclude=_is_excluded)


def start_export(process: str) -> Callable[[], Awaitable[None]]:
    """Export the spans of this process from now on.

    Args:
        process: The id of the process.

    Returns:
        A function that flushes the spans at the end.

    Raises:
        WrongSetting: The extra `otel` is not installed.
    """
    check_tracing()
    from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider

    class WithoutQueries(SpanProcessor):
        """Hides query strings, because those of GraphQL requests over GET contain users' texts."""

        def on_start(self, span: Span, parent_context: object = None) -> None:
            if span.attributes and QUERY_ATTRIBUTE in span.attributes:
                span.set_attribute(QUERY_ATTRIBUTE, REDACTED)

    current = trace.get_tracer_provider()
    if isinstance(current, TracerProvider):
        # The embedding application has set up the SDK, and shuts it down.
        current.add_span_processor(WithoutQueries())
        return _flush_nothing
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = os.environ.get("OTEL_SERVICE_NAME") or "tertulia"
    attributes = {"service.name": name, "service.version": version("tertulia"), "service.instance.id": process}
    provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
    provider.add_span_processor(WithoutQueries())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)

    async def flush() -> None:
        # The SDK's own limit is 30 seconds, and an unreachable collector must not delay the shutdown.
        shutdown_thread = threading.Thread(target=provider.shutdown, daemon=True)
        shutdown_thread.start()
        await asyncio.to_thread(shutdown_thread.join, FLUSH_SECONDS)

    return flush


async def _flush_nothing() -> None:
    """Do nothing, because the embedding application shuts the SDK down."""


def _is_excluded(scope: MutableMapping[str, Any]) -> bool:
    # Sockets live long, so each of their operations has its own trace.
    path = route_path(scope)
    return scope["type"] == "websocket" or path.startswith(UNTRACED)
