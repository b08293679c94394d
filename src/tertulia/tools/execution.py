"""Run one call of a tool within its limits. Every outcome is a result, and no failure affects anything else."""

import asyncio
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from tertulia.attachments.files import Files
from tertulia.attachments.media import PictureRoom, UnfitMedia
from tertulia.claude.prompt import OF_CALL
from tertulia.claude.tracing import QUIET, fail, trace_id, tracer
from tertulia.json import Json, clean, clean_text, dumps_spaced
from tertulia.tools.base import Image, Result, Tool, ToolContext, ToolError

JSON_RESULT = "is_json"
"""Our key in stored results whose text is JSON."""
NOTHING = "(It gave nothing.)"
UNKNOWN = "The server was lost while this ran: it may have been carried out, or not."
STOPPED = "The answer was ended before there was a result."
EXPIRED = "No result came in time."
DENIED = "The user said no."
NO_SUCH = "There is no tool {!r} here."
NOT_JSON = "The input was no JSON object, so the tool was not called."
TOO_MANY = "There were too many calls in this answer, so this one was not made: answer with what you have."

logger = logging.getLogger("tertulia.tools")


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of tools: seconds of a call and of waiting, bytes of a result, calls and rounds of an answer."""

    seconds: float = 60.0
    waiting_seconds: float = 3600.0
    result_bytes: int = 200_000
    calls: int = 100
    rounds: int = 25

    def are_reached(self, rounds: int, calls: int) -> bool:
        """Whether an answer may make no more calls."""
        return rounds >= self.rounds or calls > self.calls


async def run_tool(tool: Tool, input: Json, context: ToolContext, bounds: Bounds) -> Result:
    """Run a call, and return its result, or one with its error. A cancellation is raised."""
    seconds = tool.seconds or bounds.seconds
    attributes = _attributes(tool, context)
    with tracer.start_as_current_span(f"execute_tool {tool.name}", attributes=attributes, **QUIET) as span:
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                result = await tool.call(input, context)
            result = _limited(result, bounds.result_bytes)
        except ToolError as failure:
            result = _reported_failure(tool.name, failure, bounds.result_bytes)
        except TimeoutError as error:
            timeout_text = f"It took longer than {seconds:g} s; it may have been carried out, or not."
            result = failed(timeout_text) if limit.expired() else _internal_failure(tool.name, error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a tool may raise anything
            result = _internal_failure(tool.name, error)
        if result.is_error:
            fail(span, "tool_error")
    return result


def failed(text: str) -> Result:
    """Return a result that is an error."""
    return Result([text], is_error=True)


def submitted(answer: Json) -> Result:
    """Return the result that a client has submitted: a string is unchanged, other values become JSON."""
    output = answer.get("output")
    if isinstance(output, str) or output is None:
        return Result([output or NOTHING], is_error=answer["is_error"])
    return Result([dumps_spaced(clean(output))], is_error=answer["is_error"], is_json=True)


async def blocks_of(
    tool_use_id: str, result: Result, files: Files, room: PictureRoom, owner_id: UUID, conversation_id: UUID
) -> list[Json]:
    """Return the stored blocks of a result: the result itself, and then its pictures.

    A picture that Claude would not accept, or that exceeds the `room` for pictures, is replaced with text.
    """
    texts, pictures = list[str](), list[Json]()
    for part in result.parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        try:
            pictures.append({**await files.keep(part.data, room, owner_id, conversation_id), OF_CALL: tool_use_id})
            texts.append(f"[Picture {len(pictures)} stands below.]")
        except UnfitMedia as unfit:
            texts.append(f"[A picture that cannot be shown: {unfit}]")
        except Exception:
            logger.exception("A tool's picture could not be kept")
            texts.append("[A picture that could not be kept]")
    block: Json = {"type": "tool_result", "tool_use_id": tool_use_id, "content": "\n".join(texts).strip() or NOTHING}
    if result.is_error:
        block["is_error"] = True
    return [{**block, JSON_RESULT: True} if result.is_json else block, *pictures]


def _limited(result: Result, max_bytes: int) -> Result:
    size = sum(len(part.encode("utf-8", "replace")) for part in result.parts if isinstance(part, str))
    if size > max_bytes:
        return failed(f"The result has {size:,} bytes, and at most {max_bytes:,} are taken: ask for less.")
    return Result([_clean(part) for part in result.parts], result.is_error, result.is_json)


def _clean(part: str | Image) -> str | Image:
    return clean_text(part) if isinstance(part, str) else part


def _truncated(text: str, max_bytes: int) -> str:
    return clean_text(text).encode()[:max_bytes].decode("utf-8", "ignore") or "The tool failed."


def _reported_failure(name: str, error: ToolError, max_bytes: int) -> Result:
    try:
        return failed(_truncated(str(error), max_bytes))
    except Exception as fault:  # noqa: BLE001 - an operator's error may have a text that raises
        return _internal_failure(name, fault)


def _internal_failure(name: str, error: BaseException) -> Result:
    # The message of the exception may contain secrets, so it is only logged.
    reference = trace_id()
    logger.error("The tool %s failed, trace id %s", name, reference, exc_info=error)
    return failed(f"The tool failed (trace id {reference}).")


def _attributes(tool: Tool, context: ToolContext) -> Mapping[str, str]:
    """Return the span's attributes according to OpenTelemetry's conventions for generative AI."""
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": tool.name,
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": context.tool_use_id,
        "gen_ai.conversation.id": str(context.conversation_id),
        "tertulia.generation.id": str(context.generation_id),
    }


def fingerprint(answer: Json) -> str:
    """Return a hash that distinguishes one submission from another."""
    return hashlib.sha256(json.dumps(answer, sort_keys=True).encode()).hexdigest()
