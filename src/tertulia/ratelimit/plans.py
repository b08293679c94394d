"""Plans: named sets of limits, and what their viewers may use. Each viewer has one."""

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

from tertulia.claims import claim_values, is_left_out
from tertulia.ratelimit.limits import Limits, Rate

DEFAULT = "default"
"""The name of the plan of viewers who have no other one."""
CLAIM = "plan"
MOST_REPORTED, MOST_CHARACTERS = 100, 100
"""How many unknown names of plans are logged, and how many characters of each."""

logger = logging.getLogger("tertulia.plans")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The limits of a viewer, and what the viewer may use. None means no limit, or everything that the server has.

    `groups` are the values of the claim that give viewers this plan; None for the name of the plan.
    """

    name: str = DEFAULT
    groups: tuple[str, ...] | None = None
    requests: Rate | None = None
    messages: Rate | None = None
    uploads: Rate | None = None
    concurrent_answers: int | None = None
    sockets: int | None = None
    monthly_budget_usd: Decimal | None = None
    daily_tokens: int | None = None
    models: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None
    assistants: tuple[str, ...] | None = None

    def is_of(self, values: Collection[str]) -> bool:
        """Return whether these values of the claim give the plan."""
        return any(group in values for group in ((self.name,) if self.groups is None else self.groups))

    def limits(self, base: Limits) -> Limits:
        """Return the limits of the plan, which are counted like `base`."""
        return replace(
            base,
            requests=self.requests,
            sends=self.messages,
            uploads=self.uploads,
            generations=self.concurrent_answers,
            sockets=self.sockets,
        )

    def allows_tool(self, name: str) -> bool:
        """Return whether Claude may use this tool of the server."""
        return self.tools is None or any(fnmatchcase(name, pattern) for pattern in self.tools)


class Plans:
    """The plans of a server."""

    def __init__(self, plans: Iterable[Plan] = (), *, default: Plan | None = None, claim: str = CLAIM) -> None:
        """Initialize with plans of different names.

        Args:
            plans: The plans. One named `default` replaces the argument `default`.
            default: The plan of viewers without one.
            claim: The claim of viewers that names their plan or their groups, as for `claim_values`.
        """
        self._plans = {plan.name: plan for plan in plans}
        self._default = self._plans.get(DEFAULT) or default or Plan()
        self._claim = claim
        self._reported = set[str]()

    def replace(self, plans: "Plans") -> None:
        """Replace all plans. Viewers have the new ones from their next request on."""
        self._plans = {plan.name: plan for plan in plans.all} if plans.names else {}
        self._default = plans.of(None)
        self._reported.clear()

    @property
    def names(self) -> list[str]:
        """The names of the plans. Empty if the server has none, so that all viewers have the limits of its settings."""
        return sorted({DEFAULT, *self._plans}) if self._plans else []

    @property
    def all(self) -> list[Plan]:
        """The plans, including the default one."""
        return [self._default, *(plan for name, plan in self._plans.items() if name != DEFAULT)]

    def of(self, name: str | None) -> Plan:
        """Return the plan with a name; the default plan if there is none."""
        return self._default if name is None else self._plans.get(name, self._default)

    def of_viewer(self, assigned: str | None, claims: Mapping[str, Any]) -> Plan:
        """Return the plan of a viewer.

        Args:
            assigned: The plan that the operator has assigned to the user, which comes first.
            claims: The claims of the viewer's token, or those that `authenticate` returned.
        """
        if not self._plans:
            return self._default
        if assigned is None:
            return self._of_claims(claims)
        if assigned not in self._plans and assigned != DEFAULT:
            self._report_unknown(assigned)
        return self.of(assigned)

    def _of_claims(self, claims: Mapping[str, Any]) -> Plan:
        values = claim_values(claims, self._claim)
        for plan in self._plans.values():
            if plan.name != DEFAULT and plan.is_of(values):
                return plan
        if is_left_out(claims, self._claim):
            self._report(
                self._claim,
                "The claim %s is left out of tokens of users with many groups, so they have the plan %s. Let the "
                "provider send fewer groups, or roles",
            )
        elif isinstance(claims.get(self._claim), str) and values != (DEFAULT,):
            # Lists also contain groups that have nothing to do with plans.
            self._report_unknown(values[0])
        return self._default

    def _report_unknown(self, name: str) -> None:
        self._report(repr(name)[:MOST_CHARACTERS], "TERTULIA_PLANS has no plan %s, so its viewers have the plan %s")

    def _report(self, name: str, message: str) -> None:
        if name not in self._reported and len(self._reported) < MOST_REPORTED:
            self._reported.add(name)
            logger.warning(message, name, DEFAULT)
