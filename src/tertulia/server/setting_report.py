"""The values of the settings without secrets, for operators."""

from typing import Any, cast
from urllib.parse import urlsplit

from tertulia.resolvers.server_info import SettingValue
from tertulia.server.settings import Settings, variable_name

UNREADABLE = "(an address)"


def describe_settings(settings: Settings) -> list[SettingValue]:
    """Return all settings by the names of their variables. Passwords and queries of addresses are left out."""
    described = [
        SettingValue(
            variable_name(name),
            None if _is_secret(field.annotation) else _text(getattr(settings, name)),
            is_set=getattr(settings, name) is not None,
            is_secret=_is_secret(field.annotation),
            is_default=getattr(settings, name) == field.default,
        )
        for name, field in Settings.model_fields.items()
    ]
    return sorted(described, key=lambda setting: setting.name)


def _is_secret(annotation: Any) -> bool:
    return "Secret" in str(annotation)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        # The content may be long, such as documents or prices.
        return f"{len(cast('dict[str, Any]', value))} entries"
    if isinstance(value, str):
        return _without_secrets(value)
    if isinstance(value, tuple):
        return ", ".join(map(_item, cast("tuple[object, ...]", value)))
    return str(value)


def _item(item: object) -> str:
    # The tools of an application that embeds the server can be functions.
    return _without_secrets(item) if isinstance(item, str) else str(getattr(item, "__name__", type(item).__name__))


def _without_secrets(text: str) -> str:
    """Return a text without the user, the password, the query and the fragment, if it is an address."""
    if "://" not in text:
        return text
    try:
        parts = urlsplit(text)
    except ValueError:
        return UNREADABLE
    # Addresses of clusters have several hosts, separated by commas.
    hosts = ",".join(host.rpartition("@")[2] for host in parts.netloc.split(","))
    return f"{parts.scheme}://{hosts}{parts.path}"
