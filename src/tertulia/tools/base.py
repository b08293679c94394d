"""What Claude may call here: what a tool is, what it is told, and what it gives back."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast
from uuid import UUID

from tertulia.json import Json

UNFIT = ("oneOf", "allOf", "anyOf")
"""What the Messages API does not take at the top of a tool's schema."""
PROPERTY = r"^[a-zA-Z0-9_.-]{1,64}$"


def shape_problem(schema: Json) -> str | None:
    """Say why the Messages API would refuse a tool's schema; None where it takes it."""
    if schema.get("type") != "object":
        return 'takes a JSON schema of an object: {"type": "object", ...}.'
    if unfit := [key for key in UNFIT if key in schema]:
        return f"has {unfit[0]} at its top, which Claude does not take."
    properties: Any = schema.get("properties") or {}
    if not isinstance(properties, dict):
        return "has properties that are no object."
    names = list(cast("dict[str, object]", properties))
    bad = next((name for name in names if not re.fullmatch(PROPERTY, name)), None)
    return None if bad is None else f"has the property {bad[:100]!r}; names take 1 to 64 letters, digits, _, . and -."


class ToolError(Exception):
    """The failure of a tool, raised by its function.

    Claude and the user read the message. Of any other exception they get a trace id only.
    """


@dataclass(frozen=True, slots=True)
class ToolContext:
    """The call of a tool. A parameter of this type is filled in by the server, and Claude does not see it.

    Attributes:
        viewer_id: The id of the user's row in the database. Of a user whom an application has authenticated, it is
            not `Viewer.id`.
        viewer_name: The name in that row. It is unique.
        conversation_id: The conversation in which the tool is called.
        generation_id: The answer in which the tool is called.
        tool_use_id: The id of the call. No two calls have the same one, so that it can serve as an idempotency key.
    """

    viewer_id: UUID
    viewer_name: str
    conversation_id: UUID
    generation_id: UUID
    tool_use_id: str


@dataclass(frozen=True, slots=True)
class Image:
    """A picture in the result of a tool.

    Attributes:
        data: The bytes of the file.
        media_type: `image/png`, `image/jpeg`, `image/gif` or `image/webp`.
    """

    data: bytes
    media_type: str = "image/png"


@dataclass(frozen=True, slots=True)
class Result:
    """What a call gave: texts and pictures, in their order. `is_json`: it is one text, which is JSON."""

    parts: Sequence[str | Image]
    is_error: bool = False
    is_json: bool = False


class Tool(Protocol):
    """A tool that is run by this server. `seconds`: how long a call may take, None for the server's own limit."""

    @property
    def name(self) -> str:
        """The name that Claude calls it by."""
        ...

    @property
    def description(self) -> str:
        """What it does, for Claude."""
        ...

    @property
    def input_schema(self) -> Json:
        """What it takes, as a JSON schema of an object."""
        ...

    @property
    def asks_first(self) -> bool:
        """Whether the user is asked before each call."""
        ...

    @property
    def seconds(self) -> float | None:
        """How long a call may take."""
        ...

    async def call(self, input: Json, context: ToolContext) -> Result:
        """Do it; raise ToolError for what Claude should read. A call may be cancelled at any moment."""
        ...
