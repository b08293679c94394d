"""Scalars that GraphQL has no names for, and how they are written."""

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from strawberry.schema.types.base_scalars import DateDefinition, DateTimeDefinition, DecimalDefinition
from strawberry.types.scalar import ScalarDefinition

SCALARS: dict[object, ScalarDefinition] = {
    datetime: replace(
        DateTimeDefinition,
        description="A moment in ISO 8601, with its zone: `2026-11-01T09:30:00+00:00`. The server gives UTC.",
    ),
    date: replace(DateDefinition, description="A day in ISO 8601: `2026-11-01`."),
    Decimal: replace(
        DecimalDefinition,
        description='An exact decimal number, written as a string, such as `"0.00315"`, so that no digit is lost.',
    ),
}
