"""The interface of the tools that this server runs: their definition, context and results."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast
from uuid import UUID

from tertulia.json import Json
from tertulia.tools.documents import Document

CHARACTERS_OF_TOKEN = 4
"""An estimate of the characters per token in schemas and results."""
UNSUPPORTED_KEYWORDS = ("oneOf", "allOf", "anyOf")
"""Keywords that the Messages API does not accept at the top level of a tool's schema."""
PROPERTY_NAME = r"^[a-zA-Z0-9_.-]{1,64}$"


def shape_problem(schema: Json) -> str | None:
    """Return why the Messages API would refuse a tool's schema, as the end of a sentence; None if it accepts it."""
    if schema.get("type") != "object":
        return 'must be the JSON schema of an object: {"type": "object", ...}.'
    if keywords := [key for key in UNSUPPORTED_KEYWORDS if key in schema]:
        return f"has `{keywords[0]}` at its top level, which the Messages API does not accept."
    properties: Any = schema.get("properties") or {}
    if not isinstance(properties, dict):
        return "has `properties` that are not an object."
    names = list(cast("dict[str, object]", properties))
    invalid_name = next((name for name in names if not re.fullmatch(PROPERTY_NAME, name)), None)
    if invalid_name is None:
        return None
    return f"has the property {invalid_name[:100]!r}; a name must be 1 to 64 letters, digits, _, . and -."


class ToolError(Exception):
    """A failure of a tool, raised by its function.

    Claude and the user see its message. Of any other exception, they see only a trace id.
    """


@dataclass(frozen=True, slots=True)
class ToolContext:
    """The context of a tool call. The server fills in a parameter of this type, and Claude does not see it.

    Attributes:
        viewer_id: The id of the user's row in the database.
        viewer_name: The name in that row, which is unique.
        conversation_id: The conversation in which the tool is called.
        generation_id: The generation in which the tool is called.
        tool_use_id: The id of the call. It is unique, so it can serve as an idempotency key.
        user_subject: The user's id in the application that embeds the server, which is `Viewer.id`, or at the identity
            provider; None if there is none.
    """

    viewer_id: UUID
    viewer_name: str
    conversation_id: UUID
    generation_id: UUID
    tool_use_id: str
    user_subject: str | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """A picture in the result of a tool call.

    Attributes:
        data: The bytes of the file.
        media_type: `image/png`, `image/jpeg`, `image/gif` or `image/webp`.
    """

    data: bytes
    media_type: str = "image/png"


Part = str | Image | Document
"""A part of a result."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a call: texts, pictures and documents in order. If `is_json`, it is one text, which is JSON."""

    parts: Sequence[Part]
    is_error: bool = False
    is_json: bool = False

    @property
    def tokens(self) -> int:
        """An estimate of the tokens of the texts. Those of pictures depend on their sizes, and are not part of it."""
        return sum(len(part) for part in self.parts if isinstance(part, str)) // CHARACTERS_OF_TOKEN


@dataclass(frozen=True, slots=True)
class ToolOptions:
    """Options of a tool's definition for Claude.

    Attributes:
        deferred: Whether Claude must search for the tool before it can call it; None if the size of all tools decides.
        strict: Whether the API guarantees that the input matches the schema.
        input_examples: Examples of the input.
        eager_input_streaming: Whether the input is streamed while Claude writes it; None for the API's default.
    """

    deferred: bool | None = None
    strict: bool = False
    input_examples: Sequence[Json] = ()
    eager_input_streaming: bool | None = None

    def fields(self) -> Json:
        """Return the fields of the definition that do not depend on the schema."""
        examples = {"input_examples": list(self.input_examples)} if self.input_examples else {}
        eager = self.eager_input_streaming
        return examples if eager is None else {**examples, "eager_input_streaming": eager}


DEFAULT_OPTIONS = ToolOptions()


class Tool(Protocol):
    """A tool that this server runs."""

    @property
    def name(self) -> str:
        """The name by which Claude calls the tool."""
        ...

    @property
    def description(self) -> str:
        """The description for Claude."""
        ...

    @property
    def input_schema(self) -> Json:
        """The JSON schema of the input, which is an object."""
        ...

    @property
    def requires_approval(self) -> bool:
        """Whether each call requires the user's approval."""
        ...

    @property
    def seconds(self) -> float | None:
        """The time limit of a call in seconds; None means `TERTULIA_TOOL_SECONDS`."""
        ...

    @property
    def idempotent(self) -> bool:
        """Whether a call may be repeated if the process that ran it was lost."""
        ...

    @property
    def options(self) -> ToolOptions:
        """The options of the definition."""
        ...

    async def call(self, input: Json, context: ToolContext) -> Result:
        """Run the tool. A call may be cancelled at any time.

        Raises:
            ToolError: The call failed. Claude sees the message.
        """
        ...
