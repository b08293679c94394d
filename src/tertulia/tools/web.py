"""What Claude's own tools for the web may read: domains, the number of uses, and the place of the user.

Source: "Web search tool" and "Web fetch tool" in the Claude API documentation.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from tertulia.json import Json

DOMAIN = r"^[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)+(/[^\s*]*(\*[^\s*]*)?)?$"
"""A domain without a scheme, whose subdomains are included, with an optional path. A path may have one wildcard."""

MAX_DOMAIN = 255
"""The maximum length in characters."""


def _check_domain(value: str) -> str:
    if len(value) > MAX_DOMAIN or not re.fullmatch(DOMAIN, value):
        raise ValueError("must be a domain without a scheme, such as example.com or example.com/docs")
    return value


def _check_country(value: str) -> str:
    if not re.fullmatch("[A-Z]{2}", value):
        raise ValueError("must be a country code of two letters, such as ES")
    return value


Domain = Annotated[str, AfterValidator(_check_domain)]
Country = Annotated[str, AfterValidator(_check_country)]
Place = Annotated[str, Field(min_length=1, max_length=255)]


class UserLocation(BaseModel):
    """The approximate place of the users, for results of searches."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    city: Place | None = None
    region: Place | None = None
    country: Country | None = None
    timezone: str | None = None

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, value: str | None) -> str | None:
        if value is not None and value not in available_timezones():
            raise ValueError("must be an IANA time zone such as Europe/Madrid")
        return value


class WebOptions(BaseModel):
    """The options of `web_search` and `web_fetch`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    allowed_domains: Annotated[list[Domain], Field(max_length=100)] = []
    blocked_domains: Annotated[list[Domain], Field(max_length=100)] = []
    max_uses: Annotated[int, Field(strict=True, ge=1)] | None = None
    user_location: UserLocation | None = None

    @model_validator(mode="after")
    def _check_domains(self) -> Self:
        if self.allowed_domains and self.blocked_domains:
            raise ValueError("`allowed_domains` and `blocked_domains` must not both be set")
        return self

    def to_json(self) -> Json:
        """Return the options that are set."""
        return self.model_dump(exclude_defaults=True, exclude_none=True)


def web_options(values: object) -> WebOptions:
    """Return the options that the operator has set.

    Raises:
        ValueError: They are not valid. The message has one line.
    """
    try:
        return WebOptions.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        location = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{location}: {message}" if location else message) from None


def with_web_options(definitions: Sequence[Json], options: Json) -> list[Json]:
    """Return the definitions, those of tools for the web with these options instead of others.

    Args:
        definitions: The definitions of tools.
        options: The options, as `WebOptions.to_json` returns them.
    """
    fields: Json = {
        name: options[name] for name in ("allowed_domains", "blocked_domains", "max_uses") if name in options
    }
    place: Json = (
        {"user_location": {"type": "approximate", **options["user_location"]}} if "user_location" in options else {}
    )
    added: dict[str, Json] = {"web_search": fields | place, "web_fetch": fields}
    return [
        {**{key: value for key, value in tool.items() if key not in WebOptions.model_fields}, **added[tool["name"]]}
        if tool["name"] in added and "input_schema" not in tool
        else tool
        for tool in definitions
    ]
