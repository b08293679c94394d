"""Hooks: Python functions of the application's owner that the server calls.

A hook is called by its name, and declares with `@hook` how long it may take and what happens if it fails. No database
session is open while a hook runs.
"""

import asyncio
import importlib
import inspect
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeVar, cast, get_args
from uuid import UUID

from tertulia.claude.errors import ErrorCode, GenerationError, StreamError
from tertulia.claude.tracing import QUIET, fail, tracer
from tertulia.json import encode, loads
from tertulia.text_filters import BlockFilter, TextKind, TextStream
from tertulia.threads import WorkerThreads
from tertulia.tools.documents import Document, check_document
from tertulia.viewer import Viewer

OnError = Literal["refuse", "allow"]
OnCall = Callable[[str, str, float], None]
"""Called after each call of a hook, with the hook's name, the outcome and the seconds that the call took."""
NAMES = ("before_send", "retrieve", "transform_text", "after_answer")
"""The names of all hooks."""
MARK = "__tertulia_hook__"
MAX_DOCUMENTS = 100
MAX_DOCUMENT_CHARACTERS = 500_000
"""The most characters of all passages for one message."""
LONGEST_TIMEOUT = 60.0
"""Seconds."""
THREADS = 64
"""The maximum number of sync hooks that run concurrently. One that hangs occupies its thread until it ends."""

TEXT_NOT_CHECKED = GenerationError(
    ErrorCode.API_ERROR, "The answer failed, because the application could not check its text."
)

Function = TypeVar("Function", bound=Callable[..., Any])
Value = TypeVar("Value")

logger = logging.getLogger("tertulia.hooks")
_threads = WorkerThreads("hooks", THREADS)


@dataclass(frozen=True, slots=True)
class Send:
    """A message of a user, before it is stored.

    Attributes:
        viewer: The user.
        text: The user's text.
        conversation_id: The conversation; None if the message begins one.
        attachment_ids: The files that the user attached.
        model: The id of the model that the client chose for this answer; None if the conversation decides.
        max_tokens: The maximum number of tokens that the client chose; None if the conversation decides.
        effort: The effort that the client chose, such as `low`; None if the conversation decides.
        context: What the application knows now, in JSON, as the client sent it or as an edited message has it; None
            for nothing.
    """

    viewer: Viewer
    text: str
    conversation_id: UUID | None = None
    attachment_ids: Sequence[UUID] = ()
    model: str | None = None
    max_tokens: int | None = None
    effort: str | None = None
    context: Any = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The result of `before_send` for a message that must not be sent.

    Attributes:
        message: The reason, which the user sees.
        code: A reason for programs, such as `PROFANITY`. Clients receive it.
    """

    message: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that has ended and is saved.

    Attributes:
        user_id: The user.
        user_subject: The user's id at the identity provider or in the application; None if there is none.
        conversation_id: The conversation.
        generation_id: The generation. If the hook is called again for an answer, this id is the same.
        message_id: The message with the answer.
        status: `completed`, `failed` or `stopped`.
        text: The text of the answer; empty if it was deleted.
        model: The id of the model.
        stop_reason: Why Claude stopped, such as `end_turn`; None if Claude did not report it.
        input_tokens: The tokens that Claude read; None if they are not known.
        output_tokens: The tokens that Claude wrote; None if they are not known.
        steered: Whether the user's next message ended the answer between two rounds of tools. Claude continues in the
            answer to that message.
    """

    user_id: UUID
    user_subject: str | None
    conversation_id: UUID
    generation_id: UUID
    message_id: UUID
    status: str
    text: str
    model: str
    stop_reason: str | None
    input_tokens: int | None
    output_tokens: int | None
    steered: bool = False


class HookFailed(Exception):
    """A hook that is declared with `on_error="refuse"` has raised an error, or took too long."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The hook {name} failed.")
        self.name = name


@dataclass(frozen=True, slots=True)
class Declaration:
    """What `@hook` declares."""

    timeout: float
    on_error: OnError


def hook(*, timeout: float, on_error: OnError) -> Callable[[Function], Function]:
    """Return a decorator that declares a function as the hook with the function's name.

    Args:
        timeout: The seconds that a call may take, at most 60.
        on_error: What happens if a call raises an error or takes too long. With `refuse`, what the hook should check
            is refused, and `after_answer` is called again later. With `allow`, the server continues as if there were
            no hook.

    Raises:
        ValueError: An argument is not accepted.
    """
    if not 0 < timeout <= LONGEST_TIMEOUT:
        raise ValueError(f"`timeout` must be more than 0 and at most {LONGEST_TIMEOUT:g} seconds, not {timeout!r}.")
    if on_error not in get_args(OnError):
        raise ValueError(f"`on_error` must be 'refuse' or 'allow', not {on_error!r}.")

    def declare(function: Function) -> Function:
        setattr(function, MARK, Declaration(timeout, on_error))
        return function

    return declare


@dataclass(frozen=True, slots=True)
class _Hook:
    name: str
    function: Callable[..., Any]
    timeout: float
    on_error: OnError


class Hooks:
    """The hooks of a server."""

    def __init__(self, source: object = None, on_call: OnCall | None = None) -> None:
        """Find the hooks in a module, or in another object whose attributes are functions.

        Args:
            source: The module or object; None for no hooks.
            on_call: Observes the calls, if it is not None.

        Raises:
            ValueError: A hook is not declared, or has an unknown name. The message has one line.
        """
        self._hooks = {} if source is None else _hooks_in(source)
        self._on_call = on_call

    @property
    def names(self) -> Sequence[str]:
        """The names of the hooks that the application has."""
        return list(self._hooks)

    def __contains__(self, name: str) -> bool:
        """Return whether the application has the hook."""
        return name in self._hooks

    def timeout_of(self, name: str) -> float:
        """Return the seconds that a call of a hook may take."""
        return self._hooks[name].timeout

    async def before_send(self, send: Send) -> Send | Refusal:
        """Return what to send instead of `send`, or why it is refused; raise HookFailed."""
        return await self._call("before_send", partial(_checked_send, send), send, otherwise=send)

    async def retrieve(self, send: Send) -> Sequence[Document]:
        """Return the documents for the answer to `send`; raise HookFailed."""
        return await self._call("retrieve", _checked_documents, send, otherwise=())

    def text_filters(self, stream: TextStream) -> Callable[[TextKind], BlockFilter] | None:
        """Return a function that creates the filter of each block; None without the hook `transform_text`."""
        declared = self._hooks.get("transform_text")
        return None if declared is None else partial(self._block_filter, declared, stream)

    def _block_filter(self, declared: _Hook, stream: TextStream, kind: TextKind) -> BlockFilter:
        span = tracer.start_span(f"hook {declared.name}", attributes={"tertulia.hook": declared.name})

        def on_failed(error: Exception) -> Exception:
            is_late = isinstance(error, TimeoutError)
            fail(span, "timeout" if is_late else type(error).__name__)
            _log(declared, error, is_late=is_late)
            return StreamError(TEXT_NOT_CHECKED)

        def on_finished(outcome: str, seconds: float) -> None:
            span.end()
            if self._on_call is not None:
                self._on_call(declared.name, outcome, seconds)

        return BlockFilter(
            lambda: declared.function(replace(stream, kind=kind)),
            declared.timeout,
            is_open=declared.on_error == "allow",
            on_failed=on_failed,
            on_finished=on_finished,
        )

    async def after_answer(self, answer: Answer) -> None:
        """Report an answer that has ended; raise HookFailed if it must be reported again later."""
        await self._call("after_answer", _ignore, answer, otherwise=None)

    def reject_result(self, name: str, error: Exception) -> None:
        """Report that a result of a hook is not accepted. Raise HookFailed if the hook is declared to refuse then."""
        declared = self._hooks[name]
        _log(declared, error, is_late=False)
        if declared.on_error == "refuse":
            raise HookFailed(name) from error

    async def _call(self, name: str, check: Callable[[Any], Value], *arguments: object, otherwise: Value) -> Value:
        """Call a hook and return its checked result; `otherwise` if there is no hook, or if it may fail and fails."""
        declared = self._hooks.get(name)
        if declared is None:
            return otherwise
        started, outcome = time.monotonic(), ""
        timeout = asyncio.timeout(declared.timeout)
        with tracer.start_as_current_span(f"hook {name}", attributes={"tertulia.hook": name}, **QUIET) as span:
            try:
                async with timeout:
                    value = check(await _run(declared.function, *arguments))
            except Exception as error:
                outcome = "timeout" if timeout.expired() else "failed"
                fail(span, outcome if timeout.expired() else type(error).__name__)
                _log(declared, error, is_late=timeout.expired())
                if declared.on_error == "refuse":
                    raise HookFailed(name) from error
                return otherwise
            except BaseException:
                outcome = "cancelled"
                raise
            else:
                outcome = "refused" if isinstance(value, Refusal) else "ok"
                return value
            finally:
                if self._on_call is not None:
                    self._on_call(name, outcome, time.monotonic() - started)


def load(source: str) -> object:
    """Import the module of hooks.

    Raises:
        ValueError: It cannot be imported. The message has one line.
    """
    try:
        return importlib.import_module(source)
    except Exception as error:
        raise ValueError(f"the module {source} cannot be imported: {error}") from error


def _hooks_in(source: object) -> dict[str, _Hook]:
    declared = [name for name in dir(source) if isinstance(_mark_of(source, name), Declaration)]
    if unknown := [name for name in declared if name not in NAMES]:
        raise ValueError(f"{unknown[0]} is not the name of a hook, which is one of {', '.join(NAMES)}")
    if undeclared := [name for name in NAMES if hasattr(source, name) and name not in declared]:
        raise ValueError(f"{undeclared[0]} must be declared with @hook(timeout=..., on_error=...)")
    if not declared:
        raise ValueError(f"there is no hook, which is a function with one of the names {', '.join(NAMES)}")
    return {name: _hook(source, name) for name in declared}


def _mark_of(source: object, name: str) -> object:
    return getattr(getattr(source, name, None), MARK, None)


def _hook(source: object, name: str) -> _Hook:
    function = getattr(source, name)
    if name == "transform_text" and (inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function)):
        raise ValueError("transform_text must be a function that returns a text filter, and must not be async")
    declaration: Declaration = getattr(function, MARK)
    return _Hook(name, function, declaration.timeout, declaration.on_error)


async def _run(function: Callable[..., Any], *arguments: object) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(*arguments)
    return await _threads.run(function, *arguments)


def _log(declared: _Hook, error: Exception, *, is_late: bool) -> None:
    reason = f"took more than {declared.timeout:g} seconds" if is_late else f"failed: {type(error).__name__}: {error}"
    logger.error("The hook %s %s (on_error=%r)", declared.name, reason, declared.on_error, exc_info=error)


def _ignore(_result: object) -> None:
    """Accept any result of a hook that returns nothing."""


def _checked_send(send: Send, result: object) -> Send | Refusal:
    if isinstance(result, Refusal):
        return result
    if not isinstance(result, Send):
        raise TypeError(f"before_send must return a Send or a Refusal, not {type(result).__name__}.")
    kept = replace(
        result,
        text=send.text,
        model=send.model,
        max_tokens=send.max_tokens,
        effort=send.effort,
        context=send.context,
    )
    if kept != send:
        raise TypeError("before_send may change only the text, the context, the model, max_tokens and effort.")
    # Dates, tuples and keys that are not strings become what JSON has instead.
    return result if result.context == send.context else replace(result, context=loads(encode(result.context)))


def _checked_documents(result: object) -> Sequence[Document]:
    documents = list(cast("Iterable[object]", result))
    found = [document for document in documents if isinstance(document, Document)]
    if len(found) < len(documents):
        raise TypeError("retrieve must return a list of Document.")
    if len(found) > MAX_DOCUMENTS:
        raise ValueError(f"retrieve must return at most {MAX_DOCUMENTS} documents, not {len(found):,}.")
    for document in found:
        check_document(document)
    characters = sum(len(passage) for document in found for passage in document.passages)
    if characters > MAX_DOCUMENT_CHARACTERS:
        raise ValueError(f"the passages must have at most {MAX_DOCUMENT_CHARACTERS:,} characters, not {characters:,}.")
    return found
