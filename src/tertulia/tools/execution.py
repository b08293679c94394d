"""Making one call of a tool, within its bounds: whatever comes of it is a result, and costs nobody but its call."""

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
"""The key of ours that stored results bear whose text is JSON."""
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
    """What tools may take: seconds of a call and of waiting, bytes of a result, calls and rounds of an answer."""

    seconds: float = 60.0
    waiting_seconds: float = 3600.0
    result_bytes: int = 200_000
    calls: int = 100
    rounds: int = 25

    def are_reached(self, rounds: int, calls: int) -> bool:
        """Say whether an answer may call no more."""
        return rounds >= self.rounds or calls > self.calls


async def run_tool(tool: Tool, input: Json, context: ToolContext, bounds: Bounds) -> Result:
    """Make a call; give its result, or one that says why there is none. A cancellation goes through."""
    seconds = tool.seconds or bounds.seconds
    attributes = _attributes(tool, context)
    with tracer.start_as_current_span(f"execute_tool {tool.name}", attributes=attributes, **QUIET) as span:
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                result = await tool.call(input, context)
            result = _within(result, bounds.result_bytes)
        except ToolError as said:
            result = _said(tool.name, said, bounds.result_bytes)
        except TimeoutError as error:
            late = f"It took longer than {seconds:g} s; it may have been carried out, or not."
            result = failed(late) if limit.expired() else _fault(tool.name, error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a tool may raise anything, and costs nobody but its call
            result = _fault(tool.name, error)
        if result.is_error:
            fail(span, "tool_error")
    return result


def failed(words: str) -> Result:
    """Give a result that says why there is none."""
    return Result([words], is_error=True)


def submitted(answer: Json) -> Result:
    """Give what a client handed in as a result: a string as it is, all else as JSON."""
    output = answer.get("output")
    if isinstance(output, str) or output is None:
        return Result([output or NOTHING], is_error=answer["is_error"])
    return Result([dumps_spaced(clean(output))], is_error=answer["is_error"], is_json=True)


async def blocks_of(
    tool_use_id: str, result: Result, files: Files, room: PictureRoom, owner_id: UUID, conversation_id: UUID
) -> list[Json]:
    """Give the blocks of a result, as they are stored: the result itself, and its pictures behind it.

    `room`: what is left for pictures. A picture that Claude would not take, or
    that is too much together with the others, is left out, with words in its place.
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


def _within(result: Result, most: int) -> Result:
    size = sum(len(part.encode("utf-8", "replace")) for part in result.parts if isinstance(part, str))
    if size > most:
        return failed(f"The result has {size:,} bytes, and at most {most:,} are taken: ask for less.")
    return Result([_clean(part) for part in result.parts], result.is_error, result.is_json)


def _clean(part: str | Image) -> str | Image:
    return clean_text(part) if isinstance(part, str) else part


def _cut(words: str, most: int) -> str:
    return clean_text(words).encode()[:most].decode("utf-8", "ignore") or "The tool failed."


def _said(name: str, error: ToolError, most: int) -> Result:
    try:
        return failed(_cut(str(error), most))
    except Exception as fault:  # noqa: BLE001 - an operator's error may have a text that raises
        return _fault(name, fault)


def _fault(name: str, error: BaseException) -> Result:
    # What it says may be anybody's secret: it is for the log.
    found_by = trace_id()
    logger.error("The tool %s failed, trace id %s", name, found_by, exc_info=error)
    return failed(f"The tool failed (trace id {found_by}).")


def _attributes(tool: Tool, context: ToolContext) -> Mapping[str, str]:
    """Name the span's attributes as OpenTelemetry's conventions for generative AI have it."""
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": tool.name,
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": context.tool_use_id,
        "gen_ai.conversation.id": str(context.conversation_id),
        "tertulia.generation.id": str(context.generation_id),
    }


def fingerprint(answer: Json) -> str:
    """Give what tells one submission from another."""
    return hashlib.sha256(json.dumps(answer, sort_keys=True).encode()).hexdigest()
