"""The execution of queries level by level: each field is read for all rows of a list together.

graphql-core visits each row separately. For each field of each row it repeats work that this module does once per
level: collecting the selected fields, reading arguments, resolving types and awaiting values. Selections and arguments
are still read by graphql-core's functions. Queries that this module does not support (introspection, a null in a
non-null field, errors of the client) are executed again by graphql-core from the beginning. Both return the same
result: tests/test_levels.py compares them. After an internal error, the query is not executed again: the root field in
which it occurred becomes null.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from inspect import iscoroutine
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple

import graphql
from graphql import GraphQLBoolean, GraphQLString
from graphql.execution import get_argument_values

from tertulia.db.read_limit import ReadLimitExceeded, count_shown
from tertulia.resolvers.errors import EXPECTED_ERRORS
from tertulia.schema.executor import count_value
from tertulia.schema.graphql_internals import (
    Selection,
    declared_field,
    field_name,
    resolve_info,
    resolver,
    selected_fields,
)
from tertulia.schema.turns import share_loop

Read = Callable[[Sequence[Any]], list[Any]]
Executor = Any  # graphql-core's executor; its declared type and those of its attributes are partly unknown
types: Any = graphql
arguments_of: Any = get_argument_values
UNCHANGED_CLASSES: dict[Any, type] = {GraphQLString: str, GraphQLBoolean: bool}
"""Leaf types whose values need no conversion if they are of exactly this class."""
LONG_COLUMN = 500
"""A column with more values lets other tasks run before it is completed."""


logger = logging.getLogger("tertulia.graphql")


class FallbackReason(StrEnum):
    """Why graphql-core executed a query instead."""

    INTROSPECTION = "introspection"
    CLIENT_ERROR = "client_error"
    """An error that graphql-core reports with its location in the document."""
    NULL = "null"
    """A non-null field had no value, or a leaf could not be serialized."""
    NOT_A_LIST = "not_a_list"
    UNKNOWN_TYPE = "unknown_type"
    """No type of the schema matches a value."""


EXPECTED_REASONS = (FallbackReason.INTROSPECTION, FallbackReason.CLIENT_ERROR)
"""Reasons that clients cause. Any other is a bug of the server. It only makes queries slower, so it must be logged."""


class FallBack(Exception):
    """Raised when graphql-core must execute the query instead."""

    def __init__(self, reason: FallbackReason, field: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.reason = reason


FALLBACK_ERRORS = (FallBack, *EXPECTED_ERRORS, graphql.GraphQLError)
"""The errors after which graphql-core executes the query instead."""
ABORTING_ERRORS = (*FALLBACK_ERRORS, ReadLimitExceeded)
"""Errors that end the execution. Others make the root field null."""

_fallbacks = Counter[FallbackReason](dict.fromkeys(FallbackReason, 0))


def fallbacks() -> Mapping[FallbackReason, int]:
    """Return the number of queries that graphql-core executed instead, in this process and by reason."""
    return _fallbacks


def record_fallback(error: Exception) -> None:
    """Count a fallback; log it unless a client caused it."""
    reason = error.reason if isinstance(error, FallBack) else FallbackReason.CLIENT_ERROR
    _fallbacks[reason] += 1
    if reason not in EXPECTED_REASONS:
        logger.warning(
            "The query fast path failed, so graphql-core executes the query, which is slower. Please report this: %s",
            error,
        )


class Objects(NamedTuple):
    """Objects of one type in one selection, and the results that receive their fields."""

    type: Any
    selected: Selection | None
    sources: list[Any]
    results: list[dict[str, Any]]
    root: str | None
    """The response key of the root field that contains the objects; None for the root itself."""


class Column(NamedTuple):
    """One field of all objects of one type and level, with the values that the resolver returned."""

    key: str
    selected: Selection
    type: Any
    values: list[Any]
    results: list[dict[str, Any]]
    root: str


async def execute(executor: Executor) -> tuple[dict[str, Any] | None, dict[str, Exception]]:
    """Return the data of a validated query, and its internal errors by the response key of their root field.

    Raises:
        FALLBACK_ERRORS: graphql-core must execute the query.
        ReadLimitExceeded: The query reads too much.
    """
    data: dict[str, Any] = {}
    faults: dict[str, Exception] = {}
    level = [Objects(executor.schema.query_type, None, [executor.root_value], [data], None)]
    while level:
        columns = await _read(executor, level, faults)
        await _await_values(columns, faults)
        level = await _next_level(executor, columns, faults)
    return (_without_failed(executor, data, faults) if faults else data), faults


def _without_failed(executor: Executor, data: dict[str, Any], faults: Iterable[str]) -> dict[str, Any] | None:
    """Return the data with failed root fields set to null; None if one of them is non-null."""
    root = executor.schema.query_type
    selected = selected_fields(executor, root)
    for key in faults:
        field = root.fields[field_name(selected[key])]
        if types.is_non_null_type(field.type):
            return None
        data[key] = None
    return {key: data[key] for key in selected}


async def _read(executor: Executor, level: list[Objects], faults: dict[str, Exception]) -> list[Column]:
    columns: list[Column] = []
    try:
        for objects in level:
            for column in _columns(executor, objects, faults):
                columns.append(column)
                _count(column)
                if len(column.values) > LONG_COLUMN:
                    await share_loop()
    except BaseException:
        for value in (value for column in columns for value in column.values if iscoroutine(value)):
            value.close()
        raise
    return columns


def _count(column: Column) -> None:
    """Count the text of a column as soon as it is read, because the next column may be the same text again."""
    type_: Any = types.get_named_type(column.type)
    if type_ is GraphQLString:
        count_shown(sum([len(value) for value in column.values if value.__class__ is str]))
    elif type_.name == "JSON":
        for value in column.values:
            count_value(value)


def _columns(executor: Executor, objects: Objects, faults: dict[str, Exception]) -> Iterator[Column]:
    for key, selected in selected_fields(executor, objects.type, objects.selected).items():
        name = field_name(selected)
        if name == "__typename":
            names = [objects.type.name] * len(objects.sources)
            yield Column(key, selected, GraphQLString, names, objects.results, objects.root or key)
            continue
        field = objects.type.fields.get(name)
        if field is None:
            raise FallBack(FallbackReason.INTROSPECTION, name)
        root = objects.root or key
        try:
            values = _reader(executor, objects.type, field, key, selected)(objects.sources)
        except ABORTING_ERRORS:
            raise
        except Exception as error:  # noqa: BLE001 - the root field becomes null, and the error is logged
            faults.setdefault(root, error)
        else:
            yield Column(key, selected, field.type, values, objects.results, root)


def _reader(executor: Executor, parent: Any, field: Any, key: str, selected: Selection) -> Read:
    """Return the function that reads a field for a list of objects."""
    declared = declared_field(field)
    if declared.is_basic_field:
        attribute = attrgetter(declared.python_name)
        return lambda sources: list(map(attribute, sources))
    arguments: dict[str, Any] = arguments_of(field, selected[0].node, executor.variable_values) if field.args else {}
    info = resolve_info(executor, field, parent, key, selected)
    if arguments or declared.extensions:
        # Only the wrapper by Strawberry converts arguments and calls extensions.
        resolve = field.resolve
        return lambda sources: [resolve(source, info, **arguments) for source in sources]
    return resolver(declared, info)


async def _await_values(columns: list[Column], faults: dict[str, Exception]) -> None:
    """Replace awaitables by their results. A whole level is awaited together, so that loaders combine its requests."""
    pending = [
        (column, row) for column in columns for row, value in enumerate(column.values) if hasattr(value, "__await__")
    ]
    results = await asyncio.gather(*(column.values[row] for column, row in pending), return_exceptions=True)
    for (column, row), value in zip(pending, results, strict=True):
        if isinstance(value, BaseException):
            if isinstance(value, ABORTING_ERRORS) or not isinstance(value, Exception):
                raise value
            faults.setdefault(column.root, value)
        column.values[row] = value


async def _next_level(executor: Executor, columns: list[Column], faults: dict[str, Exception]) -> list[Objects]:
    """Complete all fields of a level, and return the objects of the next level."""
    level: list[Objects] = []
    for column in columns:
        if len(column.values) > LONG_COLUMN:
            await share_loop()
        if column.root not in faults:
            try:
                level += _complete(executor, column)
            except ABORTING_ERRORS:
                raise
            except Exception as error:  # noqa: BLE001 - the root field becomes null, and the error is logged
                faults[column.root] = error
    return [objects for objects in level if objects.root not in faults]


def _complete(executor: Executor, column: Column) -> list[Objects]:
    """Write the values of a field into the results of its objects; return the objects that the field contains."""
    below: dict[Any, Objects] = {}
    completed = _Completion(executor, column.selected, below, column.root).complete(column.type, column.values)
    for result, value in zip(column.results, completed, strict=True):
        result[column.key] = value
    return list(below.values())


class _Completion(NamedTuple):
    """Completes all values of one field together (GraphQL specification, CompleteValue)."""

    executor: Executor
    selected: Selection
    below: dict[Any, Objects]
    root: str

    def complete(self, type_: Any, values: list[Any]) -> list[Any]:
        if types.is_non_null_type(type_):
            if any(value is None for value in values):
                raise self._fall_back(FallbackReason.NULL)
            return self.complete(type_.of_type, values)
        if types.is_list_type(type_):
            return self._lists(type_.of_type, values)
        if types.is_leaf_type(type_):
            return self._leaves(type_, values)
        return [None if value is None else self._object(type_, value) for value in values]

    def _lists(self, item_type: Any, values: list[Any]) -> list[Any]:
        if not all(value is None or isinstance(value, (list, tuple)) for value in values):
            raise self._fall_back(FallbackReason.NOT_A_LIST)
        items = iter(self.complete(item_type, [item for value in values if value is not None for item in value]))
        return [None if value is None else list(islice(items, len(value))) for value in values]

    def _object(self, type_: Any, value: Any) -> dict[str, Any]:
        result: dict[str, Any] = {}
        objects = self.below.get(value.__class__)
        if objects is None:
            objects = Objects(self._runtime_type(type_, value), self.selected, [], [], self.root)
            self.below[value.__class__] = objects
        objects.sources.append(value)
        objects.results.append(result)
        return result

    def _leaves(self, type_: Any, values: list[Any]) -> list[Any]:
        unchanged_class = UNCHANGED_CLASSES.get(type_)
        write = type_.coerce_output_value
        outputs = [value if value is None or value.__class__ is unchanged_class else write(value) for value in values]
        if any(after is None and before is not None for before, after in zip(values, outputs, strict=True)):
            raise self._fall_back(FallbackReason.NULL)
        return outputs

    def _runtime_type(self, type_: Any, value: Any) -> Any:
        """Return the object type of a value. It is the same for all values of one class."""
        candidates: Any = self.executor.schema.get_possible_types(type_) if types.is_abstract_type(type_) else [type_]
        for candidate in candidates:
            if candidate.is_type_of is not None:
                if candidate.is_type_of(value, None) is True:
                    return candidate
            elif candidate is type_:
                return candidate
        raise self._fall_back(FallbackReason.UNKNOWN_TYPE)

    def _fall_back(self, reason: FallbackReason) -> FallBack:
        return FallBack(reason, field_name(self.selected))
