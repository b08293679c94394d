"""Open the hooks of the application."""

import sys
from pathlib import Path

from tertulia.hooks import Hooks, OnCall, load
from tertulia.server.environment import WrongSetting
from tertulia.server.settings import Settings


def open_hooks(settings: Settings, source: object = None, on_call: OnCall | None = None) -> Hooks:
    """Return the hooks of `source` or, if it is None, those of the module that the setting names.

    Raises:
        WrongSetting: The module cannot be imported, or one of its hooks is wrong.
    """
    if source is not None or settings.hooks is None:
        return Hooks(source, on_call)
    add_working_directory()
    try:
        return Hooks(load(settings.hooks), on_call)
    except ValueError as error:
        raise WrongSetting(f"TERTULIA_HOOKS: got {settings.hooks!r}; {error}.") from None


def add_working_directory() -> None:
    """Add the working directory to the import path, as `python -m` does.

    Operators keep their modules next to their `.env`.
    """
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
