"""Custom scalars: their parsing, serialization and descriptions."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

from strawberry.exceptions import StrawberryInputCoercionError
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

from tertulia.json import MAX_VALUE_DEPTH, InvalidJson, clean
from tertulia.schema.graphql_internals import (
    DEFAULT_SCALAR_REGISTRY,
    DateDefinition,
    DateTimeDefinition,
    DecimalDefinition,
)

MAX_QUOTED = 60
"""Characters of a wrong value that an error message quotes."""


def parse_moment(value: object) -> datetime:
    """Return a timestamp in UTC; text without a time zone is in UTC.

    Raises:
        StrawberryInputCoercionError: It is no timestamp in ISO 8601, or outside the years 1 to 9999 in UTC.
    """
    read = DateTimeDefinition.parse_value
    with suppress(StrawberryInputCoercionError, OverflowError):
        moment = read(value) if read is not None else None
        if isinstance(moment, datetime):
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    raise StrawberryInputCoercionError(
        f"Value cannot represent a DateTime: {str(value)[:MAX_QUOTED]!r}. It takes a moment in ISO 8601 with its zone, "
        "from the year 1 to the year 9999 in UTC, such as '2026-11-01T09:30:00+00:00'."
    )


def parse_json(value: object) -> object:
    """Return a JSON value with cleaned strings and keys.

    Raises:
        StrawberryInputCoercionError: It is nested too deeply, or holds a number that JSON does not have.
    """
    try:
        return clean(value, max_depth=MAX_VALUE_DEPTH)
    except InvalidJson as error:
        raise StrawberryInputCoercionError(f"Value cannot represent JSON: {error}.") from None


def write_decimal(value: Decimal) -> str:
    """Write a number without an exponent."""
    return f"{value:f}"


SCALARS: dict[object, ScalarDefinition] = {
    datetime: replace(
        DateTimeDefinition,
        description=(
            "A moment in ISO 8601, with its zone: `2026-11-01T09:30:00+00:00`. The server gives UTC, and takes text "
            "without a zone for UTC."
        ),
        parse_value=parse_moment,
    ),
    date: replace(DateDefinition, description="A day in ISO 8601: `2026-11-01`."),
    Decimal: replace(
        DecimalDefinition,
        description=(
            'An exact decimal number, written as a string without an exponent, such as `"0.00315"`, so that no digit '
            "is lost."
        ),
        serialize=write_decimal,
    ),
    JSON: replace(
        DEFAULT_SCALAR_REGISTRY[JSON],
        description=(
            "Any JSON value, nested at most 128 levels deep. In what is sent to the server, halves of surrogate pairs "
            "and U+0000 become U+FFFD. In content of messages, integers that JavaScript would round (beyond ±(2^53 - "
            "1)) come as strings of their digits."
        ),
        parse_value=parse_json,
    ),
}
