"""Sign users out at the request of the identity provider: OpenID Connect Back-Channel Logout 1.0."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

from tertulia.db import accounts
from tertulia.db.database import Database
from tertulia.db.identities import Action
from tertulia.resolvers.context import StoredViewer
from tertulia.server.auth.forms import BadForm
from tertulia.server.auth.oidc import LOGOUT_EVENT, OidcAuth
from tertulia.server.auth.providers import Unauthenticated, viewer_of


class BackchannelLogout:
    """Refuses the tokens of users whom the identity provider has signed out."""

    def __init__(self, database: Database, auth: OidcAuth, client_id: str) -> None:
        """Initialize with what checks the provider's tokens, and the client that logout tokens must name."""
        self._database = database
        self._auth = auth
        self._client_id = client_id

    async def sign_out(self, logout_token: str, address: str) -> StoredViewer | None:
        """Sign out the user of a logout token; return the user, or None if there is nothing to do.

        Raises:
            BadForm: The token is not a logout token of the provider for this server.
            Unavailable: The keys of the provider cannot be fetched.
        """
        claims = await self._claims(logout_token)
        # Tokens that were issued in the same second are refused too. A repeated logout token changes nothing.
        until = datetime.fromtimestamp(max(int(claims["iat"]), 0), UTC) + timedelta(seconds=1)
        async with self._database.write() as session:
            user = await accounts.by_subject(session, self._auth.issuer, claims["sub"])
            if user is None or (user.signed_out_at is not None and user.signed_out_at >= until):
                return None
            await accounts.end_provider_tokens(session, user.id, until)
            await accounts.audit(session, Action.SIGNED_OUT, user.id, address, issuer=self._auth.issuer)
        return viewer_of(user)

    async def _claims(self, logout_token: str) -> dict[str, Any]:
        """Return the claims of a logout token (section 2.6)."""
        try:
            claims = await self._auth.claims_of(logout_token, self._client_id)
        except Unauthenticated:
            raise BadForm("`logout_token` must be a valid token of the identity provider, with `sub`.") from None
        events, issued_at = claims.get("events"), claims.get("iat")
        is_logout = isinstance(events, dict) and isinstance(cast("dict[str, Any]", events).get(LOGOUT_EVENT), dict)
        if not is_logout or "nonce" in claims or not isinstance(issued_at, int | float):
            raise BadForm(f"`logout_token` must have `iat` and the event {LOGOUT_EVENT}, and no `nonce`.")
        return claims
