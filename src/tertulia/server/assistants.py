"""Open the assistants that the operator configures."""

from pathlib import Path

from tertulia.assistants.catalog import EVERYTHING, AssistantCatalog
from tertulia.assistants.definition import AssistantError, ClientSetting, ModelReference
from tertulia.server.environment import WrongSetting
from tertulia.server.settings import Settings
from tertulia.tools.registry import ToolRegistry

BY_DEFAULT = frozenset({ClientSetting.MODEL, ClientSetting.OPTIONS})
"""The settings that clients may set without assistants, except in the mode `local`."""


def create_catalog(
    settings: Settings, tool_registry: ToolRegistry | None = None, *, many_users: bool = True
) -> AssistantCatalog:
    """Return the catalog of the settings, which is not loaded.

    Args:
        settings: The settings.
        tool_registry: The tools that assistants can name; None to accept all names.
        many_users: Whether clients may set less by default.
    """
    default = BY_DEFAULT if many_users else EVERYTHING
    choices = settings.clients_may_set
    return AssistantCatalog(
        None if settings.assistants is None else Path(settings.assistants),
        clients_may_set=default if choices is None else frozenset(map(ClientSetting, choices)),
        tool_names=None if tool_registry is None else lambda: [offer.name for offer in tool_registry.offers()],
        allowed_models=(settings.default_model, *settings.models) if settings.models else (),
    )


def open_assistants(settings: Settings, tool_registry: ToolRegistry, *, many_users: bool) -> AssistantCatalog:
    """Return the assistants. Raise WrongSetting if a file is not valid. This call blocks."""
    catalog = create_catalog(settings, tool_registry, many_users=many_users)
    try:
        catalog.load()
    except AssistantError as error:
        raise WrongSetting(f"TERTULIA_ASSISTANTS: {error}") from None
    return catalog


def model_references(settings: Settings) -> list[ModelReference]:
    """Return the models that assistants name; none if a file is not valid. This call blocks."""
    catalog = create_catalog(settings)
    if settings.assistants is None or catalog.problems():
        return []
    catalog.refresh()
    return [reference for assistant in catalog.all() for reference in assistant.model_references]
