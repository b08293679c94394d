"""What the generator is given: who is asked, and on which terms."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from claude.budget import Budget
from claude.calling import Bounds
from claude.connection import Claude
from claude.files import Files
from claude.models import Models
from claude.prices import Prices
from claude.titles import Titles
from claude.toolbox import Toolbox
from claude.watch import Watch
from db.tables import now

LEASE_SECONDS = 10.0
"""How long the answers of a process that died wait for another."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """Claude, and what asking needs."""

    claude: Claude
    models: Models
    files: Files
    titles: Titles
    toolbox: Toolbox


@dataclass(frozen=True, slots=True)
class Terms:
    """How generations are run; `alone`: no other process can hold any."""

    prices: Prices
    budget: Budget
    caching: bool = True
    lease_seconds: float = LEASE_SECONDS
    alone: bool = True
    bounds: Bounds = field(default_factory=Bounds)
    watch: Watch = field(default_factory=Watch)

    def lease_end(self) -> datetime:
        """Return until when a lease holds that is written to a row now."""
        return now() + timedelta(seconds=self.lease_seconds)
