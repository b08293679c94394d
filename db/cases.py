"""The SQL function that converts text to lower case, with the same result on both databases."""

from typing import Any

from sqlalchemy import String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

UNICODE_LOWER = "unicode_lower"
"""The name of the function on SQLite, whose own `lower` supports only ASCII and must stay, because an index uses it."""


class UnicodeLower(FunctionElement[str]):
    """A text in lower case, as an SQL expression."""

    type = String()
    inherit_cache = True


@compiles(UnicodeLower)
def _compile(element: UnicodeLower, compiler: Any, **options: Any) -> str:
    return f"lower({compiler.process(element.clauses, **options)})"


@compiles(UnicodeLower, "sqlite")
def _compile_for_sqlite(element: UnicodeLower, compiler: Any, **options: Any) -> str:
    text = compiler.process(element.clauses, **options)
    # The function is Python's, and takes its lock for each row. SQLite's own is right for a text with one byte each.
    is_ascii = f"length({text}) IS length(CAST({text} AS BLOB))"
    return f"CASE WHEN {is_ascii} THEN lower({text}) ELSE {UNICODE_LOWER}({text}) END"


def to_lower(text: str | None) -> str | None:
    """Return a text in lower case. This implements `unicode_lower` on SQLite."""
    return None if text is None else text.lower()
