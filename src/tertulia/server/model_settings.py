"""Check the settings that name models: at the start, later where Claude could not be asked, and by `doctor`."""

import asyncio
import difflib
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from tertulia.claude.client import Claude
from tertulia.claude.model_check import ModelCheck, check_models
from tertulia.server.environment import WrongSetting
from tertulia.server.settings import Settings, variable_name

CHECK_AGAIN = 300.0
"""Seconds after which Claude, who could not be asked at the start, is asked again."""

logger = logging.getLogger("tertulia.claude")


@dataclass(frozen=True, slots=True)
class Findings:
    """What is wrong with the settings, in a line each: what stops a start, and what only costs something."""

    errors: list[str]
    warnings: list[str]
    unchecked: str | None = None
    listed: int = 0


async def find_wrong_models(settings: Settings, claude: Claude | None = None) -> Findings:
    """Check each setting that names a model, with the simulated Claude's list where no key is set."""
    names = _names(settings)
    wanted = {model for _, model in names}
    if settings.anthropic_api_key is None:
        from tertulia.simulator.request_rules import MODELS

        found = ModelCheck(frozenset(wanted - MODELS.keys()), frozenset(MODELS))
    elif claude is not None:
        found = await check_models(claude, wanted)
    else:
        key = settings.anthropic_api_key.get_secret_value()
        claude = Claude(api_key=key, base_url=settings.anthropic_base_url)
        try:
            found = await check_models(claude, wanted)
        finally:
            await claude.close()
    errors: list[str] = []
    warnings: list[str] = []
    for field, model in names:
        if model in found.missing:
            # A gateway that does not have the small model is still usable: conversations get no titles.
            optional = field == "title_model" and field not in settings.model_fields_set
            (warnings if optional else errors).append(_line(field, model, found.listed, settings))
    return Findings(errors, warnings, found.unchecked, len(found.listed))


async def check_model_settings(settings: Settings) -> None:
    """Raise WrongSetting for the first model that does not exist; log what else is found."""
    found = await find_wrong_models(settings)
    if found.errors:
        raise WrongSetting(found.errors[0])
    _log(found)


async def watch_model_settings(settings: Settings, claude: Claude) -> None:
    """Check again, until Claude could be asked: the server goes on, and the log names the setting."""
    while settings.anthropic_api_key is not None:
        await asyncio.sleep(CHECK_AGAIN)
        found = await find_wrong_models(settings, claude)
        for line in found.errors:
            logger.error(line)
        if found.unchecked is None:
            return


def _log(found: Findings) -> None:
    for line in found.warnings:
        logger.warning(line)
    if found.unchecked is not None:
        logger.warning("Whether the models of the settings exist could not be checked: %s", found.unchecked)


def _names(settings: Settings) -> list[tuple[str, str]]:
    names = [("default_model", settings.default_model), *(("models", model) for model in settings.models)]
    return [*names, ("title_model", settings.title_model)] if settings.title_model else names


def _line(field: str, model: str, listed: Iterable[str], settings: Settings) -> str:
    close = difflib.get_close_matches(model, list(listed), 1)
    some = f", such as {', '.join(sorted(listed)[:8])}." if listed else "."
    suggestion = f"; did you mean {close[0]}?" if close else some
    whose = "the simulated Claude has" if settings.simulated else "Claude has"
    return f"{variable_name(field)}: got {model!r}, and there is no such model; takes one that {whose}{suggestion}"
