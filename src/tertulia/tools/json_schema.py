"""Validate JSON schemas of users and MCP servers in the sandbox: with limits, and without access to the network.

Sources: JSON Schema, draft 2020-12; "Structured outputs" and "Tool use" in the Claude API documentation.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from tertulia.json import Json, is_deeper
from tertulia.sandbox.process import SCHEMAS, OutOfBoundsError, SandboxBusyError
from tertulia.tools.base import shape_problem
from tertulia.tools.schemas import schema_for_claude

MAX_BYTES = 64 * 1024
"""The maximum size of a schema as JSON."""
MAX_DEPTH = 64
"""The maximum nesting of objects and lists."""
COMPILE_SECONDS = 1.0
VALIDATE_SECONDS = 2.0
"""The limits of processor time for checking a schema, and for validating a text with it."""
MAX_CACHED_FINDINGS = 1000
"""The number of cached findings, so that the same schema is checked only once."""
TOO_COMPLEX = "is too complex: checking it takes too much time or memory."
BUSY = "cannot be checked now, because the server is busy. Try again later."
UNCHECKED = "The text could not be validated, because that takes too much time or memory."

ANSWER_PROBLEM = "tertulia.tools.schema_jobs:answer_problem"

_findings: OrderedDict[str, str | None] = OrderedDict()


class SchemaKind(StrEnum):
    """The purpose of a schema."""

    OUTPUT = "tertulia.tools.schema_jobs:output_schema_problem"
    """Answers are validated against the schema."""
    TOOL = "tertulia.tools.schema_jobs:tool_schema_problem"
    """The schema is sent to Claude. The tool validates its input itself."""


async def schema_problem(schema: object, kind: SchemaKind, max_bytes: int = MAX_BYTES) -> str | None:
    """Return why a schema is not accepted, as the end of a sentence about it; None if it is accepted.

    Args:
        schema: The schema; any JSON value.
        kind: Its purpose.
        max_bytes: The maximum size as JSON.
    """
    check = _begin(schema, kind, max_bytes)
    if not check.is_done:
        with check.recorded():
            check.problem = await SCHEMAS.run(kind, seconds=COMPILE_SECONDS, data=check.data)
    return check.problem


def schema_problem_blocking(schema: object, kind: SchemaKind, max_bytes: int = MAX_BYTES) -> str | None:
    """Like `schema_problem`, for threads without an event loop."""
    check = _begin(schema, kind, max_bytes)
    if not check.is_done:
        with check.recorded():
            check.problem = SCHEMAS.run_blocking(kind, seconds=COMPILE_SECONDS, data=check.data)
    return check.problem


async def answer_problem(schema: Json, text: str) -> str | None:
    """Return why the text of an answer does not match a schema; None if it does."""
    data = text.encode("utf-8", "replace")
    try:
        problem: str | None = await SCHEMAS.run(
            ANSWER_PROBLEM, seconds=VALIDATE_SECONDS, data=data, schema=json.dumps(schema)
        )
    except (OutOfBoundsError, SandboxBusyError):
        return UNCHECKED
    return problem


@dataclass(slots=True)
class _Check:
    """A schema as JSON, and the finding about it."""

    data: bytes = b""
    key: str = ""
    problem: str | None = None
    is_done: bool = False

    @contextmanager
    def recorded(self) -> Generator[None]:
        """Cache the finding that the sandbox returns within the block."""
        try:
            yield
        except OutOfBoundsError:
            self.problem = TOO_COMPLEX
        except SandboxBusyError:
            self.problem = BUSY
            return
        _findings[self.key] = self.problem
        if len(_findings) > MAX_CACHED_FINDINGS:
            _findings.popitem(last=False)


def _begin(schema: object, kind: SchemaKind, max_bytes: int) -> _Check:
    """Run the checks that need no sandbox. They also limit the input of the sandbox."""
    try:
        data = _encoded(schema, max_bytes)
    except ValueError as error:
        return _Check(problem=str(error), is_done=True)
    key = f"{kind} {hashlib.sha256(data).hexdigest()}"
    if key in _findings:
        return _Check(problem=_findings[key], is_done=True)
    if kind is SchemaKind.TOOL and (problem := shape_problem(schema_for_claude(json.loads(data)))) is not None:
        return _Check(problem=problem, is_done=True)
    return _Check(data, key)


def _encoded(schema: object, max_bytes: int) -> bytes:
    if not isinstance(schema, dict):
        raise ValueError("must be a JSON schema, which is an object.")  # noqa: TRY004 - its callers expect one type
    if is_deeper(cast("object", schema), MAX_DEPTH):
        raise ValueError(f"must have at most {MAX_DEPTH} levels.")
    try:
        data = json.dumps(schema, allow_nan=False).encode()
    except (ValueError, TypeError):
        raise ValueError("is not a valid JSON schema: it is not JSON.") from None
    if len(data) > max_bytes:
        raise ValueError(f"must have at most {max_bytes:,} bytes, not {len(data):,}.")
    return data
