"""The execution of subscriptions without executing GraphQL for each token.

A selection on a delta has only leaves. graphql-core collects them once, and they become a template into which the
values of each delta are inserted. The same applies to the first event and to the starts and ends of blocks, if their
selection has only leaves. All other events are executed by graphql-core. Both ways return the same result:
tests/test_live.py compares them.
"""

from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from inspect import isawaitable
from operator import attrgetter
from typing import Any

from graphql import DocumentNode, ExecutionResult, GraphQLError, GraphQLObjectType, GraphQLSchema, execution
from graphql.execution import Executor

from tertulia.db.read_limit import read_limit
from tertulia.json import encode
from tertulia.resolvers.follow import EventStream
from tertulia.schema.failures import show_error
from tertulia.schema.graphql_internals import field_name, selected_fields
from tertulia.schema.results import response
from tertulia.streams.events import (
    ContentBlockFinished,
    ContentBlockStarted,
    GenerationEvent,
    GenerationStarted,
    TextDelta,
    ThinkingDelta,
    ToolInputDelta,
)
from tertulia.streams.stream import Push

DELTAS = (TextDelta, ThinkingDelta, ToolInputDelta)
FILLED = (*DELTAS, GenerationStarted, ContentBlockStarted, ContentBlockFinished)
"""The types of events for which templates can be used: their leaves in FIELDS are attributes."""
Fill = Callable[[Any], bytes]
Templates = dict[tuple[Any, ...], dict[type, Fill]]
MAX_TEMPLATES = 16
"""The most combinations of boolean variables whose templates are cached for one document."""
AnyExecutor = Executor[Any]
core: Any = execution  # its declared types are partly unknown

FIELDS: dict[str, tuple[bytes, str]] = {
    "generationId": (b'"%b"', "encoded_id"),
    "sequence": (b"%d", "sequence"),
    "index": (b"%d", "index"),
    "offset": (b"%d", "offset"),
    "text": (b"%b", "encoded_text"),
    "partialJson": (b"%b", "encoded_text"),
}
"""The placeholder of each leaf of an event, and the attribute with its value."""


class _NewestResults:
    """The results of the newest event. All subscribers whose documents select the same fields share them."""

    def __init__(self) -> None:
        # One tuple, because servers in several threads use this: the results always belong to the event.
        self._newest: tuple[object, dict[Fill, bytes]] = (None, {})

    def of(self, event: object, fill: Fill) -> bytes:
        """Return the result for an event."""
        newest = self._newest
        if newest[0] is not event:
            newest = self._newest = (event, {})
        result = newest[1].get(fill)
        if result is None:
            result = newest[1][fill] = fill(event)
        return result


NEWEST = _NewestResults()


class ResultPush(Push):
    """Writes the results of events that have a template as soon as the events are shown."""

    __slots__ = ("fills",)

    def __init__(self, write: Callable[[bytes], object]) -> None:
        """Initialize with a function that writes messages without waiting."""
        super().__init__(write)
        self.fills: dict[type, Fill] = {}

    def message(self, event: GenerationEvent) -> bytes | None:
        """Return the message of an event; None if it has no template, or cannot be written now."""
        fill = self.fills.get(event.__class__)
        return None if fill is None else self.frame(NEWEST.of(event, fill))

    @abstractmethod
    def frame(self, result: bytes) -> bytes | None:
        """Return the message with a result; None if it cannot be written now."""


class OperationFailed(Exception):
    """The whole operation failed. `errors` are safe to show to clients."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__("The operation failed.")
        self.errors = [show_error(error) for error in errors]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of a valid document, with everything that its execution needs."""

    schema: GraphQLSchema
    executor_class: Any  # a subclass of graphql-core's Executor, whose declared types are partly unknown
    document: DocumentNode
    templates: Templates
    name: str | None
    variables: dict[str, Any] | None
    context: object

    def executor(self, event: object = None) -> AnyExecutor:
        """Return an executor for one event.

        Each event gets a new executor, because copies of an executor share a cache that only grows.

        Raises:
            OperationFailed: The variables are invalid.
        """
        executor: AnyExecutor | list[GraphQLError] = self.executor_class.build(
            self.schema, self.document, event, self.context, self.variables, self.name
        )
        if isinstance(executor, list):
            raise OperationFailed(executor)
        return executor


async def follow(operation: Operation, push: ResultPush | None = None) -> AsyncGenerator[bytes]:
    """Yield each result of a subscription as JSON.

    Args:
        operation: The subscription.
        push: Writes a result as soon as its event is appended, if it has a template. This saves waking a task. Other
            results, and those that it cannot write at once, are yielded.

    Raises:
        OperationFailed: The subscription cannot start or continue.
    """
    executor = operation.executor()
    fills = _templates(operation, executor)
    source = core.create_source_event_stream(executor)
    if isawaitable(source):
        source = await source
    if isinstance(source, ExecutionResult):
        raise OperationFailed(source.errors or ())
    del executor
    if push is not None:
        push.fills = fills
    events = source.follow(push) if isinstance(source, EventStream) else aiter(source)
    try:
        async with aclosing(events):
            async for event in events:
                fill = fills.get(event.__class__)
                yield NEWEST.of(event, fill) if fill is not None else await execute(operation, event)
                del event
    except Exception as error:
        raise OperationFailed([_as_graphql_error(error)]) from error


def _templates(operation: Operation, executor: AnyExecutor) -> dict[type, Fill]:
    """Return the templates of an operation by event type.

    Requests with the same document and the same boolean variables share them, because only boolean variables decide
    which fields are selected.
    """
    values = executor.variable_values.coerced
    key = (operation.name, *((name, value) for name, value in values.items() if isinstance(value, bool)))
    fills = operation.templates.get(key)
    if fills is None:
        if len(operation.templates) >= MAX_TEMPLATES:
            operation.templates.clear()
        all_fills = {kind: template(executor, kind) for kind in FILLED}
        fills = operation.templates[key] = {kind: fill for kind, fill in all_fills.items() if fill is not None}
    return fills


async def execute(operation: Operation, event: object) -> bytes:
    """Execute the operation for one event with graphql-core."""
    with read_limit():
        result = core.execute_subscription_event(operation.executor(event))
        if isawaitable(result):
            result = await result
    return encode(response(result.data, [show_error(error) for error in result.errors or ()]))


def template(executor: AnyExecutor, kind: type[GenerationEvent]) -> Fill | None:
    """Return a function that writes the results for events of one type, or None if not only leaves are selected."""
    selected = _selected(executor, kind.__name__)
    if selected is None:
        return None
    root, names = selected
    entries: list[bytes] = []
    attributes: list[str] = []
    for key, name in names.items():
        entry = _quoted(key) + b":"
        if name == "__typename":
            entries.append(entry + _quoted(kind.__name__))
        else:
            placeholder, attribute = FIELDS[name]
            entries.append(entry + placeholder)
            attributes.append(attribute)
    pattern = b'{"data":{%b:{%b}}}' % (_quoted(root), b",".join(entries))
    if not attributes:
        return lambda _event: pattern
    # One call for all values. A single value needs no tuple.
    values = attrgetter(*attributes)
    return lambda event: pattern % values(event)


def _selected(executor: AnyExecutor, type_name: str) -> tuple[str, dict[str, str]] | None:
    """Return the response key of the root field, and the fields of a type by their response keys."""
    root_type, event_type = executor.schema.subscription_type, executor.schema.get_type(type_name)
    if root_type is None or not isinstance(event_type, GraphQLObjectType):
        return None
    (root, selection), *other_fields = selected_fields(executor, root_type).items()
    if other_fields:
        return None
    names = {key: field_name(details) for key, details in selected_fields(executor, event_type, selection).items()}
    return (root, names) if names.keys() and set(names.values()) <= {*FIELDS, "__typename"} else None


def _quoted(text: str) -> bytes:
    # GraphQL names need no escapes in JSON or in a format string.
    return b'"%b"' % text.encode()


def _as_graphql_error(error: Exception) -> GraphQLError:
    return error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)
