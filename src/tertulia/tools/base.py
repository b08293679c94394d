"""The interface of tools that this server runs: their definition, context and results."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast
from uuid import UUID

from tertulia.json import Json

UNFIT = ("oneOf", "allOf", "anyOf")
"""Keywords that the Messages API does not accept at the top level of a tool's schema."""
PROPERTY = r"^[a-zA-Z0-9_.-]{1,64}$"


def shape_problem(schema: Json) -> str | None:
    """Return why the Messages API would refuse a tool's schema; None if it accepts it."""
    if schema.get("type") != "object":
        return 'takes a JSON schema of an object: {"type": "object", ...}.'
    if keywords := [key for key in UNFIT if key in schema]:
        return f"has {keywords[0]} at its top, which Claude does not take."
    properties: Any = schema.get("properties") or {}
    if not isinstance(properties, dict):
        return "has properties that are no object."
    names = list(cast("dict[str, object]", properties))
    invalid_name = next((name for name in names if not re.fullmatch(PROPERTY, name)), None)
    if invalid_name is None:
        return None
    return f"has the property {invalid_name[:100]!r}; names take 1 to 64 letters, digits, _, . and -."


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
    """The result of a call: texts and pictures in order. With `is_json`, it is a single text, which is JSON."""

    parts: Sequence[str | Image]
    is_error: bool = False
    is_json: bool = False


class Tool(Protocol):
    """A tool that this server runs."""

    @property
    def name(self) -> str:
        """The name by which Claude calls it."""
        ...

    @property
    def description(self) -> str:
        """What it does, for Claude."""
        ...

    @property
    def input_schema(self) -> Json:
        """The JSON schema of its input, which is an object."""
        ...

    @property
    def requires_approval(self) -> bool:
        """Whether each call requires the user's approval."""
        ...

    @property
    def seconds(self) -> float | None:
        """The time limit of a call in seconds; None for the server's default."""
        ...

    async def call(self, input: Json, context: ToolContext) -> Result:
        """Run the tool; raise ToolError with a message for Claude. A call may be cancelled at any time."""
        ...
