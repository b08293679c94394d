"""The services and the configuration of generations."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tertulia.attachments.files import Files
from tertulia.billing.budget import Budget
from tertulia.billing.prices import Prices
from tertulia.claude.client import Claude
from tertulia.claude.models import Models
from tertulia.db.tables import now
from tertulia.generation.observer import GenerationObserver
from tertulia.generation.titles import Titles
from tertulia.hooks import Hooks
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
    hooks: Hooks = field(default_factory=Hooks)


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
        observer: Is notified of the lifecycle of generations.
    """

    prices: Prices
    budget: Budget
    caching: bool = True
    lease_seconds: float = LEASE_SECONDS
    alone: bool = True
    bounds: Bounds = field(default_factory=Bounds)
    observer: GenerationObserver = field(default_factory=GenerationObserver)

    def lease_end(self) -> datetime:
        """Return the expiry of a lease that begins now."""
        return now() + timedelta(seconds=self.lease_seconds)
