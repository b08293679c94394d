"""The JSON parser and writer of the whole server.

Rules (RFC 8259, and the limits that the server adds):

- Integers keep all their digits. The `orjson` package turns integers beyond 64 bits into floats, so documents that
  contain a long run of digits are parsed by the standard library.
- `NaN`, `Infinity` and numbers beyond the range of a double are not JSON. `loads` refuses them; `dumps` and `encode`
  write null in their place.
- Documents are nested at most `MAX_DEPTH` levels, and values inside of them at most `MAX_VALUE_DEPTH`, so that each
  accepted value can be stored, sent and exported as part of another document.
- Halves of surrogate pairs are valid as JSON escapes, but not in UTF-8. `clean` replaces them.
"""

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from datetime import date, time
from enum import Enum
from typing import Any, NoReturn, TypeGuard
from uuid import UUID

import orjson

Json = dict[str, Any]
"""A JSON object."""

MAX_DEPTH = 200
"""Levels of objects and arrays in one document."""
MAX_VALUE_DEPTH = 128
"""Levels of objects and arrays in a value that is stored or sent as a part of another document."""
MAX_SAFE_INTEGER = 2**53 - 1
"""The largest integer that JavaScript's `JSON.parse` reads without changing it (`Number.MAX_SAFE_INTEGER`)."""
MAX_MESSAGE = 60
"""Characters of a number that an error message quotes."""

_AS_ZEROS = bytes(ord("0") if chr(byte).isdecimal() and byte < ord(":") else byte for byte in range(256))
_MANY_DIGITS = b"0" * 19
"""The smallest integer beyond 64 bits has 19 digits, without its sign."""
_CONTAINERS = (dict, list)
_ORJSON_LEVELS = 254
"""The number of levels that orjson writes. It refuses more with a TypeError whose message is `_ORJSON_TOO_DEEP`."""
_ORJSON_TOO_DEEP = "Recursion limit reached"


class InvalidJson(json.JSONDecodeError):
    """A document that is not JSON, or is not accepted. The message says why, without quoting text of the document."""

    def __init__(self, message: str) -> None:
        """Create an error without a position: documents come from users, and are often a single line."""
        super().__init__(message, "", 0)

    def __str__(self) -> str:
        """Return the message alone."""
        return self.msg


def loads(data: str | bytes | bytearray, *, max_depth: int = MAX_DEPTH) -> Any:
    """Parse a JSON document. Strings are returned unchanged: apply `clean` to those from clients.

    Args:
        data: The document. Bytes must be UTF-8.
        max_depth: The number of levels of objects and arrays that are accepted.

    Raises:
        InvalidJson: The document is not JSON, is nested too deeply, or contains a number that cannot be represented.
            It is a ValueError.
    """
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    value = _parse(raw, _refuse_constant, _finite)
    # Counting brackets is much cheaper than walking the value, and nearly all documents have few.
    if raw.count(b"[") + raw.count(b"{") > max_depth and is_deeper(value, max_depth):
        raise _too_deep(max_depth)
    return value


def loads_stored(data: str | bytes) -> Any:
    """Parse a document that the server itself stored, and repair values that earlier versions accepted.

    Numbers that are not JSON become null, and text is cleaned: one bad value must not make a conversation unreadable.

    Raises:
        InvalidJson: The document is not JSON.
    """
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    value = _parse(raw, _null, _finite_or_null)
    return _clean(value) if b"\\u" in raw and not is_deeper(value, MAX_DEPTH) else value


def dumps(value: object, *, default: Callable[[Any], object] | None = None) -> str:
    """Return a value as JSON text; see `encode`."""
    return encode(value, default=default).decode()


def encode(value: object, *, default: Callable[[Any], object] | None = None) -> bytes:
    """Return a value as JSON in UTF-8, on one line even for readers that split lines at any Unicode line separator.

    Infinite numbers and NaN become null, keys that are not strings become strings, and dates are written in ISO 8601.
    Halves of surrogate pairs are written as escapes, because the other half may follow in the next piece of a stream.

    Args:
        value: The value.
        default: Converts a value of a type that JSON does not have.

    Raises:
        TypeError: A value has a type that JSON does not have, and `default` is not set.
        ValueError: A value contains itself or is nested too deeply, or an integer has too many digits.
    """
    try:
        document = orjson.dumps(value, default)
    except TypeError:
        # An integer beyond 64 bits, half of a surrogate pair, many levels, or a type that JSON does not have.
        document = _encode_slowly(value, default)
    return document if document.isascii() else escape_line_separators(document)


def dumps_spaced(value: object, *, indent: int | None = None) -> str:
    """Return a value as JSON text for people and for Claude: with spaces, and otherwise like `dumps`."""
    text = json.dumps(_writable(value, None), ensure_ascii=False, allow_nan=False, indent=indent)
    return escape_line_separators(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")


def escape_line_separators(document: bytes) -> bytes:
    """Escape U+0085, U+2028 and U+2029 in JSON: `str.splitlines` and many other readers of lines split at them."""
    if document.isascii():
        return document
    if b"\xc2\x85" in document:
        document = document.replace(b"\xc2\x85", b"\\u0085")
    if b"\xe2\x80" in document:
        document = document.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return document


def clean(value: Any, *, max_depth: int = MAX_DEPTH) -> Any:
    """Return a parsed JSON value with all strings and keys cleaned by `clean_text`.

    Args:
        value: A parsed JSON value.
        max_depth: The number of levels of objects and arrays that are accepted.

    Raises:
        InvalidJson: The value is nested too deeply, or contains a number that JSON does not have.
    """
    if is_deeper(value, max_depth):
        raise _too_deep(max_depth)
    return _clean(value)


def clean_text(text: str) -> str:
    """Return text that can be stored and sent: halves of surrogate pairs and U+0000 become U+FFFD.

    Two halves that follow each other become the character that they encode. The length in UTF-16 code units, in which
    clients count, stays the same.
    """
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def is_object(value: object) -> TypeGuard[Json]:
    """Return whether a parsed JSON value is an object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Return whether a parsed JSON value is an array."""
    return isinstance(value, list)


def is_deeper(value: object, levels: int) -> bool:
    """Return whether objects and arrays are nested more than `levels` deep."""
    # orjson refuses more levels than its limit, and detects them many times faster than a loop in Python.
    padded = value
    for _ in range(_ORJSON_LEVELS - levels):
        padded = [padded]
    try:
        orjson.dumps(padded)
    except TypeError as error:
        return str(error) == _ORJSON_TOO_DEEP or _walk_is_deeper(value, levels)
    return False


def exact_for_javascript(value: Any) -> Any:
    """Return a parsed JSON value with those integers as strings that JavaScript would round."""
    try:
        orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER)
    except TypeError:
        return _exact(value)
    return value


def _exact(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) <= MAX_SAFE_INTEGER else str(value)
    if is_object(value):
        return {key: _exact(part) for key, part in value.items()}
    if _is_sequence(value):
        return [_exact(part) for part in value]
    return value


def _parse(raw: bytes | bytearray, constant: Callable[[str], Any], number: Callable[[str], Any]) -> Any:
    if _MANY_DIGITS not in raw.translate(_AS_ZEROS):
        try:
            return orjson.loads(raw)
        except ValueError:
            # Half of a surrogate pair, a byte order mark, or no JSON at all: the other parser decides.
            pass
    try:
        return json.loads(raw.decode("utf-8-sig", "surrogatepass"), parse_constant=constant, parse_float=number)
    except UnicodeDecodeError:
        raise InvalidJson("it is not UTF-8") from None
    except RecursionError:
        raise InvalidJson("it is nested too deeply") from None
    except InvalidJson:
        raise
    except json.JSONDecodeError as error:
        raise InvalidJson(f"{error.msg} (line {error.lineno}, column {error.colno})") from None
    except ValueError:
        # Python limits the digits of integers, because parsing them takes quadratic time.
        raise InvalidJson("an integer has too many digits") from None


def _encode_slowly(value: object, default: Callable[[Any], object] | None) -> bytes:
    try:
        return json.dumps(_writable(value, default), separators=(",", ":"), allow_nan=False).encode()
    except RecursionError:
        raise ValueError("The value is nested too deeply to be written as JSON.") from None


def _writable(value: Any, default: Callable[[Any], object] | None) -> Any:
    """Return a value that `json.dumps` writes as `orjson` would."""
    match value:
        case _ if is_object(value):
            return {_key(key): _writable(part, default) for key, part in value.items()}
        case _ if _is_sequence(value):
            return [_writable(part, default) for part in value]
        case float():
            return value if math.isfinite(value) else None
        case str() | int() | None | date() | time() | UUID() | Enum():
            return _key(value)
        case _:
            return _writable(_replacement(value, default), default)


def _replacement(value: Any, default: Callable[[Any], object] | None) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if default is None:
        raise TypeError(f"Type is not JSON serializable: {type(value).__name__}")
    return default(value)


def _key(key: Any) -> Any:
    match key:
        case date() | time():
            return key.isoformat()
        case Enum():
            return key.value
        case str() | int() | float() | None:
            return key
        case _:
            return str(key)


def _clean(value: Any) -> Any:
    match value:
        case str():
            return clean_text(value)
        case float():
            return value if math.isfinite(value) else _refuse_number(str(value))
        case _ if is_object(value):
            return {clean_text(str(key)): _clean(part) for key, part in value.items()}
        case _ if _is_sequence(value):
            return [_clean(part) for part in value]
        case _:
            return value


def _finite(literal: str) -> float:
    number = float(literal)
    return number if math.isfinite(number) else _refuse_number(literal)


def _finite_or_null(literal: str) -> float | None:
    number = float(literal)
    return number if math.isfinite(number) else None


def _null(_name: str) -> None:
    return None


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidJson(f"{name} is not a number in JSON")


def _refuse_number(literal: str) -> NoReturn:
    raise InvalidJson(f"the number {literal[:MAX_MESSAGE]} is out of range")


def _too_deep(levels: int) -> InvalidJson:
    return InvalidJson(f"it is nested more than {levels} levels deep")


def _walk_is_deeper(value: Any, levels: int) -> bool:
    level: list[Any] = [value] if isinstance(value, _CONTAINERS) else []
    for _ in range(levels):
        if not level:
            return False
        level = [part for container in level for part in _parts(container) if isinstance(part, _CONTAINERS)]
    return bool(level)


def _parts(container: Any) -> Iterable[Any]:
    return container.values() if is_object(container) else container


def _is_sequence(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    return isinstance(value, list | tuple)
