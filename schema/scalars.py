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
"""The number of characters of an invalid value that an error message quotes."""


def parse_datetime(value: object) -> datetime:
    """Return a timestamp in UTC. Text without a time zone is read as UTC.

    Raises:
        StrawberryInputCoercionError: The value is not a timestamp in ISO 8601, or not in the years 1 to 9999 in UTC.
    """
    parse = DateTimeDefinition.parse_value
    with suppress(StrawberryInputCoercionError, OverflowError):
        timestamp = parse(value) if parse is not None else None
        if isinstance(timestamp, datetime):
            return timestamp.astimezone(UTC) if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)
    raise StrawberryInputCoercionError(
        f"Value cannot represent a DateTime: {str(value)[:MAX_QUOTED]!r}. It must be a timestamp in ISO 8601 with a "
        "time zone, in the years 1 to 9999 in UTC, such as '2026-11-01T09:30:00+00:00'."
    )


def parse_json(value: object) -> object:
    """Return a JSON value in which unpaired surrogates and U+0000 are replaced, in strings and keys.

    Raises:
        StrawberryInputCoercionError: The value is nested too deeply, or contains a number that JSON does not support.
    """
    try:
        return clean(value, max_depth=MAX_VALUE_DEPTH)
    except InvalidJson as error:
        raise StrawberryInputCoercionError(f"Value cannot represent JSON: {error}.") from None


def write_decimal(value: Decimal) -> str:
    """Return a number in decimal notation without an exponent."""
    return f"{value:f}"


SCALARS: dict[object, ScalarDefinition] = {
    datetime: replace(
        DateTimeDefinition,
        description=(
            "A timestamp in ISO 8601 with a time zone, such as `2026-11-01T09:30:00+00:00`. The server returns UTC. "
            "Input without a time zone is read as UTC."
        ),
        parse_value=parse_datetime,
    ),
    date: replace(DateDefinition, description="A date in ISO 8601, such as `2026-11-01`."),
    Decimal: replace(
        DecimalDefinition,
        description=(
            'An exact decimal number as a string without an exponent, such as `"0.00315"`. A JSON number could lose '
            "digits."
        ),
        serialize=write_decimal,
    ),
    JSON: replace(
        DEFAULT_SCALAR_REGISTRY[JSON],
        description=(
            "Any JSON value, nested at most 128 levels deep. In input, unpaired surrogates and U+0000 become U+FFFD. "
            "In the content and the context of messages and in metadata, integers beyond ±(2^53 - 1), which JavaScript "
            "would round, are returned as strings of digits."
        ),
        parse_value=parse_json,
    ),
}
