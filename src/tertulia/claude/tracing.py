"""The spans of an answer, by OpenTelemetry's conventions for generative AI; where nobody collects them, names alone.

Source: "Semantic conventions for generative AI", spans and agent spans. Never a word of what was said is in them.
"""

import time
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any
from uuid import UUID, uuid4

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tertulia.claude.errors import describe, request_errors
from tertulia.claude.usage import usage_of
from tertulia.json import Json

AGENT = "tertulia"
tracer = trace.get_tracer("tertulia")
written_here: ContextVar[UUID | None] = ContextVar("written_here", default=None)
"""The answer that a task works on, for what the log says of it."""
TRACE_CONTEXT = TraceContextTextMapPropagator()
"""Nothing but ids: what else a client of ours sends along (`baggage`) is not for Claude."""
QUIET: Any = {"record_exception": False, "set_status_on_exception": False}
"""What an exception says may be what a user wrote."""


def trace_id() -> str:
    """Give what finds a fault again: the trace that is open, or a name of its own."""
    span = trace.get_current_span().get_span_context()
    return trace.format_trace_id(span.trace_id) if span.is_valid else uuid4().hex


def fail(span: Span, kind: str) -> None:
    """Let a span say that it failed, and by what."""
    span.set_status(Status(StatusCode.ERROR))
    span.set_attribute("error.type", kind)


def kind_of(error: BaseException) -> str:
    """Name what failed: as Claude does where it is Claude's fault, by its class where it is ours."""
    known = isinstance(error, request_errors())
    return describe(error).code.value if known else type(error).__name__


class Chat:
    """The span of one request of Claude's."""

    def __init__(self, span: Span) -> None:
        """Take a span that somebody collects."""
        self._span = span
        self._begun = time.monotonic()
        self._silent = True
        self._usage: Json = {}

    def headers(self) -> dict[str, str]:
        """Give what joins a gateway's own trace to this one (W3C Trace Context)."""
        headers: dict[str, str] = {}
        TRACE_CONTEXT.inject(headers, trace.set_span_in_context(self._span))
        return headers

    def answered(self, request_id: str | None) -> None:
        """Take the id that Claude gave the request."""
        if request_id is not None:
            self._span.set_attribute("anthropic.request.id", request_id)

    def heard(self, events: Iterable[Json]) -> None:
        """Take what an answer says of itself. Events that make no sense are for others to judge."""
        for event in events:
            with suppress(KeyError, TypeError, AttributeError):
                self._hear(event)

    def _hear(self, event: Json) -> None:
        kind = event["type"]
        if kind == "message_start":
            message = event["message"]
            self._span.set_attributes({"gen_ai.response.id": message["id"], "gen_ai.response.model": message["model"]})
            self._usage |= message["usage"]
        elif kind == "content_block_delta" and self._silent:
            self._silent = False
            self._span.set_attribute("gen_ai.response.time_to_first_chunk", time.monotonic() - self._begun)
        elif kind == "message_delta":
            self._usage |= {name: count for name, count in event["usage"].items() if count is not None}
            self._span.set_attributes(used(usage_of(self._usage)))
            self._span.set_attribute("gen_ai.response.finish_reasons", [event["delta"]["stop_reason"]])


@contextmanager
def chatting(body: Json, server: str) -> Generator[Chat | None]:
    """Open the span of a request; None where nobody collects it. `server`: the host that is asked."""
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
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


def used(usage: Mapping[str, int]) -> dict[str, int]:
    """Name counts of tokens as the conventions do, which count as input what Claude counts apart for its cache."""
    read, written = usage.get("cache_read_tokens", 0), usage.get("cache_write_tokens", 0)
    return {
        "gen_ai.usage.input_tokens": usage.get("input_tokens", 0) + read + written,
        "gen_ai.usage.output_tokens": usage.get("output_tokens", 0),
        "gen_ai.usage.cache_read.input_tokens": read,
        "gen_ai.usage.cache_creation.input_tokens": written,
    }
