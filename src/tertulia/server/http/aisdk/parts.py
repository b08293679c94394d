"""The parts of a message of the AI SDK, as its client builds them from chunks.

Source: `processUIMessageStream` of the package `ai`, version 7.
"""

from collections.abc import Iterable

from tertulia.json import Json

_WRITTEN = ("text", "reasoning")
_COPIED = ("file", "source-url", "source-document")


def parts_of(chunks: Iterable[Json]) -> list[Json]:
    """Return the parts that chunks produce, in order."""
    parts: list[Json] = []
    written: dict[str, Json] = {}
    calls: dict[str, Json] = {}
    for chunk in chunks:
        kind, _, step = chunk["type"].partition("-")
        if chunk["type"] == "start-step":
            parts.append({"type": "step-start"})
        elif kind in _WRITTEN:
            _write(parts, written, chunk, kind, step)
        elif kind == "tool":
            _call(parts, calls, chunk)
        elif chunk["type"] in _COPIED or kind == "data":
            parts.append(chunk)
    return parts


def _write(parts: list[Json], written: dict[str, Json], chunk: Json, kind: str, step: str) -> None:
    key = f"{kind} {chunk['id']}"
    if step == "start":
        own_id = {"id": chunk["id"]} if kind == "reasoning" else {}
        written[key] = {"type": kind, **own_id, "text": "", "state": "streaming"}
        parts.append(written[key])
    elif step == "delta":
        written[key]["text"] += chunk["delta"]
    else:
        written[key]["state"] = "done"
        written[key] |= {"citations": chunk["citations"]} if "citations" in chunk else {}


def _call(parts: list[Json], calls: dict[str, Json], chunk: Json) -> None:
    id = chunk["toolCallId"]
    match chunk["type"]:
        case "tool-input-start":
            calls[id] = {"type": "dynamic-tool", "toolName": chunk["toolName"], "toolCallId": id}
            calls[id]["state"] = "input-streaming"
            parts.append(calls[id])
        case "tool-input-available":
            executed = {"providerExecuted": True} if "providerExecuted" in chunk else {}
            calls[id] |= {"state": "input-available", "input": chunk["input"], **executed}
        case "tool-input-error":
            calls[id] |= {"state": "output-error", "input": chunk["input"], "errorText": chunk["errorText"]}
        case "tool-approval-request":
            calls[id] |= {"state": "approval-requested", "approval": {"id": chunk["approvalId"]}}
        case "tool-output-available":
            calls[id] |= {"state": "output-available", "output": chunk["output"]}
        case "tool-output-error":
            calls[id] |= {"state": "output-error", "errorText": chunk["errorText"]}
        case _:
            pass
