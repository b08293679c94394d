"""Subscriptions, without executing GraphQL for each token.

A delta's selection holds leaves alone, so it is collected once, by graphql-core itself, and becomes a template that
each delta fills in; so does that of a beginning or an end that is asked for its leaves alone. Every other event is
executed as always. Both give the same: tests/test_live.py compares them.
"""

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
from tertulia.resolvers.follow import EventStream, Push
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

DELTAS = (TextDelta, ThinkingDelta, ToolInputDelta)
FILLED = (*DELTAS, GenerationStarted, ContentBlockStarted, ContentBlockFinished)
"""The events whose leaves, as far as FIELDS has them, are attributes."""
Fill = Callable[[Any], bytes]
Templates = dict[tuple[Any, ...], dict[type, Fill]]
MAX_TEMPLATES = 16
"""Choices of one document that are remembered."""
AnyExecutor = Executor[Any]
core: Any = execution  # its declared types are unknown in part

FIELDS: dict[str, tuple[bytes, Callable[[Any], Any]]] = {
    "generationId": (b'"%b"', lambda event: str(event.generation_id).encode()),
    "sequence": (b"%d", attrgetter("sequence")),
    "index": (b"%d", attrgetter("index")),
    "offset": (b"%d", attrgetter("offset")),
    "text": (b"%b", lambda delta: encode(delta.text)),
    "partialJson": (b"%b", lambda delta: encode(delta.text)),
}
"""How each leaf of an event is written, and read."""


class OperationFailed(Exception):
    """The whole operation failed; the errors are as a client may see them."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        """Take the errors as they were raised."""
        super().__init__("The operation failed.")
        self.errors = [show_error(error) for error in errors]


@dataclass(frozen=True, slots=True)
class Operation:
    """A validated subscription, with all that is needed to execute it."""

    schema: GraphQLSchema
    executor_class: Any  # a graphql-core Executor's class, whose declared types are unknown in part
    document: DocumentNode
    templates: Templates
    name: str | None
    variables: dict[str, Any] | None
    context: object

    def executor(self, event: object = None) -> AnyExecutor:
        """Make what executes one event. Each gets its own: graphql-core's copies share a cache that only grows."""
        built: AnyExecutor | list[GraphQLError] = self.executor_class.build(
            self.schema, self.document, event, self.context, self.variables, self.name
        )
        if isinstance(built, list):
            raise OperationFailed(built)
        return built


async def follow(operation: Operation, send: Callable[[bytes], bool] | None = None) -> AsyncGenerator[bytes]:
    """Give each result as JSON; raise OperationFailed where the operation cannot begin or go on.

    `send`, if given, may take a result that is filled in at once, where the event is shown, so that no task need be
    woken; where it says that it cannot, the result is given like every other.
    """
    executor = operation.executor()
    fills = _templates(operation, executor)
    source = core.create_source_event_stream(executor)
    if isawaitable(source):
        source = await source
    if isinstance(source, ExecutionResult):
        raise OperationFailed(source.errors or ())
    del executor
    push = None if send is None else _pushed(fills, send)
    followed = source.follow(push) if isinstance(source, EventStream) else aiter(source)
    try:
        async with aclosing(followed):
            async for event in followed:
                fill = fills.get(event.__class__)
                yield fill(event) if fill is not None else await execute(operation, event)
                del event
    except Exception as error:
        raise OperationFailed([_located(error)]) from error


def _templates(operation: Operation, executor: AnyExecutor) -> dict[type, Fill]:
    """Give the templates, which all who send the same document share: only booleans decide what is selected."""
    given = executor.variable_values.coerced
    key = (operation.name, *((name, value) for name, value in given.items() if isinstance(value, bool)))
    found = operation.templates.get(key)
    if found is None:
        if len(operation.templates) >= MAX_TEMPLATES:
            operation.templates.clear()
        made = {kind: template(executor, kind) for kind in FILLED}
        found = operation.templates[key] = {kind: fill for kind, fill in made.items() if fill is not None}
    return found


def _pushed(fills: dict[type, Fill], send: Callable[[bytes], bool]) -> Push:
    def push(event: GenerationEvent) -> bool:
        fill = fills.get(event.__class__)
        return fill is not None and send(fill(event))

    return push


async def execute(operation: Operation, event: object) -> bytes:
    """Execute the operation for one event, as graphql-core does it."""
    with read_limit():
        result = core.execute_subscription_event(operation.executor(event))
        if isawaitable(result):
            result = await result
    return encode(response(result.data, [show_error(error) for error in result.errors or ()]))


def template(executor: AnyExecutor, kind: type[GenerationEvent]) -> Fill | None:
    """Make what writes results for events of one kind; None where the selection asks for more than their leaves."""
    selected = _selected(executor, kind.__name__)
    if selected is None:
        return None
    root, names = selected
    entries: list[bytes] = []
    reads: list[Callable[[Any], Any]] = []
    for key, name in names.items():
        written = _quoted(key) + b":"
        if name == "__typename":
            entries.append(written + _quoted(kind.__name__))
        else:
            hole, read = FIELDS[name]
            entries.append(written + hole)
            reads.append(read)
    pattern = b'{"data":{%b:{%b}}}' % (_quoted(root), b",".join(entries))
    return lambda event: pattern % tuple([read(event) for read in reads])


def _selected(executor: AnyExecutor, type_name: str) -> tuple[str, dict[str, str]] | None:
    """Give the root's response key, and the fields of a type by their response keys."""
    root_type, shown = executor.schema.subscription_type, executor.schema.get_type(type_name)
    if root_type is None or not isinstance(shown, GraphQLObjectType):
        return None
    (root, selection), *others = selected_fields(executor, root_type).items()
    if others:
        return None
    names = {key: field_name(same) for key, same in selected_fields(executor, shown, selection).items()}
    return (root, names) if names.keys() and set(names.values()) <= {*FIELDS, "__typename"} else None


def _quoted(text: str) -> bytes:
    # A name of GraphQL's needs no escapes, neither in JSON nor in a pattern.
    return b'"%b"' % text.encode()


def _located(error: Exception) -> GraphQLError:
    return error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)
