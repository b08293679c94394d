"""The spans of an answer, by OpenTelemetry's conventions for generative AI.

Source: "Semantic conventions for generative AI", spans and agent spans. Spans never contain the text of messages.
Without a collector, they cost little.
"""

import time
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any
from uuid import UUID, uuid4

from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tertulia.claude.errors import describe, request_errors
from tertulia.claude.usage import usage_of
from tertulia.json import Json

AGENT = "tertulia"
tracer = trace.get_tracer("tertulia")
written_here: ContextVar[UUID | None] = ContextVar("written_here", default=None)
"""The id of the generation that the current task works on, for log records."""
TRACE_CONTEXT = TraceContextTextMapPropagator()
"""Propagates ids only, because `baggage` of our clients must not be sent to Claude."""
QUIET: Any = {"record_exception": False, "set_status_on_exception": False}
"""Arguments of a span that records no exceptions, because their messages may contain text of users."""


def trace_id() -> str:
    """Return the id of the current trace, or else a random id, by which an error can be found in the log."""
    span = trace.get_current_span().get_span_context()
    return trace.format_trace_id(span.trace_id) if span.is_valid else uuid4().hex


def fail(span: Span, kind: str) -> None:
    """Mark a span as failed, with the type of the error."""
    span.set_status(Status(StatusCode.ERROR))
    span.set_attribute("error.type", kind)


def kind_of(error: BaseException) -> str:
    """Return the type of an error for a span: Claude's error code, or else the name of the exception's class."""
    is_request_error = isinstance(error, request_errors())
    return describe(error).code.value if is_request_error else type(error).__name__


class Chat:
    """The span of one request to Claude."""

    def __init__(self, span: Span) -> None:
        """Initialize with a recording span."""
        self._span = span
        self._started_at = time.monotonic()
        self._awaits_first_delta = True
        self._usage: Json = {}

    def headers(self) -> dict[str, str]:
        """Return the headers that connect a gateway's trace to this one (W3C Trace Context)."""
        headers: dict[str, str] = {}
        TRACE_CONTEXT.inject(headers, trace.set_span_in_context(self._span))
        return headers

    def record_request_id(self, request_id: str | None) -> None:
        """Record the request id of the response."""
        if request_id is not None:
            self._span.set_attribute("anthropic.request.id", request_id)

    def record_events(self, events: Iterable[Json]) -> None:
        """Record the metadata of a stream's events. Malformed events are ignored."""
        for event in events:
            with suppress(KeyError, TypeError, AttributeError):
                self._record(event)

    def _record(self, event: Json) -> None:
        kind = event["type"]
        if kind == "message_start":
            message = event["message"]
            self._span.set_attributes({"gen_ai.response.id": message["id"], "gen_ai.response.model": message["model"]})
            self._usage |= message["usage"]
        elif kind == "content_block_delta" and self._awaits_first_delta:
            self._awaits_first_delta = False
            self._span.set_attribute("gen_ai.response.time_to_first_chunk", time.monotonic() - self._started_at)
        elif kind == "message_delta":
            self._usage |= {name: count for name, count in event["usage"].items() if count is not None}
            self._span.set_attributes(usage_attributes(usage_of(self._usage)))
            self._span.set_attribute("gen_ai.response.finish_reasons", [event["delta"]["stop_reason"]])


def traceparent(span: Span) -> str | None:
    """Return the identity of a recorded span, by which later spans can join its trace (W3C Trace Context)."""
    headers: dict[str, str] = {}
    if span.is_recording():
        TRACE_CONTEXT.inject(headers, trace.set_span_in_context(span))
    return headers.get("traceparent")


def record_rating(generation_id: UUID, answer: str | None, label: str, *, is_good: bool) -> None:
    """Record the rating of an answer as a span with an event, in the trace of the answer and linked to the current one.

    The event is that of the conventions for evaluations. The user's comment and tags are not part of it.

    Args:
        generation_id: The generation that wrote the answer.
        answer: The `traceparent` of the answer's span; None if it was not recorded.
        label: The rating.
        is_good: Whether the answer was good.
    """
    current = trace.get_current_span().get_span_context()
    attributes = {"gen_ai.provider.name": "anthropic", "tertulia.generation.id": str(generation_id)}
    span = tracer.start_span(
        f"evaluate {AGENT}",
        TRACE_CONTEXT.extract({"traceparent": answer}) if answer else None,
        attributes=attributes,
        links=[Link(current)] if answer and current.is_valid else None,
    )
    result: dict[str, str | float] = {
        "gen_ai.evaluation.name": "user_rating",
        "gen_ai.evaluation.score.label": label,
        "gen_ai.evaluation.score.value": float(is_good),
    }
    span.add_event("gen_ai.evaluation.result", result)
    span.end()


@contextmanager
def chat_span(body: Json, server: str, provider: str) -> Generator[Chat | None]:
    """Open the span of a request to the host `server` of a provider. Yields None if the span is not recorded."""
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": body["model"],
        "gen_ai.request.max_tokens": body["max_tokens"],
        "gen_ai.request.stream": True,
        "server.address": server,
    }
    span = tracer.start_span(f"chat {body['model']}", kind=SpanKind.CLIENT, attributes=attributes)
    if not span.is_recording():
        yield None
        return
    try:
        yield Chat(span)
    except Exception as error:
        fail(span, kind_of(error))
        raise
    finally:
        span.end()


def usage_attributes(usage: Mapping[str, int]) -> dict[str, int]:
    """Return token counts by the names of the conventions. Their input tokens include those of the cache."""
    cache_read, cache_write = usage.get("cache_read_tokens", 0), usage.get("cache_write_tokens", 0)
    return {
        "gen_ai.usage.input_tokens": usage.get("input_tokens", 0) + cache_read + cache_write,
        "gen_ai.usage.output_tokens": usage.get("output_tokens", 0),
        "gen_ai.usage.cache_read.input_tokens": cache_read,
        "gen_ai.usage.cache_creation.input_tokens": cache_write,
    }
