"""Check the settings of providers without a request: what they need, and what they do not offer."""

from collections.abc import Iterable

from tertulia.claude.providers import PLATFORMS, SERVER_TOOLS, ModelName, Platform, Provider, model_name
from tertulia.extras import MissingExtraError, require_extra
from tertulia.server.environment import WrongSetting
from tertulia.server.settings import Settings, variable_name

UNNAMED = (Provider.BEDROCK, Provider.BEDROCK_MANTLE)
"""The providers that have no model with the name of the default one."""


def check_providers(settings: Settings) -> None:
    """Check the provider of the settings, and those that their models name.

    Raises:
        WrongSetting: A provider needs an extra, a variable or a model, or offers none of the configured tools.
    """
    main = Provider(settings.provider)
    own = model_name(settings.default_model, main)
    if main is not Provider.ANTHROPIC:
        check_usable(variable_name("provider"), repr(settings.provider), PLATFORMS[main], settings)
    if main in UNNAMED and "default_model" not in settings.model_fields_set:
        example = PLATFORMS[main].example
        raise WrongSetting(
            f"{variable_name('default_model')}: is required with TERTULIA_PROVIDER={main}, such as {example}."
        )
    for field in ("default_model", "models", "fallback_models", "title_model"):
        value: str | tuple[str, ...] = getattr(settings, field)
        for model_id in (value,) if isinstance(value, str) else value:
            model = model_name(model_id, main)
            if model.provider is not main:
                check_usable(variable_name(field), repr(model_id), model.platform, settings)
    _check_tools(settings, [own, *(model_name(model_id, main) for model_id in settings.models)])


def check_usable(variable: str, value: str, platform: Platform, settings: Settings) -> None:
    """Raise WrongSetting if a provider that a value of a setting names needs an extra or a variable."""
    try:
        if platform.extra is not None:
            require_extra(platform.extra, platform.title)
    except MissingExtraError as missing:
        raise WrongSetting(f"{variable}: {missing}") from None
    needed = platform.missing_variables()
    if platform.provider is Provider.ANTHROPIC and settings.anthropic_api_key is None:
        needed = (variable_name("anthropic_api_key"),)
    if needed is not None:
        raise WrongSetting(f"{variable}: got {value}; {platform.title} needs {' or '.join(needed)}.")


def _check_tools(settings: Settings, models: Iterable[ModelName]) -> None:
    platforms = [model.platform for model in models]
    for tool in settings.tools:
        if tool in SERVER_TOOLS and not any(tool in platform.server_tools for platform in platforms):
            raise WrongSetting(f"{variable_name('tools')}: got {tool!r}, which {platforms[0].title} does not offer.")
