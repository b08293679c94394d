"""The simulated Claude's responses: a message, or the events of its stream."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from tertulia.json import Json
from tertulia.simulator.script import Plan, pieces


@dataclass(frozen=True, slots=True)
class Report:
    """The report of a response about its request.

    Attributes:
        id: The id of the response.
        usage: The usage of the input.
        diagnostics: Why the cache was missed; None if the request does not ask for it.
        edits: The edits of the context that were applied; None if the request has none.
        transformations: The thinking that was dropped; None if the request does not ask for it.
    """

    id: str = field(default_factory=lambda: f"msg_{uuid.uuid4().hex[:24]}")
    usage: Json = field(default_factory=dict[str, Any])
    diagnostics: Json | None = None
    edits: list[Json] | None = None
    transformations: list[Json] | None = None

    @property
    def context_management(self) -> Json:
        """The field `context_management` of a response, if it has one."""
        return {} if self.edits is None else {"context_management": {"applied_edits": self.edits}}


def message(body: Json, planned: Plan, report: Report) -> Json:
    """Return a response that is not streamed."""
    return {
        "id": report.id,
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": planned.blocks,
        "stop_reason": planned.stop_reason,
        "stop_sequence": planned.stop_sequence,
        "stop_details": planned.stop_details,
        "usage": {**report.usage, **_output_usage(planned)},
        "diagnostics": report.diagnostics,
        **({} if report.transformations is None else {"input_transformations": report.transformations}),
        **report.context_management,
        **_container(planned),
    }


async def stream(body: Json, planned: Plan, report: Report, pace: float) -> AsyncIterator[str]:
    """Yield the events of a response."""
    begun = message(body, Plan(output_tokens=1), report)
    begun |= {"stop_reason": None, "stop_sequence": None, "stop_details": None}
    begun.pop("context_management", None)
    yield _sse({"type": "message_start", "message": begun})
    yield _sse({"type": "ping"})
    for step in planned.steps:
        if step.delay:
            await asyncio.sleep(step.delay * pace)
        if step.cut:
            # The ASGI server then closes the connection without the final chunk, as if the network failed.
            raise ConnectionAbortedError("the scenario closes the connection")
        if step.hang:
            await asyncio.Event().wait()
        yield step.raw or _sse(step.event)
    if planned.breaks_off:
        return
    delta: Json = {"stop_reason": planned.stop_reason, "stop_sequence": planned.stop_sequence}
    delta |= {"stop_details": planned.stop_details, **_container(planned)}
    usage = {**report.usage, **_output_usage(planned)}
    yield _sse({"type": "message_delta", "delta": delta, "usage": usage, **report.context_management})
    yield _sse({"type": "message_stop"})


def _output_usage(planned: Plan) -> Json:
    thoughts = [block["thinking"] for block in planned.blocks if block["type"] == "thinking"]
    thinking = min(sum(len(pieces(thought)) for thought in thoughts), planned.output_tokens)
    details = {"output_tokens_details": {"thinking_tokens": thinking}}
    server_tool_use = {} if planned.server_tool_use is None else {"server_tool_use": planned.server_tool_use}
    return {"output_tokens": planned.output_tokens, **details, **server_tool_use}


def _container(planned: Plan) -> Json:
    return {} if planned.container is None else {"container": planned.container}


def _sse(event: Json) -> str:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
