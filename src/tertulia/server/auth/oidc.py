"""Authentication by the tokens of an identity provider.

Sources: OpenID Connect Discovery 1.0, sections 3 and 4; RFC 7517 (keys); RFC 8725 (the server chooses the algorithms,
not the token); RFC 9068, section 4 (what a resource server checks).
"""

import asyncio
import hashlib
import logging
import time
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import jwt
from pydantic import BaseModel, TypeAdapter, ValidationError

from tertulia.db import accounts
from tertulia.db.credentials import PERSONAL
from tertulia.db.database import Database
from tertulia.db.identities import Action
from tertulia.db.tables import User, now
from tertulia.json import clean_text
from tertulia.server.auth.passwords import Unfit, name_of
from tertulia.server.auth.providers import (
    Credentials,
    Identity,
    Unauthenticated,
    Unavailable,
    bearer,
    expired,
    personal,
    require_enabled,
    viewer_of,
)
from tertulia.server.auth.roles import TokenRoles
from tertulia.server.auth.token_uses import TokenUses

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
"""Asymmetric algorithms only: a public key must never verify as a shared secret."""
LEEWAY = 30
"""Seconds of clock skew."""
REFETCH_AFTER = 3600.0
"""Seconds after which keys are fetched again."""
MAX_FETCHES, FETCH_WINDOW = 5, 60.0
"""The number of fetches within so many seconds: any client can send unknown key ids."""
TIMEOUT_SECONDS = 5.0
"""Seconds for a response of the provider."""
MAX_BYTES = 1_000_000
"""Bytes of a response of the provider."""
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
"""The event of logout tokens, which sign nobody in (OpenID Connect Back-Channel Logout 1.0)."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")

logger = logging.getLogger("tertulia.oidc")


class _Discovery(BaseModel):
    issuer: str
    jwks_uri: str


_KEYS: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


class Keys:
    """Fetches and caches a provider's keys, by id."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._fetch_times: deque[float] = deque([float("-inf")] * MAX_FETCHES, MAX_FETCHES)
        self._fetching = asyncio.Lock()

    async def get(self, key_id: str | None) -> jwt.PyJWK | None:
        """Return a key; None if the provider has none with this id. Raises Unavailable if none were ever fetched."""
        start = time.monotonic()
        if start - self._fetched_at > REFETCH_AFTER or key_id not in self._keys:
            async with self._fetching:
                # Another task may have fetched while this one waited for the lock.
                if self._fetch_times[-1] < start and time.monotonic() - self._fetch_times[0] > FETCH_WINDOW:
                    await self._fetch()
        if not self._keys:
            raise Unavailable("The keys of the identity provider cannot be fetched. Try again later.")
        return self._keys.get(key_id)

    async def find(self) -> int:
        """Return how many keys the provider has; raise Unavailable if none can be fetched."""
        await self.get(None)
        return len(self._keys)

    async def _fetch(self) -> None:
        self._fetch_times.append(time.monotonic())
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(TIMEOUT_SECONDS)) as session:
                url = self._issuer.rstrip("/") + "/.well-known/openid-configuration"
                discovery = _Discovery.model_validate_json(await _get(session, url))
                if discovery.issuer != self._issuer or not is_safe(discovery.jwks_uri):
                    logger.error(
                        "The discovery document %s must name the issuer %s and an HTTPS address of keys; "
                        "it names %s and %s. Correct TERTULIA_OIDC_ISSUER",
                        *(url, self._issuer, discovery.issuer, discovery.jwks_uri),
                    )
                    return
                key_set = _KEYS.validate_json(await _get(session, discovery.jwks_uri))
        except (aiohttp.ClientError, TimeoutError, OSError, ValidationError) as error:
            # The keys that were fetched before stay valid.
            logger.warning("The keys of the identity provider %s cannot be fetched: %s", self._issuer, error)
            return
        self._keys = {key.key_id: key for key in map(_key, key_set.get("keys") or ()) if key is not None}
        self._fetched_at = time.monotonic()


class OidcAuth:
    """Authenticates users by tokens of an identity provider. A user is added at the first request."""

    def __init__(
        self,
        database: Database,
        uses: TokenUses,
        *,
        issuer: str,
        audience: str,
        roles: TokenRoles | None = None,
        personal_token_days: float | None = None,
    ) -> None:
        """Accept tokens that `issuer` has signed for `audience`.

        Args:
            database: The database.
            uses: Stores the uses of tokens.
            issuer: The issuer.
            audience: The audience.
            roles: Reads the roles of tokens.
            personal_token_days: The days after a user's last sign-in for which personal access tokens work.
        """
        self._database = database
        self._uses = uses
        self._roles = roles or TokenRoles()
        self._signed_in_within = None if personal_token_days is None else timedelta(days=personal_token_days)
        self.issuer = issuer
        self.audience = audience
        self._keys = Keys(issuer)

    async def of(self, credentials: Credentials) -> Identity:
        """Return the identity of the token; raises Unauthenticated, Unavailable."""
        token = bearer(credentials.authorization)
        if token.startswith(PERSONAL):
            return await personal(self._database, token, self._signed_in_within)
        claims = await self.claims_of(token)
        if LOGOUT_EVENT in str(claims.get("events")):
            raise expired()
        user = await self.user_of(claims)
        if user is None:
            if credentials.is_recheck:
                raise expired()
            user = await self._add_user(claims)
        elif user.signed_out_at is not None and _issued_at(claims) < user.signed_out_at.timestamp():
            raise expired()
        else:
            await self._uses.store(user, claims, signed_in=True)
        stored = viewer_of(user)
        roles = stored.roles | self._roles.of(claims)
        viewer = replace(stored, claims=claims, roles=roles, signed_in=True)
        return Identity(viewer, datetime.fromtimestamp(claims["exp"] + LEEWAY, UTC))

    async def user_of(self, claims: dict[str, Any]) -> User | None:
        """Return the user of a valid token; None if there is none yet. Raise Unauthenticated if it is disabled."""
        async with self._database.read() as session:
            user = await accounts.by_subject(session, self.issuer, claims["sub"])
        if user is not None:
            require_enabled(user)
        return user

    async def claims_of(self, token: str, audience: str | None = None) -> dict[str, Any]:
        """Return the claims of a valid token.

        Args:
            token: The token.
            audience: The audience that it must name; None for that of the server.

        Raises:
            Unauthenticated: The token is not valid.
            Unavailable: The keys of the provider cannot be fetched.
        """
        try:
            header = jwt.get_unverified_header(token)
            key = await self._keys.get(header.get("kid")) if header.get("alg") in ALGORITHMS else None
            if key is None:
                raise expired()
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=self.issuer,
                audience=audience or self.audience,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
            # Cleaning could turn two subjects into the same one. A time beyond the calendar raises OverflowError.
            datetime.fromtimestamp(claims["exp"] + LEEWAY, UTC)
            if clean_text(claims["sub"]) != claims["sub"]:
                raise expired()
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise expired() from error
        return claims

    async def _add_user(self, claims: dict[str, Any]) -> User:
        subject = str(claims["sub"])
        name = _name(claims)
        suffix = hashlib.sha256(f"{self.issuer} {subject}".encode()).hexdigest()[:8]
        async with self._database.write() as session:
            for candidate in (name, f"{name[:90]}-{suffix}"):
                user = User(name=candidate, issuer=self.issuer, subject=subject, signed_in_at=now())
                user.usage_group = self._uses.group_of(claims)
                if await accounts.add(session, user):
                    await accounts.audit(session, Action.REGISTERED, user.id, issuer=self.issuer)
                    return user
                existing = await accounts.by_subject(session, self.issuer, subject)
                if existing is not None:
                    return existing
        raise Unauthenticated("No user can be added for this token: its names are taken.", token_sent=True)


def is_safe(url: str) -> bool:
    """Return whether responses from a URL cannot be manipulated on the way: HTTPS, or a loopback address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


async def _get(session: aiohttp.ClientSession, url: str) -> bytes:
    async with session.get(url, allow_redirects=False) as response:
        if response.status != HTTPStatus.OK:
            raise aiohttp.ClientError(f"{url} returned the status {response.status}")
        return await read_body(response)


async def read_body(response: aiohttp.ClientResponse) -> bytes:
    """Return the body of a response; raise ClientError if it is too large."""
    body = await response.content.read(MAX_BYTES)
    while piece := await response.content.read(MAX_BYTES):
        body += piece
        if len(body) > MAX_BYTES:
            raise aiohttp.ClientError(f"{response.url} returned more than {MAX_BYTES:,} bytes")
    return body


def _key(jwk: Any) -> jwt.PyJWK | None:
    try:
        key = jwt.PyJWK(jwk)
    except (jwt.PyJWTError, AttributeError, TypeError, ValueError):
        return None
    return key if key.algorithm_name in ALGORITHMS and jwk.get("use", "sig") == "sig" else None


def _issued_at(claims: dict[str, Any]) -> float:
    issued_at = claims.get("iat")
    # Without the claim, the token may be older than any sign-out.
    return issued_at if isinstance(issued_at, int | float) else 0.0


def _name(claims: dict[str, Any]) -> str:
    for claim in ("preferred_username", "email", "name"):
        try:
            return name_of(str(claims.get(claim) or ""))
        except Unfit:
            continue
    return "user-" + hashlib.sha256(str(claims["sub"]).encode()).hexdigest()[:12]
