"""The services and the configuration that generations run with."""

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
from tertulia.tools.execution import Bounds
from tertulia.tools.registry import ToolRegistry

LEASE_SECONDS = 10.0
"""Seconds after which another process can take over the generations of a process that died."""


@dataclass(frozen=True, slots=True)
class EngineServices:
    """Claude, and the services that requests to it need."""

    claude: Claude
    models: Models
    files: Files
    titles: Titles
    tool_registry: ToolRegistry


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """How generations are run; `alone` means that no other process runs generations."""

    prices: Prices
    budget: Budget
    caching: bool = True
    lease_seconds: float = LEASE_SECONDS
    alone: bool = True
    bounds: Bounds = field(default_factory=Bounds)
    observer: GenerationObserver = field(default_factory=GenerationObserver)

    def lease_end(self) -> datetime:
        """Return when a lease that is written to a row now expires."""
        return now() + timedelta(seconds=self.lease_seconds)
