"""The roles that a token of an identity provider gives to its user."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tertulia.claims import claim_values
from tertulia.viewer import OPERATOR


@dataclass(frozen=True, slots=True)
class TokenRoles:
    """Reads the roles of a token.

    Attributes:
        claim: The claim that names the roles of a user, as for `claim_values`. Empty: tokens give no roles.
        operator: The value of the claim that gives the role `operator`.
    """

    claim: str = ""
    operator: str = OPERATOR

    def of(self, claims: Mapping[str, Any]) -> frozenset[str]:
        """Return the roles that the claims of a valid token give."""
        is_operator = bool(self.claim) and self.operator in claim_values(claims, self.claim)
        return frozenset({OPERATOR}) if is_operator else frozenset()
