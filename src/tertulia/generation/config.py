"""The services and the configuration of generations."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tertulia.attachments.files import Files
from tertulia.attachments.generated_files import GeneratedFiles
from tertulia.billing.budget import Budget
from tertulia.billing.prices import Prices
from tertulia.claude.client import Claude
from tertulia.claude.models import Models
from tertulia.claude.providers import Provider, model_name
from tertulia.db.tables import now
from tertulia.generation.observer import GenerationObserver
from tertulia.generation.titles import Titles
from tertulia.hooks import Hooks
from tertulia.json import Json
from tertulia.tools.execution import Bounds
from tertulia.tools.registry import ToolRegistry

LEASE_SECONDS = 10.0
"""Seconds after which another process can take over the generations of a process that died."""


@dataclass(frozen=True, slots=True)
class EngineServices:
    """The client of the Messages API, the services that build its requests, and the hooks of the application."""

    claude: Claude
    models: Models
    files: Files
    titles: Titles
    tool_registry: ToolRegistry
    generated_files: GeneratedFiles
    hooks: Hooks = field(default_factory=Hooks)


@dataclass(frozen=True, slots=True)
class ContinuationPolicy:
    """Which interrupted answers are continued.

    Attributes:
        enabled: Whether any are.
        attempts: The number of continuations of one answer.
        seconds: The age of an answer, since its first token, from which on it is not continued.
        fallbacks: The models that answer or continue when the model before them is overloaded or refuses, in order.
        provider: The provider of models whose ids name none.
    """

    enabled: bool = True
    attempts: int = 5
    seconds: float = 1800.0
    fallbacks: tuple[str, ...] = ()
    provider: Provider = Provider.ANTHROPIC

    def allows(self, options: Json) -> bool:
        """Return whether an answer with these options may be continued."""
        return self.enabled and options.get("continue_interrupted") is not False

    def fallbacks_of(self, model: str, options: Json) -> Sequence[str]:
        """Return the models that continue when `model` is overloaded or refuses, in order."""
        models: Sequence[str] = options.get("fallbacks") or self.fallbacks
        return models[models.index(model) + 1 :] if model in models else models

    def fallbacks_elsewhere(self, model: str, options: Json) -> Sequence[str]:
        """Return those of the fallback models that have another provider than `model`, in order."""
        here = self._provider_of(model)
        return [fallback for fallback in self.fallbacks_of(model, options) if self._provider_of(fallback) != here]

    def _provider_of(self, model: str) -> Provider:
        return model_name(model, self.provider).provider

    def allows_another(self, attempts: int, begun_at: datetime) -> bool:
        """Return whether an answer that has been continued `attempts` times may be continued again."""
        return attempts < self.attempts and now() - begun_at < timedelta(seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """How generations are run.

    Attributes:
        prices: The prices of models.
        budget: The budgets of the users and of the server.
        caching: Whether requests use Claude's prompt cache.
        lease_seconds: The duration of a lease.
        alone: Whether no other process runs generations of this database.
        bounds: The limits of tool calls.
        continuation: Which interrupted answers are continued.
        observer: Is notified of the lifecycle of generations.
    """

    prices: Prices
    budget: Budget
    caching: bool = True
    lease_seconds: float = LEASE_SECONDS
    alone: bool = True
    bounds: Bounds = field(default_factory=Bounds)
    continuation: ContinuationPolicy = field(default_factory=ContinuationPolicy)
    observer: GenerationObserver = field(default_factory=GenerationObserver)

    def lease_end(self) -> datetime:
        """Return the expiry of a lease that begins now."""
        return now() + timedelta(seconds=self.lease_seconds)
