"""The content blocks that an import may hold, as models: the Messages API's, with what this server adds to them.

Blocks that Claude wrote may have keys that this version does not know, and may be of kinds that it does not know: they
are kept. Blocks of users may not, because the API would refuse them with every later message.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic import Field as Checked

from tertulia.attachments.files import ATTACHMENT
from tertulia.claude.parser import TOOL_NAME
from tertulia.json import InvalidJson, Json, loads

MAX_TEXT = 200
INT32 = 2**31 - 1
"""The largest integer of GraphQL."""

Index = Annotated[int, Checked(ge=0, le=INT32)]
Short = Annotated[str, Checked(max_length=MAX_TEXT)]
ToolUseId = Annotated[str, Checked(pattern=r"^[a-zA-Z0-9_-]{1,200}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Block(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)

    partial: bool = False


class _Citation(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)

    type: Short
    cited_text: str = ""
    document_title: str | None = None
    title: str | None = None
    url: str | None = None
    source: str | None = None
    document_index: Index | None = None
    search_result_index: Index | None = None
    start_char_index: Index | None = None
    end_char_index: Index | None = None
    start_page_number: Index | None = None
    end_page_number: Index | None = None
    start_block_index: Index | None = None
    end_block_index: Index | None = None


class _JsonMark(_Strict):
    checked: bool = False
    problem: str | None = None


class _Text(_Block):
    text: str
    citations: list[_Citation] | None = None
    json_mark: _JsonMark | None = Checked(default=None, alias="json")

    @model_validator(mode="after")
    def _fits_its_mark(self) -> Self:
        if self.json_mark is not None and self.json_mark.checked and self.json_mark.problem is None:
            try:
                loads(self.text)
            except InvalidJson:
                raise ValueError("json: `text` is not JSON, though it is marked as checked") from None
        return self


class _Thinking(_Block):
    thinking: str
    signature: str | None = None


class _RedactedThinking(_Block):
    data: str


class _Compaction(_Block):
    content: str | None = None
    signature: str | None = None


class _ToolUse(_Block):
    id: ToolUseId
    name: Annotated[str, Checked(pattern=TOOL_NAME)]
    input: Any = None
    partial_json: str | None = None

    @model_validator(mode="after")
    def _has_input(self) -> Self:
        if not self.partial and not isinstance(self.input, dict):
            raise ValueError("input: must be an object, unless the block is `partial`")
        return self


class _Result(_Block):
    tool_use_id: ToolUseId


class _ToolResult(_Result):
    content: str | None = None
    is_error: bool = False
    is_json: bool = False

    @model_validator(mode="after")
    def _has_content(self) -> Self:
        if not self.partial and self.content is None:
            raise ValueError("content: must be a string, unless the block is `partial`")
        return self


class _ServerResult(_Result):
    content: list[Json] | Json | str | None = None


class _Source(_Strict):
    type: Literal["attachment"]
    attachment_id: Short
    media_type: Short | None = None
    pages: Index | None = None


class _Enabled(_Strict):
    enabled: bool


class _Shown(_Strict):
    type: str
    source: _Source


class _Image(_Shown):
    of: ToolUseId | None = None


class _Document(_Shown):
    title: Short | None = None
    citations: _Enabled | None = None
    context: str | None = None


class _UserText(_Strict):
    type: str
    text: str


class _Unknown(_Block):
    type: Short


_OF_USER: dict[str, type[BaseModel]] = {"text": _UserText, "image": _Image, "document": _Document}
_OF_CLAUDE: dict[str, type[BaseModel]] = {
    "text": _Text,
    "thinking": _Thinking,
    "redacted_thinking": _RedactedThinking,
    "compaction": _Compaction,
    "tool_use": _ToolUse,
    "server_tool_use": _ToolUse,
    "mcp_tool_use": _ToolUse,
    "tool_result": _ToolResult,
    "image": _Image,
    "document": _Document,
}


def content_problem(content: Sequence[Json], *, of_user: bool, is_attached: Callable[[str], bool]) -> str | None:
    """Return what is wrong with a message's blocks, with the place; None where all of them can be shown and sent.

    Args:
        content: The blocks.
        of_user: Whether the message is the user's.
        is_attached: Returns whether its conversation has an attachment of that id.
    """
    calls, results = set[str](), set[str]()
    for index, block in enumerate(content):
        problem = _block_problem(block, of_user=of_user) or _reference_problem(block, calls, results, is_attached)
        if problem is not None:
            return f"content.{index}.{problem}"
    return None


def _block_problem(block: Json, *, of_user: bool) -> str | None:
    kind = block.get("type")
    if not isinstance(kind, str):
        return "type: must be a string."
    if of_user and kind not in _OF_USER:
        return f"type: a user's message has blocks of the types {', '.join(_OF_USER)}."
    other = _ServerResult if kind.endswith("tool_result") else _Unknown
    model = _OF_USER[kind] if of_user else _OF_CLAUDE.get(kind, other)
    try:
        model.model_validate(block)
    except ValidationError as error:
        return describe_error(error)
    return None


def _reference_problem(
    block: Json, calls: set[str], results: set[str], is_attached: Callable[[str], bool]
) -> str | None:
    kind: str = block["type"]
    if kind.endswith("tool_use") and "id" in block:
        if block["id"] in calls:
            return "id: another call in this message has it."
        calls.add(str(block["id"]))
    elif kind.endswith("tool_result"):
        if block["tool_use_id"] not in calls:
            return "tool_use_id: there is no such call before it in this message."
        if block["tool_use_id"] in results:
            return "tool_use_id: another result in this message has it."
        results.add(block["tool_use_id"])
    elif kind in ("image", "document") and not is_attached(block["source"]["attachment_id"]):
        return f"source: there is no such attachment; sources are of the type {ATTACHMENT!r}."
    elif kind == "image" and block.get("of") is not None and block["of"] not in calls:
        return "of: there is no such call before it in this message."
    return None


def describe_error(error: ValidationError, skipped: int = 0) -> str:
    """Return the first error as one line. `skipped` parts are removed from the beginning of its location."""
    first = error.errors(include_url=False, include_input=False)[0]
    location = ".".join(str(part) for part in first["loc"][skipped:])
    message = first["msg"].removeprefix("Value error, ")
    return f"{location}: {message}" if location else message
