"""The file of webhook endpoints, `TERTULIA_WEBHOOKS`."""

import base64
import binascii
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator

EVENTS = (
    "generation.completed",
    "generation.failed",
    "generation.stopped",
    "generation.awaiting_tool_results",
    "conversation.created",
    "conversation.deleted",
    "message.rated",
)
SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix of Standard Webhooks
SHORTEST_SECRET, LONGEST_SECRET = 24, 64
"""Bytes. Source: the specification of Standard Webhooks, "Signature scheme"."""
SECRET_RULE = "must be `whsec_` and 24 to 64 random bytes in Base64: `echo whsec_$(openssl rand -base64 32)`"  # noqa: S105 - a sentence
URL_RULE = "must be an address that begins with https:// or http://"
LIST_RULE = "must be a list of endpoints, each with `url`, `secret` and `events`"
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Endpoint(BaseModel):
    """An endpoint that receives events.

    Attributes:
        url: Its address.
        name: Its name in commands and logs, which identifies it if the address changes. By default its host and port.
        secret: The secrets that sign events, the newest first.
        events: The events that it receives.
        include: `text` adds the text of messages to events.
        allow_private: Whether the address may be a private, loopback or link-local one.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    url: str
    name: str = Field(default="", pattern=r"^[A-Za-z0-9_.-]{0,50}$")
    secret: Sequence[str] = Field(repr=False)
    events: Sequence[str] = Field(min_length=1)
    include: Sequence[Literal["text"]] = ()
    allow_private: bool = False

    @property
    def title(self) -> str:
        """The name, or the host and port. The rest of the address may contain a secret."""
        return self.name or self.host

    @property
    def host(self) -> str:
        """The host and port of the address."""
        return urlsplit(self.url).netloc

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, entry: Any) -> Any:
        return _expanded(entry)

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            is_valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            raise ValueError(URL_RULE) from None
        if not is_valid:
            raise ValueError(URL_RULE)
        if "@" in parts.netloc:
            raise ValueError("must not contain a user name or password; verify the signature instead")
        return url

    @field_validator("secret", mode="before")
    @classmethod
    def _are_secrets(cls, value: Any) -> Any:
        secrets: list[Any] = [value] if isinstance(value, str) else value
        if not isinstance(value, (str, list)) or not secrets:
            raise ValueError(SECRET_RULE)
        for secret in map(str, secrets):
            try:
                length = len(base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True))
            except binascii.Error:
                raise ValueError(SECRET_RULE) from None
            if not SHORTEST_SECRET <= length <= LONGEST_SECRET:
                raise ValueError(SECRET_RULE)
        return secrets

    @field_validator("events")
    @classmethod
    def _are_events(cls, events: Sequence[str]) -> Sequence[str]:
        for event in events:
            if event not in EVENTS:
                raise ValueError(f"{event!r} is not an event; the events are {', '.join(EVENTS)}")
        return events


_ENDPOINTS = TypeAdapter(list[Endpoint])


def read_endpoints(path: Path) -> list[Endpoint]:
    """Return the endpoints in a YAML or JSON file. `${NAME}` is replaced with the environment variable.

    Raises:
        ValueError: The file is invalid. The message has one line.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ValueError(f"line {line}: {error.problem or 'the file is not YAML'}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ValueError("the file is neither YAML nor JSON") from None
    if not isinstance(content, list):
        raise ValueError(LIST_RULE)  # noqa: TRY004 - callers expect one type of error
    try:
        endpoints = _ENDPOINTS.validate_python(content)
    except ValidationError as error:
        raise ValueError(_first(error)) from None
    titles = [endpoint.title for endpoint in endpoints]
    if twice := [title for title in titles if titles.count(title) > 1]:
        raise ValueError(f"two endpoints are called {twice[0]}; give them different names with `name`")
    return endpoints


def _expanded(value: Any) -> Any:
    match value:
        case str():
            return VARIABLE.sub(_variable, value)
        case [*items]:
            return [_expanded(item) for item in items]
        case {**entries}:
            return {key: _expanded(item) for key, item in entries.items()}
        case _:
            return value


def _variable(match: re.Match[str]) -> str:
    value = os.environ.get(match[1])
    if not value:
        raise ValueError(f"the environment variable {match[1]} is not set")
    return value


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    number, *keys = first["loc"]
    message = first["msg"].removeprefix("Value error, ")
    where = f"endpoint {int(number) + 1}"
    return f"{where}: {keys[0]}: {message}" if keys else f"{where}: {message}"
