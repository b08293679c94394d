"""Run one tool call within its limits. Each outcome is a result, so a failure affects nothing else."""

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from tertulia.attachments.documents.errors import UnfitMedia
from tertulia.attachments.files import Files
from tertulia.attachments.media import PictureRoom
from tertulia.claude.prompt import OF_CALL
from tertulia.claude.tracing import QUIET, fail, trace_id, tracer
from tertulia.json import Json, clean, clean_text, dumps_spaced
from tertulia.log_lines import log_fields
from tertulia.tools.base import Result, Tool, ToolContext, ToolError
from tertulia.tools.documents import Document, search_result
from tertulia.tools.result_size import cut_text, limited

JSON_RESULT = "is_json"
"""The key that Tertulia adds to stored results whose text is JSON."""
NO_OUTPUT = "(no output)"
UNKNOWN = "The server was lost during this call. The tool may have run."
STOPPED = "The answer was ended before there was a result."
EXPIRED = "No result was submitted in time."
DENIED = "The user denied this call."
NO_SUCH = "There is no tool with the name {!r}."
NOT_JSON = "The input is not a JSON object, so the tool was not called."
TOO_MANY = "This answer has reached its limit of calls, so the tool was not called. Answer with what you have."

logger = logging.getLogger("tertulia.tools")


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of tool calls.

    Attributes:
        seconds: The duration of a call.
        waiting_seconds: The time that a generation waits for the client or the user.
        result_bytes: The size of a result's text.
        calls: The number of calls in one answer.
        rounds: The number of rounds of calls in one answer.
    """

    seconds: float = 60.0
    waiting_seconds: float = 3600.0
    result_bytes: int = 200_000
    calls: int = 100
    rounds: int = 25

    def are_reached(self, rounds: int, calls: int) -> bool:
        """Return whether an answer with so many rounds and calls may make no more calls."""
        return rounds >= self.rounds or calls > self.calls


async def run_tool(tool: Tool, input: Json, context: ToolContext, bounds: Bounds) -> Result:
    """Run a call, and return its result. A failure is a result with `is_error`; only a cancellation is raised."""
    seconds, begun_at = tool.seconds or bounds.seconds, time.monotonic()
    attributes = _attributes(tool, context)
    with tracer.start_as_current_span(f"execute_tool {tool.name}", attributes=attributes, **QUIET) as span:
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                result = await tool.call(input, context)
            result = limited(result, bounds.result_bytes)
        except ToolError as failure:
            result = _reported_failure(tool.name, failure, bounds.result_bytes)
        except TimeoutError as error:
            timeout_text = f"The tool did not finish within {seconds:g} seconds. It may have had an effect."
            result = failed(timeout_text) if limit.expired() else _internal_failure(tool.name, error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a tool may raise anything
            result = _internal_failure(tool.name, error)
        if result.is_error:
            fail(span, "tool_error")
    log_fields(
        logger,
        logging.DEBUG,
        "Tool call ended",
        tool=tool.name,
        tool_use_id=context.tool_use_id,
        is_error=result.is_error,
        seconds=round(time.monotonic() - begun_at, 4),
    )
    return result


def failed(text: str) -> Result:
    """Return an error result."""
    return Result([text], is_error=True)


def submitted(answer: Json) -> Result:
    """Return the result that a client has submitted. A string is unchanged, and other values become JSON."""
    output = answer.get("output")
    if isinstance(output, str) or output is None:
        return Result([output or NO_OUTPUT], is_error=answer["is_error"])
    return Result([dumps_spaced(clean(output))], is_error=answer["is_error"], is_json=True)


async def blocks_of(
    tool_use_id: str, result: Result, files: Files, room: PictureRoom, owner_id: UUID, conversation_id: UUID
) -> list[Json]:
    """Return the blocks of a result as they are stored: the result itself, followed by its pictures.

    A picture that Claude would refuse, or that exceeds the `room` for pictures, is replaced with text.
    """
    content, pictures = list[Json](), list[Json]()
    for part in result.parts:
        if isinstance(part, Document):
            content.append(search_result(part))
            continue
        text = part
        if not isinstance(text, str):
            try:
                pictures.append({**await files.keep(text.data, room, owner_id, conversation_id), OF_CALL: tool_use_id})
                text = f"[Picture {len(pictures)} is below.]"
            except UnfitMedia as unfit:
                text = f"[A picture was left out: {unfit}]"
            except Exception:
                logger.exception("A picture that a tool returned could not be stored")
                text = "[A picture was left out, because it could not be stored.]"
        content.append({"type": "text", "text": text})
    block: Json = {"type": "tool_result", "tool_use_id": tool_use_id, "content": _shown(content)}
    if result.is_error:
        block["is_error"] = True
    return [{**block, JSON_RESULT: True} if result.is_json else block, *pictures]


def _shown(content: Sequence[Json]) -> str | list[Json]:
    """Return the content of a result: a text, or blocks if it has documents. The API refuses blank texts."""
    if any(block["type"] != "text" for block in content):
        return [block for block in content if block["type"] != "text" or block["text"].strip()]
    return "\n".join(block["text"] for block in content).strip() or NO_OUTPUT


def _reported_failure(name: str, error: ToolError, max_bytes: int) -> Result:
    try:
        return failed(cut_text(clean_text(str(error)), max_bytes) or "The tool failed.")
    except Exception as fault:  # noqa: BLE001 - the `__str__` of an operator's exception may raise
        return _internal_failure(name, fault)


def _internal_failure(name: str, error: BaseException) -> Result:
    # The message of the exception may contain secrets, so it is only logged.
    reference = trace_id()
    logger.error("The tool %s failed with an internal error, trace id %s", name, reference, exc_info=error)
    return failed(f"The tool failed (trace id {reference}).")


def _attributes(tool: Tool, context: ToolContext) -> Mapping[str, str]:
    """Return the span's attributes by OpenTelemetry's conventions for generative AI."""
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": tool.name,
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": context.tool_use_id,
        "gen_ai.conversation.id": str(context.conversation_id),
        "tertulia.generation.id": str(context.generation_id),
    }


def fingerprint(answer: Json) -> str:
    """Return a hash of a submitted result, by which a repeated submission is recognized."""
    return hashlib.sha256(json.dumps(answer, sort_keys=True).encode()).hexdigest()
