"""Parse the file of an assistant: YAML front matter, and the instructions as the body."""

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tertulia.assistants.definition import Assistant, AssistantError, ClientSetting, ModelReference
from tertulia.assistants.instructions import Instructions, TemplateError
from tertulia.assistants.request_keys import RequestKeys, skills_problem
from tertulia.claude.parser import TOOL_NAME
from tertulia.json import Json
from tertulia.tools.json_schema import SchemaKind, schema_problem_blocking
from tertulia.tools.web import WebOptions

MAX_FILE = 1_000_000
"""Bytes."""
MAX_INSTRUCTIONS = 200_000
"""Characters."""
FENCE = "---"
ID = r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}"
TOOL_PATTERN = r"^[a-zA-Z0-9_*?\[\]!-]{1,128}$"

NOT_KEYS = ("_Thinking", "bool", "constrained-int", "literal['all']")
"""The steps in the locations of pydantic's errors that are members of unions."""

Text = Annotated[str, Field(min_length=1, max_length=1000)]
ModelId = Annotated[str, Field(min_length=1, max_length=200)]


class _Thinking(BaseModel):
    model_config = ConfigDict(extra="forbid")

    enabled: Annotated[bool, Field(strict=True)]
    budget_tokens: Annotated[int, Field(strict=True, ge=1024)] | None = None


class _FrontMatter(RequestKeys, BaseModel):
    """The keys of the front matter."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    description: Text | None = None
    model: ModelId | None = None
    models: list[ModelId] = []
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    thinking: _Thinking | Annotated[bool, Field(strict=True)] | None = None
    max_tokens: Annotated[int, Field(strict=True, ge=1)] | None = None
    output_schema: Json | None = None
    tool_choice: Annotated[str, Field(pattern=TOOL_NAME)] | None = None
    parallel_tools: Annotated[bool, Field(strict=True)] | None = None
    continue_interrupted: Annotated[bool, Field(strict=True)] | None = None
    tools: list[Annotated[str, Field(pattern=TOOL_PATTERN)]] = []
    fallbacks: list[ModelId] = []
    starters: Annotated[list[Text], Field(max_length=20)] = []
    clients_may_set: list[Literal["instructions", "model", "options", "tools"]] = []
    memory: Annotated[bool, Field(strict=True)] = False
    web: WebOptions | None = None

    def options(self) -> Json:
        """Return the options for answers, in the form in which conversations store them."""
        thinking = {"enabled": self.thinking} if isinstance(self.thinking, bool) else None
        if isinstance(self.thinking, _Thinking):
            thinking = self.thinking.model_dump()
        values = {
            "max_tokens": self.max_tokens,
            "effort": self.effort,
            "output_schema": self.output_schema,
            "thinking": thinking,
            "tool_choice": self._tool_choice(),
            "continue_interrupted": self.continue_interrupted,
            "fallbacks": self.fallbacks or None,
            **self.request_options(),
        }
        return {name: value for name, value in values.items() if value is not None}

    def _tool_choice(self) -> Json | None:
        if self.tool_choice is None and self.parallel_tools is None:
            return None
        choice = self.tool_choice or "auto"
        name = None if choice in ("auto", "any", "none") else choice
        return {"mode": choice if name is None else "tool", "name": name, "parallel": self.parallel_tools is not False}


class _Lines:
    """The places of the keys and values of the front matter, for error messages."""

    def __init__(self, file: str, node: Any) -> None:
        """Store the file and the root node of its YAML; None for empty front matter."""
        self._file = file
        self._node: Any = node

    def place(self, *path: str | int) -> str:
        """Return the place of a value, or of the nearest value around it, such as `assistants/support.md:3`."""
        node: Any = self._node
        line: int = 0
        for step in path:
            children: Any = getattr(node, "value", None)
            if isinstance(step, int) and node is not None and node.id == "sequence" and step < len(children):
                node = children[step]
                line = node.start_mark.line
            elif isinstance(step, str) and node is not None and node.id == "mapping":
                entry: Any = next((pair for pair in children if pair[0].value == step), None)
                if entry is not None:
                    line, node = entry[0].start_mark.line, entry[1]
        # The first line of the file is the fence before the front matter.
        return f"{self._file}:{line + 2}"

    def keys(self) -> list[str]:
        """Return the keys of the front matter, as often as they occur."""
        return [str(pair[0].value) for pair in self._node.value] if self._node is not None else []


def read_assistant(path: Path) -> Assistant:
    """Read the file of an assistant. This call blocks.

    Raises:
        AssistantError: The file is not valid.
    """
    file = str(path)
    if not re.fullmatch(ID, path.stem):
        raise AssistantError(f"{file}:1", "the file's name must have 1 to 64 letters, digits, _ and -")
    try:
        content = path.read_bytes()
        if len(content) > MAX_FILE:
            raise AssistantError(f"{file}:1", f"must have at most {MAX_FILE:,} bytes")
        lines = content.decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AssistantError(f"{file}:1", f"cannot be read: {error}") from None
    end = next((index for index, line in enumerate(lines) if index and line.rstrip() == FENCE), None)
    if not lines or lines[0].rstrip() != FENCE or end is None:
        raise AssistantError(f"{file}:1", f"must begin with front matter between two lines `{FENCE}`")
    front_matter, where = _front_matter(file, "\n".join(lines[1:end]))
    return _assistant(path, front_matter, where, _instructions(file, lines, end + 1))


def _front_matter(file: str, text: str) -> "tuple[_FrontMatter, _Lines]":
    # Untyped. Imported here, because most servers have no assistants.
    yaml: Any = import_module("yaml")
    try:
        node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
        values: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark: Any = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "is not YAML"
        raise AssistantError(f"{file}:{mark.line + 2 if mark else 1}", f"is not YAML: {problem}") from None
    where = _Lines(file, node)
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise AssistantError(f"{file}:2", "the front matter must have keys and values")
    keys = where.keys()
    for key in keys:
        if keys.count(key) > 1:
            raise AssistantError(where.place(key), f"`{key}` is repeated")
    try:
        return _FrontMatter.model_validate(values), where
    except ValidationError as error:
        raise _explain(error, where) from None


def _explain(error: ValidationError, where: _Lines) -> AssistantError:
    problem = error.errors()[0]
    location: list[str | int] = [step for step in problem["loc"] if step not in NOT_KEYS]
    key = ".".join(str(step) for step in location)
    if problem["type"] == "extra_forbidden":
        known = f"; the keys are {', '.join(_FrontMatter.model_fields)}" if len(location) == 1 else ""
        return AssistantError(where.place(*location), f"unknown key `{key}`{known}")
    if location == ["thinking"]:
        return AssistantError(
            where.place(*location), "`thinking` must be true, false, or `enabled` and `budget_tokens`"
        )
    if location == ["context_editing", "clear_thinking", "keep"]:
        return AssistantError(where.place(*location), f"`{key}` must be a number of 1 or more, or `all`")
    rule = problem["msg"].replace("Input should be", "must be", 1)
    return AssistantError(where.place(*location), f"`{key}` {rule}")


def _instructions(file: str, lines: list[str], begin: int) -> Instructions:
    """Return the instructions of a file, whose body begins at the index `begin`."""
    while begin < len(lines) and not lines[begin].strip():
        begin += 1
    source = "\n".join(lines[begin:]).rstrip()
    if len(source) > MAX_INSTRUCTIONS:
        raise AssistantError(
            f"{file}:{begin + 1}", f"the instructions must have at most {MAX_INSTRUCTIONS:,} characters"
        )
    try:
        return Instructions(source)
    except TemplateError as error:
        raise AssistantError(f"{file}:{begin + error.line}", str(error)) from None


def _assistant(path: Path, front_matter: _FrontMatter, where: _Lines, instructions: Instructions) -> Assistant:
    options = front_matter.options()
    _check_options(options, where)
    if (problem := skills_problem(front_matter.skills, front_matter.tools)) is not None:
        raise AssistantError(where.place("skills"), problem)
    references = [ModelReference(front_matter.model, where.place("model"))] if front_matter.model else []
    references += [
        ModelReference(model, where.place("models", index)) for index, model in enumerate(front_matter.models)
    ]
    references += [
        ModelReference(model, where.place("fallbacks", index)) for index, model in enumerate(front_matter.fallbacks)
    ]
    return Assistant(
        id=path.stem,
        name=front_matter.name or path.stem,
        description=front_matter.description,
        model=front_matter.model,
        models=tuple(front_matter.models),
        options=options,
        tools=tuple(dict.fromkeys(front_matter.tools)),
        starters=tuple(front_matter.starters),
        clients_may_set=frozenset(map(ClientSetting, front_matter.clients_may_set)),
        instructions=instructions,
        memory=front_matter.memory,
        web=None if front_matter.web is None else front_matter.web.to_json(),
        model_references=tuple(references),
        tool_places={tool: where.place("tools", index) for index, tool in enumerate(front_matter.tools)},
    )


def _check_options(options: Mapping[str, Any], where: _Lines) -> None:
    thinking: Json = options.get("thinking") or {}
    budget = thinking.get("budget_tokens")
    if budget is not None and budget >= options.get("max_tokens", budget + 1):
        raise AssistantError(where.place("thinking"), "`thinking.budget_tokens` must be less than `max_tokens`")
    if options.get("output_schema") is not None:
        problem = schema_problem_blocking(options["output_schema"], SchemaKind.OUTPUT)
        if problem is not None:
            raise AssistantError(where.place("output_schema"), f"`output_schema` {problem.rstrip('.')}")
