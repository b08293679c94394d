"""Python functions as tools: the Anthropic SDK derives their schemas from type hints and docstrings."""

import functools
import importlib
import inspect
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_type_hints

from pydantic import BaseModel, ValidationError

from tertulia.claude.parser import TOOL_NAME
from tertulia.json import Json, dumps
from tertulia.threads import WorkerThreads
from tertulia.tools.base import DEFAULT_OPTIONS, Image, Part, Result, ToolContext, ToolError, ToolOptions, shape_problem
from tertulia.tools.documents import Document, check_document
from tertulia.tools.schemas import schema_for_claude
from tertulia.tools.strict import options_problem

if TYPE_CHECKING:
    from anthropic.lib.tools import BetaAsyncFunctionTool

THREADS = 64
"""The maximum number of sync functions that run concurrently. One that hangs occupies its thread until it ends."""
MARK = "__tertulia_tool__"

Function = TypeVar("Function", bound=Callable[..., Any])

_context: ContextVar[ToolContext] = ContextVar("tool_context")
_threads = WorkerThreads("tools", THREADS)


def tool(
    *,
    asks_first: bool = False,
    seconds: float | None = None,
    idempotent: bool = False,
    strict: bool = False,
    input_examples: Sequence[Json] = (),
    eager_input_streaming: bool | None = None,
    deferred: bool | None = None,
) -> Callable[[Function], Function]:
    """Return a decorator that configures a function as a tool. A function without it has the defaults.

    Args:
        asks_first: Whether each call requires the user's approval.
        seconds: The time limit of a call in seconds; None means `TERTULIA_TOOL_SECONDS`.
        idempotent: Whether calling the function twice has the same effect as calling it once. A call whose process was
            lost is then repeated. Otherwise, Claude is told that the tool may have run.
        strict: Whether Claude's API guarantees that the arguments match the type hints. Dicts with arbitrary keys are
            not supported.
        input_examples: Examples of arguments, each of which must match the type hints.
        eager_input_streaming: Whether the arguments are streamed while Claude writes them, instead of checked pieces;
            None for the default of Claude's API.
        deferred: Whether Claude must search for the tool before it can call it. None means: if the definitions of all
            tools are large, see `TERTULIA_TOOL_SEARCH_PERCENT`.
    """
    marks = _Marks(
        asks_first, seconds, idempotent, ToolOptions(deferred, strict, tuple(input_examples), eager_input_streaming)
    )

    def mark(function: Function) -> Function:
        setattr(function, MARK, marks)
        return function

    return mark


@dataclass(frozen=True, slots=True)
class _Marks:
    """The arguments of `tool`."""

    requires_approval: bool = False
    seconds: float | None = None
    idempotent: bool = False
    options: ToolOptions = DEFAULT_OPTIONS


class FunctionTool:
    """A Python function, sync or async. The server, and not Claude, fills in a parameter of the type ToolContext."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Initialize from a function. Raise ValueError if it cannot be a tool."""
        import anthropic

        if not inspect.getdoc(function):
            raise ValueError(f"{function.__name__} needs a docstring, which is the tool's description for Claude")
        marks: _Marks = getattr(function, MARK, _Marks())
        self.requires_approval, self.seconds, self.idempotent = marks.requires_approval, marks.seconds, marks.idempotent
        self.options = marks.options
        try:
            self._derived: BetaAsyncFunctionTool[Any] = anthropic.beta_async_tool(_without_context(function))
        except Exception as error:
            raise ValueError(f"{function.__name__} cannot be a tool: {error}") from error
        self.name = self._derived.name
        self.description = self._derived.description
        self.input_schema: Json = {**self._derived.input_schema}
        if problem := shape_problem(schema_for_claude(self.input_schema)):
            raise ValueError(f"{self.name}: its schema {problem}")
        if not re.fullmatch(TOOL_NAME, self.name):
            raise ValueError(f"{self.name} is not a valid name of a tool, which is 1 to 128 letters, digits, _ and -")
        if problem := options_problem(self.options, self.input_schema):
            raise ValueError(f"{self.name}: {problem}")

    async def call(self, input: Json, context: ToolContext) -> Result:
        """Call the function with arguments that are validated against its type hints."""
        _context.set(context)
        try:
            value: Any = await self._derived.call(input)
        except ValueError as error:
            if error.__cause__ is None or not str(error).startswith("Invalid arguments"):
                raise
            raise ToolError(f"{error}: {_problems(error.__cause__)}") from error
        return result_of(value)


def load(source: str) -> list[FunctionTool]:
    """Return the tools of `MODULE` or `MODULE:FUNCTION`.

    The tools of a module are the functions in its `__all__` or, without it, its public functions.

    Raises:
        ValueError: There is no such module or function, or a function cannot be a tool. The message has one line.
    """
    name, _, function_name = source.partition(":")
    try:
        module = importlib.import_module(name)
    except Exception as error:
        raise ValueError(f"the module {name} cannot be imported: {error}") from error
    names = [function_name] if function_name else getattr(module, "__all__", None) or list(_public(module))
    functions = [(name, getattr(module, name, None)) for name in names]
    missing = [name for name, function in functions if not inspect.isroutine(function)]
    if missing or not functions:
        raise ValueError(f"the module {name} has no function {', '.join(missing) or 'that could be a tool'}")
    return [FunctionTool(function) for _, function in functions if inspect.isroutine(function)]


def result_of(value: object) -> Result:
    """Convert a function's return value to a result.

    Strings, images and documents are unchanged, and other values become JSON. Raise ValueError for an invalid document.
    """
    match value:
        case Result():
            return value
        case str() | Image():
            return Result([value])
        case Document():
            return result_of([value])
        case list() | tuple() if (parts := _parts(cast("Sequence[object]", value))) is not None:
            return Result(parts)
        case None:
            return Result(["Done."])
        case _:
            return Result([dumps(value, default=_plain)], is_json=True)


def _parts(values: Sequence[object]) -> list[Part] | None:
    """Return the parts of a list of strings, images and documents.

    Return None if it has other items or only strings, so that it is data. Raise ValueError for an invalid document.
    """
    parts: list[Part] = [part for part in values if isinstance(part, str | Image | Document)]
    if len(parts) < len(values) or all(isinstance(part, str) for part in parts):
        return None
    for part in parts:
        if isinstance(part, Document):
            check_document(part)
    return parts


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return sorted(cast("frozenset[object]", value), key=str) if isinstance(value, set | frozenset) else str(value)


def _problems(error: BaseException) -> str:
    """Describe invalid arguments, without links and without quoting them."""
    problems: list[Any] = error.errors() if isinstance(error, ValidationError) else []
    return "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems[:5])


def _public(module: ModuleType) -> Iterator[str]:
    for name in dir(module):
        value = getattr(module, name)
        if inspect.isfunction(value) and not name.startswith("_") and value.__module__ == module.__name__:
            yield name


def _without_context(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Return the function as an async function without its ToolContext parameters, which Claude must not see."""
    hints = get_type_hints(function)
    signature = inspect.signature(function)
    context_names = [name for name in signature.parameters if hints.get(name) is ToolContext]

    @functools.wraps(function)
    async def call(**arguments: Any) -> Any:
        all_arguments = arguments | dict.fromkeys(context_names, _context.get())
        if inspect.iscoroutinefunction(function):
            return await function(**all_arguments)
        return await _threads.run(functools.partial(function, **all_arguments))

    parameters = [parameter for name, parameter in signature.parameters.items() if name not in context_names]
    keywords = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    vars(call)["__signature__"] = signature.replace(parameters=keywords)
    call.__annotations__ = {name: hint for name, hint in hints.items() if name not in context_names}
    return call
