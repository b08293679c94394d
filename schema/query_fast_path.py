"""The execution of queries level by level: each field is read for all rows of a list together.

graphql-core visits each row separately. For each field of each row it repeats work that this module does once per
level: reading arguments, resolving types and awaiting values. Selections are collected once for a document and its
boolean variables. They and arguments are still read by graphql-core's functions. Queries that this module does not
support (introspection, a null in a non-null field, errors of the client) are executed again by graphql-core from the
beginning. Both return the same result: tests/test_levels.py compares them. After an internal error, the query is not
executed again: the root field in which it occurred becomes null.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from inspect import iscoroutine
from itertools import islice
from types import NoneType
from typing import Any, NamedTuple
from uuid import UUID

import graphql
from graphql import GRAPHQL_MAX_INT, GRAPHQL_MIN_INT, GraphQLInt
from graphql.execution import get_argument_values

from tertulia.db.read_limit import ReadLimitExceeded, count_shown
from tertulia.db.rows import id_text
from tertulia.resolvers.context import LOADED_BY
from tertulia.resolvers.errors import EXPECTED_ERRORS
from tertulia.schema.executor import count_value
from tertulia.schema.fallbacks import FallBack, FallbackReason
from tertulia.schema.graphql_internals import Selection, declared_field, field_name, resolve_info, resolver
from tertulia.schema.selections import Plan, Plans, SelectedField, fields_of, plan_of
from tertulia.schema.turns import share_loop

Executor = Any  # graphql-core's executor; its declared type and those of its attributes are partly unknown
types: Any = graphql
arguments_of: Any = get_argument_values
ALL = slice(None)
LONG_COLUMN = 500
"""A column with more values lets other tasks run before it is completed."""

FALLBACK_ERRORS = (FallBack, *EXPECTED_ERRORS, graphql.GraphQLError)
"""The errors after which graphql-core executes the query instead."""
ABORTING_ERRORS = (*FALLBACK_ERRORS, ReadLimitExceeded)
"""Errors that end the execution. Others make the root field null."""


def _write_ids(values: list[Any]) -> list[Any]:
    return [None if value is None else id_text(value) for value in values]


def _write_times(values: list[Any]) -> list[Any]:
    return [None if value is None else value.isoformat() for value in values]


def _write_integers(values: list[Any]) -> list[Any]:
    write = GraphQLInt.coerce_output_value
    return [value if value is None or GRAPHQL_MIN_INT <= value <= GRAPHQL_MAX_INT else write(value) for value in values]


WRITERS: dict[str, tuple[type, Callable[[list[Any]], list[Any]]]] = {
    "String": (str, list),
    "Boolean": (bool, list),
    "ID": (UUID, _write_ids),
    "Int": (int, _write_integers),
    "DateTime": (datetime, _write_times),
}
"""Functions that write all values of a leaf type together, if they are nulls and of exactly this class."""


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

    field: SelectedField
    values: list[Any]
    results: list[dict[str, Any]]
    root: str
    loading: Awaitable[list[Any]] | None = None
    """Returns the values, if they are loaded together."""


class Execution(NamedTuple):
    """One execution of a query, with its internal errors by the response key of their root field."""

    executor: Executor
    plan: Plan
    faults: dict[str, Exception]


async def execute(executor: Executor, plans: Plans) -> tuple[dict[str, Any] | None, dict[str, Exception]]:
    """Return the data of a validated query, and its internal errors by the response key of their root field.

    Args:
        executor: The executor of the query.
        plans: The plans of the query's document. That of this query is added if it is missing.

    Raises:
        FALLBACK_ERRORS: graphql-core must execute the query.
        ReadLimitExceeded: The query reads too much.
    """
    data: dict[str, Any] = {}
    execution = Execution(executor, plan_of(executor, plans), {})
    level = [Objects(executor.schema.query_type, None, [executor.root_value], [data], None)]
    while level:
        columns = await _read(execution, level)
        await _await_values(columns, execution.faults)
        level = await _next_level(execution, columns)
    faults = execution.faults
    return (_without_failed(execution, data) if faults else data), faults


def _without_failed(execution: Execution, data: dict[str, Any]) -> dict[str, Any] | None:
    """Return the data with failed root fields set to null; None if one of them is non-null."""
    fields = fields_of(execution.executor, execution.plan, execution.executor.schema.query_type, None)
    for field in fields:
        if field.key in execution.faults:
            if types.is_non_null_type(field.type):
                return None
            data[field.key] = None
    return {field.key: data[field.key] for field in fields}


async def _read(execution: Execution, level: list[Objects]) -> list[Column]:
    columns: list[Column] = []
    try:
        for objects in level:
            for field in fields_of(execution.executor, execution.plan, objects.type, objects.selected):
                column = _column(execution, objects, field)
                if column is not None:
                    columns.append(column)
                    _count(column)
                    if len(column.values) > LONG_COLUMN:
                        await share_loop()
    except BaseException:
        for value in (value for column in columns for value in (column.loading, *column.values) if iscoroutine(value)):
            value.close()
        raise
    return columns


def _count(column: Column) -> None:
    """Count the text of a column as soon as it is read, because the next column may be the same text again."""
    if column.field.leaf == "String":
        count_shown(sum([len(value) for value in column.values if value.__class__ is str]))
    elif column.field.leaf is not None:
        for value in column.values:
            count_value(value)


def _column(execution: Execution, objects: Objects, field: SelectedField) -> Column | None:
    """Read a field of all objects; return None after an internal error."""
    root = objects.root or field.key
    try:
        if field.attribute is not None:
            values = list(map(field.attribute, objects.sources))
            return Column(field, values, objects.results, root)
        resolved = _resolve(execution.executor, objects, field)
    except ABORTING_ERRORS:
        raise
    except Exception as error:  # noqa: BLE001 - the root field becomes null, and the error is logged
        execution.faults.setdefault(root, error)
        return None
    if isinstance(resolved, list):
        return Column(field, resolved, objects.results, root)
    return Column(field, [], objects.results, root, resolved)


def _resolve(executor: Executor, objects: Objects, selected: SelectedField) -> list[Any] | Awaitable[list[Any]]:
    """Resolve a field of all objects."""
    field = selected.field
    declared = declared_field(field)
    arguments: dict[str, Any] = {}
    if field.args:
        arguments = arguments_of(field, selected.selected[0].node, executor.variable_values)
    info = resolve_info(executor, field, objects.type, selected.key, selected.selected)
    if arguments or declared.extensions:
        # Only the wrapper by Strawberry converts arguments and calls extensions.
        resolve = field.resolve
        return [resolve(source, info, **arguments) for source in objects.sources]
    return resolver(declared, info, LOADED_BY)(objects.sources)


async def _await_values(columns: list[Column], faults: dict[str, Exception]) -> None:
    """Replace awaitables by their results. A whole level is awaited together, so that loaders combine its requests."""
    pending: list[tuple[Column, slice | int, asyncio.Future[Any]]] = []
    for column in columns:
        if column.loading is not None:
            pending.append((column, ALL, asyncio.ensure_future(column.loading)))
        elif column.field.attribute is None:
            pending += [
                (column, row, asyncio.ensure_future(value))
                for row, value in enumerate(column.values)
                if hasattr(value, "__await__")
            ]
    aborting: Exception | None = None
    try:
        # One after the other, because `gather` costs more than loaders, which end all their futures together.
        for column, row, future in pending:
            try:
                column.values[row] = await future
            except ABORTING_ERRORS as error:
                aborting = aborting or error
            except Exception as error:  # noqa: BLE001 - the root field becomes null, and the error is logged
                faults.setdefault(column.root, error)
    except BaseException:
        for _, _, future in pending:
            future.cancel()
        raise
    if aborting is not None:
        raise aborting


async def _next_level(execution: Execution, columns: list[Column]) -> list[Objects]:
    """Complete all fields of a level, and return the objects of the next level."""
    level: list[Objects] = []
    faults = execution.faults
    for column in columns:
        if len(column.values) > LONG_COLUMN:
            await share_loop()
        if column.root not in faults:
            try:
                level += _complete(execution.executor, column)
            except ABORTING_ERRORS:
                raise
            except Exception as error:  # noqa: BLE001 - the root field becomes null, and the error is logged
                faults[column.root] = error
    return [objects for objects in level if objects.root not in faults] if faults else level


def _complete(executor: Executor, column: Column) -> list[Objects]:
    """Write the values of a field into the results of its objects; return the objects that the field contains."""
    below: dict[Any, Objects] = {}
    key, completion = column.field.key, _Completion(executor, column.field.selected, below, column.root)
    for result, value in zip(column.results, completion.complete(column.field.type, column.values), strict=True):
        result[key] = value
    return list(below.values())


class _Completion(NamedTuple):
    """Completes all values of one field together (GraphQL specification, CompleteValue)."""

    executor: Executor
    selected: Selection
    below: dict[Any, Objects]
    root: str

    def complete(self, type_: Any, values: list[Any]) -> list[Any]:
        if types.is_non_null_type(type_):
            if None in values:
                raise self._fall_back(FallbackReason.NULL)
            return self.complete(type_.of_type, values)
        if types.is_leaf_type(type_):
            return self._leaves(type_, values)
        if types.is_list_type(type_):
            return self._lists(type_.of_type, values)
        return self._objects(type_, values)

    def _lists(self, item_type: Any, values: list[Any]) -> list[Any]:
        if not all(value is None or isinstance(value, (list, tuple)) for value in values):
            raise self._fall_back(FallbackReason.NOT_A_LIST)
        items = iter(self.complete(item_type, [item for value in values if value is not None for item in value]))
        return [None if value is None else list(islice(items, len(value))) for value in values]

    def _objects(self, type_: Any, values: list[Any]) -> list[Any]:
        completed: list[dict[str, Any] | None] = []
        for value in values:
            if value is None:
                completed.append(None)
                continue
            objects = self.below.get(value.__class__)
            if objects is None:
                objects = Objects(self._runtime_type(type_, value), self.selected, [], [], self.root)
                self.below[value.__class__] = objects
            result: dict[str, Any] = {}
            objects.sources.append(value)
            objects.results.append(result)
            completed.append(result)
        return completed

    def _leaves(self, type_: Any, values: list[Any]) -> list[Any]:
        class_, write_all = WRITERS.get(type_.name, (None, list))
        if {*map(type, values)} <= {class_, NoneType}:
            return write_all(values)
        write = type_.coerce_output_value
        outputs = [None if value is None else write(value) for value in values]
        if outputs.count(None) != values.count(None):
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
