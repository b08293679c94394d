"""The configuration of the server for operators. Only `server` reads the settings."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SettingValue:
    """A setting. `value` is None if it is not set, and for secrets."""

    name: str
    value: str | None
    is_set: bool
    is_secret: bool
    is_default: bool


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """The settings of the server, and what operators see of single ones. `audit_days` is None for no limit."""

    settings: Sequence[SettingValue] = ()
    audit_days: float | None = None
    operators_may_read: bool = False
