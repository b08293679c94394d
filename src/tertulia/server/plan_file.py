"""Read the file of plans, and report the line of what is wrong in it."""

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from tertulia.assistants.catalog import SUFFIX
from tertulia.ratelimit.limits import Limits, Rate
from tertulia.ratelimit.plans import CLAIM, DEFAULT, Plan, Plans
from tertulia.server.environment import WrongSetting
from tertulia.server.settings import Settings
from tertulia.server.settings import check_plans as check_settings
from tertulia.server.tooling import open_tool_registry
from tertulia.tools.memory import NAME as MEMORY

NAME, TOOL = r"[A-Za-z0-9_-]{1,64}", r"[a-zA-Z0-9_*?\[\]!-]{1,128}"
UNLIMITED = "unlimited"
TEXTS = TypeAdapter(list[str])
NUMBER_RULE = f'must be a whole number, 1 or more, or "{UNLIMITED}"'
RATE_RULE = f'must be a number per minute, a rate such as "60/minute" or "2000/day", or "{UNLIMITED}"'
DOLLARS_RULE = f'must be a number of US dollars above 0, or "{UNLIMITED}"'
FILE_RULE = "must be a TOML file with a table for each plan, such as [pro]"


def _rate(name: str) -> Callable[[Any], Rate | None]:
    def read(value: Any) -> Rate | None:
        if value == UNLIMITED:
            return None
        is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        try:
            if is_number or isinstance(value, str):
                return Rate(name, str(value))
        except ValueError:
            pass
        raise ValueError(RATE_RULE)

    return read


def _number(value: Any) -> int | None:
    if value == UNLIMITED:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(NUMBER_RULE)
    return value


def _dollars(value: Any) -> Decimal | None:
    if value == UNLIMITED:
        return None
    if not isinstance(value, int | Decimal) or isinstance(value, bool) or not Decimal(value).is_finite() or value <= 0:
        raise ValueError(DOLLARS_RULE)
    return Decimal(value)


def _names(pattern: str, rule: str, *, empty: bool) -> Callable[[Any], tuple[str, ...]]:
    def read(value: Any) -> tuple[str, ...]:
        try:
            items = TEXTS.validate_python(value)
        except ValidationError:
            raise ValueError(rule) from None
        if not all(re.fullmatch(pattern, item) for item in items) or not (items or empty):
            raise ValueError(rule)
        return tuple(items)

    return read


KEYS: Mapping[str, Callable[[Any], Any]] = {
    "groups": _names(r".{1,256}", "must be a list of values of TERTULIA_PLAN_CLAIM, with one or more", empty=False),
    "requests": _rate("requests"),
    "messages": _rate("sends"),
    "uploads": _rate("uploads"),
    "concurrent_answers": _number,
    "sockets": _number,
    "monthly_budget_usd": _dollars,
    "daily_tokens": _number,
    "models": _names(r".{1,256}", "must be a list of models, with one or more", empty=False),
    "tools": _names(TOOL, "must be a list of tools, or of patterns such as github__*", empty=True),
    "assistants": _names(NAME, "must be a list of assistants", empty=True),
}
"""The keys of a plan, and what reads their values."""


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """A plan of the file: the values that it sets, and the location of each for messages."""

    values: dict[str, Any]
    locations: dict[str, str]


def read_plans(setting: str) -> dict[str, ReadPlan]:
    """Return the plans of a file by name.

    Raises:
        WrongSetting: The file cannot be read, or is wrong. The message names the line.
    """
    try:
        text = Path(setting).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not encoded in UTF-8"
        raise WrongSetting(f"TERTULIA_PLANS: got {setting!r}; {FILE_RULE}: {reason}.") from None
    try:
        tables = tomllib.loads(text, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise WrongSetting(f"TERTULIA_PLANS: {setting}: {FILE_RULE}: {error}.") from None
    return {name: _read_plan(setting, text, name, table) for name, table in tables.items()}


def open_plans(settings: Settings, limits: Limits) -> Plans:
    """Return the plans of the settings.

    Args:
        settings: The settings. Limits that a plan leaves out are theirs.
        limits: The limits of users without a plan.

    Raises:
        WrongSetting: The file is wrong.
    """
    default = Plan(
        requests=limits.requests,
        messages=limits.sends,
        uploads=limits.uploads,
        concurrent_answers=limits.generations,
        sockets=limits.sockets,
        monthly_budget_usd=settings.monthly_budget_usd,
        daily_tokens=settings.daily_tokens,
    )
    if settings.plans is None:
        return Plans(default=default)
    plans = [replace(default, name=name, **plan.values) for name, plan in check_plans(settings).items()]
    return Plans(plans, default=default, claim=settings.plan_claim or CLAIM)


def reread_plans(settings: Settings, limits: Limits) -> Plans:
    """Return the plans of a file that has changed. Raise WrongSetting if the server would not start with it."""
    check_settings(settings)
    return open_plans(settings, limits)


def check_plans(settings: Settings) -> dict[str, ReadPlan]:
    """Return the plans of the file by name; raise WrongSetting if one names what the server lacks."""
    plans = read_plans(settings.plans) if settings.plans else {}
    models = {settings.default_model, *settings.models} if settings.models else None
    tools: set[str] | None = None
    for plan in plans.values():
        for model in plan.values.get("models", ()):
            if models is not None and model not in models:
                rule = f"models: must be models of TERTULIA_MODELS: {', '.join(sorted(models))}; got {model!r}"
                raise WrongSetting(f"{plan.locations['models']}: {rule}.")
        for tool in plan.values.get("tools", ()):
            # A name with "__" may be that of an MCP server's tool, which is known only after a connection.
            if "__" in tool or re.search(r"[*?\[]", tool):
                continue
            if tools is None:
                tools = {MEMORY, *(offer.name for offer in open_tool_registry(settings)[0].offers())}
            if tool not in tools:
                rule = f"tools: must be tools of the server, or patterns; got {tool!r}{_nearest(tool, tools)}"
                raise WrongSetting(f"{plan.locations['tools']}: {rule}.")
        _check_assistants(plan, settings.assistants)
    return plans


def _check_assistants(plan: ReadPlan, folder: str | None) -> None:
    for assistant in plan.values.get("assistants", ()):
        if folder is None or not (Path(folder) / f"{assistant}{SUFFIX}").is_file():
            rule = f"assistants: must be assistants of TERTULIA_ASSISTANTS; got {assistant!r}"
            raise WrongSetting(f"{plan.locations['assistants']}: {rule}.")


def _read_plan(setting: str, text: str, name: str, table: Any) -> ReadPlan:
    def location(key: str | None) -> str:
        line = _line(text, name, key)
        return f"TERTULIA_PLANS: {setting}" + ("" if line is None else f", line {line}")

    if not isinstance(table, dict):
        raise WrongSetting(f"{location(None)}: {name} must be in the table of a plan, such as [pro].")
    if not re.fullmatch(NAME, name):
        rule = "must be 1 to 64 letters, digits, _ and -"
        raise WrongSetting(f"{location(None)}: the name of a plan {rule}, not {name[:64]!r}.")
    values = dict[str, Any]()
    entries = cast("dict[str, Any]", table)
    for key, value in entries.items():
        if key not in KEYS:
            known = _nearest(key, KEYS) or f"; the keys are {', '.join(KEYS)}"
            raise WrongSetting(f"{location(key)}: [{name}] has the unknown key {key!r}{known}.")
        try:
            values[key] = KEYS[key](value)
        except ValueError as error:
            raise WrongSetting(f"{location(key)}: [{name}] {key} {error}.") from None
    if name == DEFAULT and "groups" in values:
        raise WrongSetting(f"{location('groups')}: [{DEFAULT}] has no groups: all users without another plan have it.")
    return ReadPlan(values, {key: location(key) for key in entries})


def _nearest(name: str, names: Any) -> str:
    nearest = difflib.get_close_matches(name, list(names), 1)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def _line(text: str, plan: str, key: str | None) -> int | None:
    """Return the line of a key in the table of a plan, or else that of the table; None if it is written differently."""
    found, in_plan = None, False
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\s*[\"']?(.*?)[\"']?\s*\]", line)
        if header is not None:
            in_plan = header[1] == plan
            found = number if in_plan else found
        assigned = re.match(r"\s*[\"']?([^\"'=]+?)[\"']?\s*=", line)
        if assigned is not None and (assigned[1] == key if in_plan else found is None and assigned[1] == plan):
            return number
    return found
