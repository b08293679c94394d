"""The formats of the log: text, or lines of JSON. Both contain the fields of records (`tertulia.log_lines`)."""

import json
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from asgi_correlation_id import correlation_id
from opentelemetry import trace

from tertulia.claude.tracing import written_here
from tertulia.json import dumps

OWN = "tertulia"
"""The logger whose records, and those of the loggers below it, may have fields."""
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
PLAIN = re.compile(r"[\w.:/@{},+-]+", re.ASCII)
"""Values that text contains without quotation marks."""


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields of a record, and the ids of its request, generation and trace, if any."""
    fields: dict[str, Any] = {}
    if record.name.partition(".")[0] == OWN:
        fields = {name: _value(value) for name, value in vars(record).items() if name not in STANDARD}
    if (generation := written_here.get()) is not None:
        fields.setdefault("generation_id", str(generation))
    if (request := correlation_id.get()) is not None:
        fields["request_id"] = request
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        fields["trace_id"] = trace.format_trace_id(span.trace_id)
    return fields


def _value(value: object) -> object:
    if isinstance(value, float):
        return round(value, 6)
    return value if isinstance(value, bool | int | str) else str(value)


class JsonLines(logging.Formatter):
    """Formats each record as a line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as a line."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return dumps(fields)


class TextLines(logging.Formatter):
    """Formats each record as a line of text, followed by its fields and the traceback of an exception."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is that of the base class
        """Return the line without a traceback."""
        return f"{super().formatMessage(record)}{as_text(fields_of(record))}"


def as_text(fields: Mapping[str, object]) -> str:
    """Return fields as ` name=value` each. A value that is not plain is quoted as in JSON."""
    texts = ((name, str(value)) for name, value in fields.items())
    return "".join(f" {name}={text if PLAIN.fullmatch(text) else json.dumps(text)}" for name, text in texts)
