"""Write the tables of docs/settings.md from the fields of the settings: `make settings-reference`."""

from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic.fields import FieldInfo

from tertulia.server.settings import Settings, variable_name

PAGE = Path(__file__).with_name("settings.md")
BEGIN = "<!-- Generated from the fields in src/tertulia/server by `make settings-reference`. Do not edit. -->\n"
"""Everything after this line of the page is generated."""
GROUPS = {
    "provider": "Claude and models",
    "database_url": "Storage and retention",
    "auth": "Signing in",
    "cors_origins": "The API",
    "tools": "Tools",
    "monthly_budget_usd": "Cost",
    "rate_limit": "Limits of each user",
    "lease_seconds": "Processes",
    "log_level": "Logs and traces",
}
"""The heading above a field, which begins a group."""
UNITS = {
    "seconds": "seconds",
    "hours": "hours",
    "days": "days",
    "usd": "US dollars",
    "bytes": "bytes",
    "tokens": "tokens",
}
"""The unit of a number, by the last word of the field's name."""


def write_page(page: str) -> str:
    """Return the page with the tables of the present settings, one for each group."""
    introduction, _, _ = page.partition(BEGIN)
    lines = [introduction + BEGIN]
    for name, field in Settings.model_fields.items():
        if name in GROUPS:
            lines.append(f"\n## {GROUPS[name]}\n\n| name | default | value | meaning |\n| --- | --- | --- | --- |\n")
        lines.append(_row(name, field))
    return "".join(lines)


def _row(name: str, field: FieldInfo) -> str:
    cells = f"`{variable_name(name)}`", _default(field), _value(name, field), field.description
    return f"| {' | '.join(str(cell) for cell in cells)} |\n"


def _documented(field: FieldInfo, name: str) -> str | None:
    """Return the text for the documentation that the field itself has, if any."""
    texts: Any = field.json_schema_extra
    return texts.get(name) if texts else None


def _default(field: FieldInfo) -> str:
    if (documented := _documented(field, "default")) is not None:
        return documented
    if field.default in (None, ()):
        return "none"
    if isinstance(field.default, float):
        return f"`{field.default:g}`"
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def _value(name: str, field: FieldInfo) -> str:
    """Describe the accepted values: the choices, or the kind or unit, the limits and examples."""
    kinds = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not type(None)]
    if get_origin(field.annotation) is Literal:
        return _any_of(kinds)
    if kinds == [bool]:
        return _any_of(["true", "false"])
    if kinds[0] in (int, float, Decimal):
        unit = UNITS.get(name.rpartition("_")[2])
        return ", ".join(part for part in (unit, _limits(field)) if part)
    return (_documented(field, "value") or "text") + (f", such as {_any_of(field.examples)}" if field.examples else "")


def _any_of(values: Any) -> str:
    *others, last = (f"`{value}`" for value in values)
    return f"{', '.join(others)} or {last}" if others else last


def _limits(field: FieldInfo) -> str:
    least = next((limit.ge for limit in field.metadata if isinstance(limit, Ge)), None)
    above = next((limit.gt for limit in field.metadata if isinstance(limit, Gt)), None)
    most = next((limit.le for limit in field.metadata if isinstance(limit, Le)), None)
    if least is None:
        return f"more than {above}" + (f", at most {most:,}" if most is not None else "")
    return f"{least} or more" if most is None else f"{least} to {most:,}"


if __name__ == "__main__":
    PAGE.write_text(write_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
