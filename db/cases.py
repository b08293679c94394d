"""Comparing texts in any case, on both databases alike."""

from typing import Any

from sqlalchemy import String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

UNICODE_LOWER = "unicode_lower"
"""SQLite's own `lower` knows the letters of ASCII alone, and an index is built on it: this stands beside it."""


class UnicodeLower(FunctionElement[str]):
    """A text in small letters."""

    type = String()
    inherit_cache = True


@compiles(UnicodeLower)
def _elsewhere(element: UnicodeLower, compiler: Any, **options: Any) -> str:
    return f"lower({compiler.process(element.clauses, **options)})"


@compiles(UnicodeLower, "sqlite")
def _on_sqlite(element: UnicodeLower, compiler: Any, **options: Any) -> str:
    return f"{UNICODE_LOWER}({compiler.process(element.clauses, **options)})"


def small(text: str | None) -> str | None:
    """Give a text in small letters, as SQLite is taught to."""
    return None if text is None else text.lower()
