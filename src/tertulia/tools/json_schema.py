"""Validate JSON schemas of users and MCP servers: with limits, outside of the event loop, and without the network.

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
MAX_DEPTH = 64
"""The maximum nesting of objects and lists."""
COMPILE_SECONDS = 1.0
VALIDATE_SECONDS = 2.0
"""Processor time."""
REMEMBERED = 1000
"""The number of cached findings, so that the same schema is checked only once."""
TOO_COMPLEX = "is too complex: checking it takes too long or too much memory."
BUSY = "cannot be checked now, because the server is busy: try again."
UNCHECKED = "This could not be checked: it takes too long or too much memory."

ANSWER_PROBLEM = "tertulia.tools.schema_jobs:answer_problem"

_findings: OrderedDict[str, str | None] = OrderedDict()


class SchemaKind(StrEnum):
    """The purpose of a schema."""

    OUTPUT = "tertulia.tools.schema_jobs:output_schema_problem"
    """The text of answers is validated with it."""
    TOOL = "tertulia.tools.schema_jobs:tool_schema_problem"
    """It is sent to Claude; the tool validates its own input."""


async def schema_problem(schema: object, kind: SchemaKind, max_bytes: int = MAX_BYTES) -> str | None:
    """Return why a schema is not accepted, as the end of a sentence about it; None if it is accepted."""
    check = _begin(schema, kind, max_bytes)
    if not check.is_done:
        with check.recorded():
            check.problem = await SCHEMAS.run(kind, seconds=COMPILE_SECONDS, data=check.data)
    return check.problem


def schema_problem_blocking(schema: object, kind: SchemaKind, max_bytes: int = MAX_BYTES) -> str | None:
    """Do the same as `schema_problem`, for threads without an event loop."""
    check = _begin(schema, kind, max_bytes)
    if not check.is_done:
        with check.recorded():
            check.problem = SCHEMAS.run_blocking(kind, seconds=COMPILE_SECONDS, data=check.data)
    return check.problem


async def answer_problem(schema: Json, text: str) -> str | None:
    """Return why the text of an answer does not match a schema; None if it matches."""
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
    """A schema as text, and the finding about it."""

    data: bytes = b""
    key: str = ""
    problem: str | None = None
    is_done: bool = False

    @contextmanager
    def recorded(self) -> Generator[None]:
        """Store the finding of the sandbox."""
        try:
            yield
        except OutOfBoundsError:
            self.problem = TOO_COMPLEX
        except SandboxBusyError:
            self.problem = BUSY
            return
        _findings[self.key] = self.problem
        if len(_findings) > REMEMBERED:
            _findings.popitem(last=False)


def _begin(schema: object, kind: SchemaKind, max_bytes: int) -> _Check:
    """Do the checks that need no sandbox, which also limit the input of the sandbox."""
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
        raise ValueError("takes a JSON schema, which is an object.")  # noqa: TRY004 - its callers expect one type
    if is_deeper(cast("object", schema), MAX_DEPTH):
        raise ValueError(f"takes a schema of at most {MAX_DEPTH} levels.")
    try:
        data = json.dumps(schema, allow_nan=False).encode()
    except (ValueError, TypeError):
        raise ValueError("is not a valid JSON schema: it is not JSON.") from None
    if len(data) > max_bytes:
        raise ValueError(f"takes a schema of at most {max_bytes:,} bytes, not {len(data):,}.")
    return data
