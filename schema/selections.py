"""The selections of queries, collected once for a document and the boolean variables that decide what is selected."""

from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

import graphql
from graphql import GraphQLString

from tertulia.schema.fallbacks import FallBack, FallbackReason
from tertulia.schema.graphql_internals import Selection, declared_field, field_name, selected_fields

types: Any = graphql  # its declared types are partly unknown
COUNTED = ("String", "JSON")
"""The leaf types whose text is counted (`db.read_limit`)."""


class SelectedField(NamedTuple):
    """A field of a selection on an object type."""

    key: str
    selected: Selection
    type: Any
    leaf: Any
    """The name of the named type if the text of the values is counted."""
    field: Any
    """The field of graphql-core; None for `__typename`."""
    attribute: Callable[[Any], Any] | None
    """Reads the field from an object; None if it has a resolver."""


Plan = dict[tuple[str, int], list[SelectedField]]
"""The selected fields by the name of an object type and the identity of the selection, which is part of the plan."""
Plans = dict[tuple[Any, ...], Plan]
"""The plans of a document, by the operation and its boolean variables, which decide what is selected."""
MAX_PLANS = 16
"""The most plans of one document."""


def plan_of(executor: Any, plans: Plans) -> Plan:
    """Return the plan of an operation with its variables. It is created if it is missing."""
    values = executor.variable_values.coerced
    # The nodes of an operation are the same objects for all requests with the same document.
    key = (id(executor.operation), *(item for item in values.items() if isinstance(item[1], bool)))
    plan = plans.get(key)
    if plan is None:
        if len(plans) >= MAX_PLANS:
            plans.clear()
        plan = plans[key] = {}
    return plan


def fields_of(executor: Any, plan: Plan, type_: Any, selected: Selection | None) -> list[SelectedField]:
    """Return the fields of a selection on an object type, which are collected once for each plan.

    Args:
        executor: The executor of the operation.
        plan: The plan of the operation.
        type_: The object type.
        selected: The field that contains the objects, from this plan; None for the root.

    Raises:
        FallBack: The selection contains a field of introspection.
    """
    key = (type_.name, id(selected))
    fields = plan.get(key)
    if fields is None:
        selections = selected_fields(executor, type_, selected)
        fields = plan[key] = [_field(type_, *selection) for selection in selections.items()]
    return fields


def _name_of(type_: Any, _source: object) -> str:
    name: str = type_.name
    return name


def _field(type_: Any, key: str, selected: Selection) -> SelectedField:
    name = field_name(selected)
    if name == "__typename":
        return SelectedField(key, selected, GraphQLString, "String", None, partial(_name_of, type_))
    field = type_.fields.get(name)
    if field is None:
        raise FallBack(FallbackReason.INTROSPECTION, name)
    declared = declared_field(field)
    attribute = attrgetter(declared.python_name) if declared.is_basic_field else None
    leaf = types.get_named_type(field.type).name
    return SelectedField(key, selected, field.type, leaf if leaf in COUNTED else None, field, attribute)
