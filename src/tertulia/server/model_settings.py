"""Validate the settings that name models: at the start, by `doctor`, and later if Claude was unreachable."""

import asyncio
import difflib
import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tertulia.claude.client import Claude
from tertulia.claude.connections import Deadlines, ProviderConfigurationError
from tertulia.claude.model_check import ModelCheck, check_models
from tertulia.claude.providers import PLATFORMS, Provider, model_name
from tertulia.server.assistants import model_references
from tertulia.server.environment import WrongSetting
from tertulia.server.plan_file import check_plans
from tertulia.server.provider_settings import check_usable
from tertulia.server.settings import Settings, variable_name

CHECK_AGAIN = 300.0
"""Seconds between checks while Claude is unreachable. The description of `TERTULIA_MODELS` names it."""

logger = logging.getLogger("tertulia.claude")


@dataclass(frozen=True, slots=True)
class Findings:
    """The result of a check.

    Attributes:
        errors: Problems that prevent the start, one line each.
        warnings: Problems that only disable a feature.
        unchecked: Why the models could not be checked; None if they were.
        listed: The number of models that Claude lists.
    """

    errors: list[str]
    warnings: list[str]
    unchecked: str | None = None
    listed: int = 0


async def find_wrong_models(settings: Settings, claude: Claude | None = None) -> Findings:
    """Check each setting that names a model.

    Args:
        settings: The settings. Without an API key, the models are those of the simulated Claude.
        claude: The client to use; None to open one for the check.
    """
    names = _names(settings)
    references = await asyncio.to_thread(model_references, settings)
    models = {model for _, model in names} | {reference.model for reference in references}
    errors = _unusable(settings, [*names, *((reference.place, reference.model) for reference in references)])
    if errors:
        return Findings(errors, [])
    if settings.simulated:
        from tertulia.simulator.request_rules import MODELS

        own = {model for model in models if model_name(model, Provider.ANTHROPIC).name == model}
        check = ModelCheck(frozenset(own - MODELS.keys()), frozenset(MODELS))
    elif claude is not None:
        check = await check_models(claude, models)
    else:
        async with opened(settings) as own_client:
            check = await check_models(own_client, models)
    warnings: list[str] = []
    for name, model in names:
        if model in check.missing:
            # A gateway that does not have the small model is still usable: conversations get no titles.
            is_title = name == variable_name("title_model")
            optional = is_title and "title_model" not in settings.model_fields_set
            (warnings if optional else errors).append(_line(name, model, check.listed, settings))
    errors += [
        f"TERTULIA_ASSISTANTS: {reference.place}: unknown model {_not_listed(reference.model, check.listed, settings)}"
        for reference in references
        if reference.model in check.missing
    ]
    return Findings(errors, warnings, check.unchecked, len(check.listed))


def client_of(settings: Settings, deadlines: Deadlines | None = None) -> Claude:
    """Return the client of the provider of the settings."""
    key = settings.anthropic_api_key
    return Claude(
        api_key=None if key is None else key.get_secret_value(),
        base_url=settings.anthropic_base_url,
        deadlines=deadlines,
        provider=Provider(settings.provider),
    )


@asynccontextmanager
async def opened(settings: Settings) -> AsyncGenerator[Claude]:
    """Open a client for one check."""
    claude = client_of(settings)
    try:
        yield claude
    finally:
        await claude.close()


async def check_model_settings(settings: Settings) -> None:
    """Raise WrongSetting for the first model that does not exist, or a cloud that lacks something. Log warnings."""
    async with opened(settings) as claude:
        if claude.platform.provider is not Provider.ANTHROPIC:
            try:
                await claude.connection(claude.platform.provider)
            except ProviderConfigurationError as error:
                raise WrongSetting(f"{variable_name('provider')}: {str(error).partition(chr(10))[0]}") from None
        findings = await find_wrong_models(settings, claude)
    if findings.errors:
        raise WrongSetting(findings.errors[0])
    _log(findings)


async def watch_model_settings(settings: Settings, claude: Claude) -> None:
    """Repeat the check until Claude is reachable, and log errors. The server keeps running."""
    while not settings.simulated:
        await asyncio.sleep(CHECK_AGAIN)
        findings = await find_wrong_models(settings, claude)
        for line in findings.errors:
            logger.error(line)
        if findings.unchecked is None:
            return


def _log(findings: Findings) -> None:
    for line in findings.warnings:
        logger.warning(line)
    if findings.unchecked is not None:
        logger.warning(
            "The models of the settings could not be checked; the server checks them again later: %s",
            findings.unchecked,
        )


def _names(settings: Settings) -> list[tuple[str, str]]:
    fields = [("default_model", settings.default_model), *(("models", model) for model in settings.models)]
    fields += [("fallback_models", model) for model in settings.fallback_models]
    fields += [("title_model", settings.title_model)] if settings.title_model else []
    names = [(variable_name(field), model) for field, model in fields]
    plans = check_plans(settings).values() if settings.plans else ()
    return names + [(plan.locations["models"], model) for plan in plans for model in plan.values.get("models", ())]


def _unusable(settings: Settings, models: Iterable[tuple[str, str]]) -> list[str]:
    """Return why providers of models cannot be used, one line each. `models` are the ids by where they are named."""
    main = Provider(settings.provider)
    lines: list[str] = []
    for name, model in models:
        provider = model_name(model, main).provider
        if provider is not main:
            try:
                check_usable(name, repr(model), PLATFORMS[provider], settings)
            except WrongSetting as wrong:
                lines.append(str(wrong))
    return lines


def _line(name: str, model: str, listed: Iterable[str], settings: Settings) -> str:
    return f"{name}: got {_not_listed(model, listed, settings)}"


def _not_listed(model: str, listed: Iterable[str], settings: Settings) -> str:
    close = difflib.get_close_matches(model, list(listed), 1)
    examples = f"; it must be a model such as {', '.join(sorted(listed)[:8])}." if listed else "."
    suggestion = f"; did you mean {close[0]}?" if close else examples
    main = Provider(settings.provider)
    name = model_name(model, main)
    owner = "the simulated Claude" if settings.simulated else "Claude"
    if name.provider is not Provider.ANTHROPIC:
        owner = PLATFORMS[name.provider].title
    return f"{model!r}, but {owner} has no such model{suggestion}"
