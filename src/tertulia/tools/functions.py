"""Python functions as tools: the schema from the type hints and the docstring, as the Anthropic SDK derives it.

A module that an operator names gives its public functions, or those that its `__all__` names.
"""

import functools
import importlib
import inspect
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextvars import ContextVar
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_type_hints

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar
from pydantic import BaseModel, ValidationError

from tertulia.claude.parser import TOOL_NAME
from tertulia.json import Json, dumps
from tertulia.tools.base import Image, Result, ToolContext, ToolError, shape_problem
from tertulia.tools.schemas import schema_for_claude

if TYPE_CHECKING:
    from anthropic.lib.tools import BetaAsyncFunctionTool

THREADS = 64
"""Functions that are not async, at once; one that hangs holds its thread until it ends."""
MARK = "__tertulia_tool__"

Function = TypeVar("Function", bound=Callable[..., Any])

_context: ContextVar[ToolContext] = ContextVar("tool_context")
_threads: RunVar[anyio.CapacityLimiter] = RunVar("threads_of_tools")


def tool(*, asks_first: bool = False, seconds: float | None = None) -> Callable[[Function], Function]:
    """Return a decorator that configures a function as a tool. Without it, a function has the defaults.

    Args:
        asks_first: Whether each call waits for the user's approval.
        seconds: The time that a call may take; None for `TERTULIA_TOOL_SECONDS`.
    """

    def mark(function: Function) -> Function:
        setattr(function, MARK, (asks_first, seconds))
        return function

    return mark


class FunctionTool:
    """A Python function, sync or async. A parameter of the type ToolContext is filled in here, and not by Claude."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Take the function; raise ValueError for one that cannot be a tool."""
        import anthropic

        if not inspect.getdoc(function):
            raise ValueError(f"{function.__name__} needs a docstring: it tells Claude what the tool does")
        said: tuple[bool, float | None] = getattr(function, MARK, (False, None))
        self.asks_first, self.seconds = said
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
            raise ValueError(f"{self.name} is no name for a tool: it takes letters, digits, _ and -")

    async def call(self, input: Json, context: ToolContext) -> Result:
        """Call the function; what it was given is checked by its types."""
        _context.set(context)
        try:
            given: Any = await self._derived.call(input)
        except ValueError as error:
            if error.__cause__ is None or not str(error).startswith("Invalid arguments"):
                raise
            raise ToolError(f"{error}: {_problems(error.__cause__)}") from error
        return result_of(given)


def load(source: str) -> list[FunctionTool]:
    """Give the tools of `MODULE`, or of `MODULE:FUNCTION`; raise ValueError with one line that says what is wrong."""
    name, _, wanted = source.partition(":")
    try:
        module = importlib.import_module(name)
    except Exception as error:
        raise ValueError(f"the module {name} cannot be imported: {error}") from error
    names = [wanted] if wanted else getattr(module, "__all__", None) or list(_public(module))
    functions = [(name, getattr(module, name, None)) for name in names]
    missing = [name for name, function in functions if not inspect.isroutine(function)]
    if missing or not functions:
        raise ValueError(f"the module {name} has no function {', '.join(missing) or 'that could be a tool'}")
    return [FunctionTool(function) for _, function in functions if inspect.isroutine(function)]


def result_of(given: object) -> Result:
    """Give what a function returned as a result: texts and pictures as they are, all else as JSON."""
    match given:
        case Result():
            return given
        case str() | Image():
            return Result([given])
        case list() | tuple() if (parts := _parts(cast("Sequence[object]", given))) is not None:
            return Result(parts)
        case None:
            return Result(["Done."])
        case _:
            return Result([dumps(given, default=_plain)], is_json=True)


def _parts(given: Sequence[object]) -> list[str | Image] | None:
    """Give a list of texts and pictures; None where it is some other list, or has no picture and so is data."""
    found = [part for part in given if isinstance(part, str | Image)]
    return found if len(found) == len(given) and any(isinstance(part, Image) for part in found) else None


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return sorted(cast("frozenset[object]", value), key=str) if isinstance(value, set | frozenset) else str(value)


def _problems(error: BaseException) -> str:
    """Say what is wrong with the arguments, without links and without repeating them."""
    found: list[Any] = error.errors() if isinstance(error, ValidationError) else []
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found[:5])


def _public(module: ModuleType) -> Iterator[str]:
    for name in dir(module):
        value = getattr(module, name)
        if inspect.isfunction(value) and not name.startswith("_") and value.__module__ == module.__name__:
            yield name


def _without_context(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Give it as an async function of what Claude decides alone."""
    hints = get_type_hints(function)
    signature = inspect.signature(function)
    ours = [name for name in signature.parameters if hints.get(name) is ToolContext]

    @functools.wraps(function)
    async def call(**arguments: Any) -> Any:
        given = arguments | dict.fromkeys(ours, _context.get())
        if inspect.iscoroutinefunction(function):
            return await function(**given)
        # Nobody can end a thread: one that hangs is left alone, and its call fails.
        work = functools.partial(function, **given)
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=_limiter())

    kept = [one for name, one in signature.parameters.items() if name not in ours]
    keywords = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in kept]
    vars(call)["__signature__"] = signature.replace(parameters=keywords)
    call.__annotations__ = {name: hint for name, hint in hints.items() if name not in ours}
    return call


def _limiter() -> anyio.CapacityLimiter:
    """Give the places for threads of this event loop."""
    try:
        return _threads.get()
    except LookupError:
        made = anyio.CapacityLimiter(THREADS)
        _threads.set(made)
        return made
