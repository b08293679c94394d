"""Validation of imported content blocks: those of the Messages API, with the keys that this server adds.

Claude's blocks may be of types, and have keys, that this version does not know; they are kept. Users' blocks may not,
because the API would refuse every later message of the conversation.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic import Field as Checked

from tertulia.attachments.files import ATTACHMENT
from tertulia.claude.parser import TOOL_NAME
from tertulia.json import InvalidJson, Json, is_object, loads

MAX_TEXT = 200
MAX_SOURCE, MAX_DOCUMENT_TITLE = 2_000, 1_000
"""The most characters in a search result, which the hook `retrieve` returned."""
INT32 = 2**31 - 1
"""The largest `Int` of GraphQL."""

Index = Annotated[int, Checked(ge=0, le=INT32)]
Short = Annotated[str, Checked(max_length=MAX_TEXT)]
ToolUseId = Annotated[str, Checked(pattern=r"^[a-zA-Z0-9_-]{1,200}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Block(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)

    partial: bool = False
    attempt: Index = 0
    written_by: Short | None = None

    @model_validator(mode="after")
    def _check_keys_of_other_types(self) -> Self:
        wrong = [name for name in ("id", "tool_use_id") if not isinstance(getattr(self, name, None), str | None)]
        if wrong:
            raise ValueError(f"{wrong[0]}: must be a string")
        source = getattr(self, "source", None)
        if is_object(source) and source.get("type") == ATTACHMENT:
            raise ValueError(f"source: must not be of the type {ATTACHMENT!r} in a block of this type")
        return self


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


class _Join(_Strict):
    attempt: Index
    at: Index
    citations: Index
    repeated: str = ""
    written_by: Short | None = None


class _Text(_Block):
    text: str
    citations: list[_Citation] | None = None
    json_mark: _JsonMark | None = Checked(default=None, alias="json")
    joins: list[_Join] = []

    @model_validator(mode="after")
    def _check_joins(self) -> Self:
        places = [(self.attempt, 0, 0), *((join.attempt, join.at, join.citations) for join in self.joins)]
        ends = (INT32, len(self.text), len(self.citations or ()))
        for earlier, later in pairwise([*places, ends]):
            if earlier[0] >= later[0] or earlier[1] > later[1] or earlier[2] > later[2]:
                raise ValueError("joins: must be places in the text and its citations, in order, of later attempts")
        return self

    @model_validator(mode="after")
    def _check_json_mark(self) -> Self:
        if self.json_mark is not None and self.json_mark.checked and self.json_mark.problem is None:
            try:
                loads(self.text)
            except InvalidJson:
                raise ValueError("json: `text` is not JSON, although the block is marked as checked JSON") from None
        return self


class _Thinking(_Block):
    thinking: str
    signature: str | None = None
    filtered: bool = False


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
    def _check_input(self) -> Self:
        if not self.partial and not isinstance(self.input, dict):
            raise ValueError("input: must be an object, unless the block is `partial`")
        return self


class _Result(_Block):
    tool_use_id: ToolUseId


class _Enabled(_Strict):
    enabled: bool


class _Passage(_Strict):
    type: Literal["text"]
    text: Annotated[str, Checked(pattern=r"\S")]


class _SearchResult(_Strict):
    type: Literal["search_result"]
    source: Annotated[str, Checked(min_length=1, max_length=MAX_SOURCE)]
    title: Annotated[str, Checked(min_length=1, max_length=MAX_DOCUMENT_TITLE)]
    content: Annotated[list[_Passage], Checked(min_length=1)]
    citations: _Enabled | None = None


class _ToolResult(_Result):
    content: str | list[_Passage | _SearchResult] | None = None
    is_error: bool = False
    is_json: bool = False

    @model_validator(mode="after")
    def _check_content(self) -> Self:
        if not self.partial and self.content is None:
            raise ValueError("content: must be a string or blocks, unless the block is `partial`")
        return self


class _ServerResult(_Result):
    content: list[Json] | Json | str | None = None


class _Source(_Strict):
    type: Literal["attachment"]
    attachment_id: Short
    media_type: Short | None = None
    pages: Index | None = None
    text_bytes: Index | None = None


class _Media(_Strict):
    type: str
    source: _Source


class _Image(_Media):
    of: ToolUseId | None = None


class _Document(_Media):
    title: Short | None = None
    citations: _Enabled | None = None
    context: str | None = None


class _UserText(_Strict):
    type: str
    text: str


class _Unknown(_Block):
    type: Short


_OF_USER: dict[str, type[BaseModel]] = {
    "text": _UserText,
    "image": _Image,
    "document": _Document,
    "search_result": _SearchResult,
}
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
    """Return the first problem of a message's blocks, or None if all of them can be shown and sent.

    Args:
        content: The blocks.
        of_user: Whether the message is the user's.
        is_attached: Returns whether the conversation has an attachment with an id.

    Returns:
        The path of the problem and a description, such as `content.0.type: must be a string.`
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
        return f"type: must be one of {', '.join(_OF_USER)} in a user's message."
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
            return "id: is used by another call of this message."
        calls.add(str(block["id"]))
    elif kind.endswith("tool_result"):
        if block["tool_use_id"] not in calls:
            return "tool_use_id: must be the id of an earlier call of this message."
        if block["tool_use_id"] in results:
            return "tool_use_id: this call already has a result in this message."
        results.add(block["tool_use_id"])
    elif kind in ("image", "document") and not is_attached(block["source"]["attachment_id"]):
        return f"source: must be of the type {ATTACHMENT!r}, with the id of an attachment of the conversation."
    elif kind == "image" and block.get("of") is not None and block["of"] not in calls:
        return "of: must be the id of an earlier call of this message."
    return None


def describe_error(error: ValidationError, skipped: int = 0) -> str:
    """Return the first error in one line: its path and a description.

    Args:
        error: The errors of Pydantic.
        skipped: The number of parts to remove from the beginning of the path.
    """
    first = error.errors(include_url=False, include_input=False)[0]
    location = ".".join(str(part) for part in first["loc"][skipped:])
    message = first["msg"].removeprefix("Value error, ")
    return f"{location}: {message}" if location else message
