"""Streams of the Messages API in which one field of one event is wrong, generated from the SDK's own event types."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from anthropic import types
from pydantic import BaseModel
from scripted import sse

Json = dict[str, Any]
Path = tuple[str | int, ...]
DEEPEST = 6
"""The number of levels of nested models that get sample values."""
HUGE_TEXT, HUGE_NUMBER, HUGE_LENGTH = "x" * 400_000, 10**30, 5_000
DELTAS = {
    "text": ("text_delta", "citations_delta"),
    "thinking": ("thinking_delta", "signature_delta"),
    "tool_use": ("input_json_delta",),
    "server_tool_use": ("input_json_delta",),
}
"""The types of deltas for each type of block."""
NAMES = {"id": "toolu_1", "name": "look", "tool_use_id": "srvtoolu_1", "partial_json": '{"at": 1}'}


@dataclass(frozen=True)
class Mutation:
    """A stream with one wrong field, named by that field and its value."""

    name: str
    events: tuple[Json, ...]

    def body(self) -> bytes:
        """Return the stream as server-sent events."""
        return b"".join(
            sse(event) if isinstance(event.get("type"), str) else f"data: {json.dumps(event)}\n\n".encode()
            for event in self.events
        )


def mutations(count: int, seed: int = 23) -> list[Mutation]:
    """Return `count` mutations, chosen evenly from all of them. A seed always gives the same ones."""
    candidates = list(_all())
    random.Random(seed).shuffle(candidates)
    return [candidates[index % len(candidates)] for index in range(count)]


def _all() -> Iterator[Mutation]:
    for stream_name, events in _streams():
        for index, event in enumerate(events):
            for path in _paths(event):
                before = _at(event, path)
                for kind, after in _wrong(before).items():
                    changed = (*events[:index], _with(event, path, after, kind == "missing"), *events[index + 1 :])
                    name = f"{stream_name}: {event['type']}.{'.'.join(map(str, path))} is {kind}"
                    yield Mutation(name, changed)


def _streams() -> Iterator[tuple[str, tuple[Json, ...]]]:
    """Build a complete stream for each type of block, with each of its types of deltas."""
    (message_start,) = _samples(types.RawMessageStartEvent, 0)[:1]
    message_start["message"]["content"] = []
    message_start["message"]["stop_reason"] = None
    (message_delta,) = _samples(types.RawMessageDeltaEvent, 0)[:1]
    deltas: dict[str, list[Json]] = {}
    for delta in _samples(types.RawContentBlockDeltaEvent.model_fields["delta"].annotation, 0):
        deltas.setdefault(delta["type"], []).append(delta)
    for block in _samples(types.RawContentBlockStartEvent.model_fields["content_block"].annotation, 0):
        kind = block["type"]
        block_deltas = [delta_sample for name in DELTAS.get(kind, ()) for delta_sample in deltas[name]]
        end = {
            **message_delta,
            "delta": {**message_delta["delta"], "stop_reason": "tool_use" if kind == "tool_use" else "end_turn"},
        }
        yield (
            kind,
            (
                message_start,
                {"type": "content_block_start", "index": 0, "content_block": block},
                *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in block_deltas),
                {"type": "content_block_stop", "index": 0},
                end,
                {"type": "message_stop"},
            ),
        )  # fmt: skip


def _samples(annotation: Any, depth: int, name: str = "") -> list[Any]:
    """Return sample values of a type: several for a union of models, otherwise one."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _samples(get_args(annotation)[0], depth, name)
    if origin is Literal:
        return [get_args(annotation)[0]]
    if origin in {Union, UnionType}:
        kinds = [one for one in get_args(annotation) if one is not NoneType]
        samples = [sample for kind in kinds for sample in _samples(kind, depth, name)]
        return samples if all(isinstance(one, dict) for one in samples) else samples[:1]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [_filled(annotation, depth)]
    plain: dict[Any, Any] = {int: 1, bool: True, float: 1.5, object: {"at": 1}, str: NAMES.get(name, "words")}
    if origin is list:
        plain[annotation] = [_samples(get_args(annotation)[0], depth + 1, name)[0]]
    return [{"at": 1} if origin is dict else plain.get(annotation, "words")]


def _filled(model: type[BaseModel], depth: int) -> Json:
    return {
        name: _samples(field.annotation, depth + 1, name)[0] if depth < DEEPEST else None
        for name, field in model.model_fields.items()
    }


def _paths(value: Any, path: Path = ()) -> Iterator[Path]:
    children: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    for key, child in children:
        yield (*path, key)
        yield from _paths(child, (*path, key))


def _at(value: Any, path: Path) -> Any:
    for key in path:
        value = value[key]
    return value


def _with(value: Any, path: Path, after: Any, remove: bool) -> Any:  # noqa: FBT001 - one of the four mutations
    copy = json.loads(json.dumps(value))
    holder = _at(copy, path[:-1])
    if remove:
        del holder[path[-1]]
    else:
        holder[path[-1]] = after
    return copy


def _wrong(before: Any) -> dict[str, Any]:
    """Return wrong values for a field, by their description."""
    wrong: Any
    huge: Any
    match before:
        case bool() | None:
            wrong, huge = "words", HUGE_TEXT
        case int() | float():
            wrong, huge = {"a": [1]}, HUGE_NUMBER
        case str():
            wrong, huge = [1, None], HUGE_TEXT
        case list():
            wrong, huge = "words", [*before] * HUGE_LENGTH
        case _:
            wrong, huge = 7, {f"key{number}": number for number in range(HUGE_LENGTH)}
    return {"null": None, "of a wrong type": wrong, "huge": huge, "missing": None}
