"""Who a request is from by the tokens of an identity provider.

Sources: OpenID Connect Discovery 1.0, sections 3 and 4; RFC 7517 (keys); RFC 8725 (algorithms are ours to choose, not
the token's); RFC 9068, section 4 (what a resource server checks).
"""

import asyncio
import hashlib
import logging
import time
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import jwt
from pydantic import BaseModel, TypeAdapter, ValidationError

from tertulia.db import accounts
from tertulia.db.database import Database
from tertulia.db.identities import Action
from tertulia.db.tables import User
from tertulia.json import clean_text
from tertulia.server.auth.jwt import PERSONAL
from tertulia.server.auth.passwords import Unfit, name_of
from tertulia.server.auth.providers import (
    Credentials,
    Identity,
    Unauthenticated,
    Unavailable,
    bearer,
    expired,
    personal,
    viewer_of,
)

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
"""With a key pair, all of them: what is public must never verify as a secret."""
LEEWAY = 30
"""Seconds by which clocks may differ."""
FRESH = 3600.0
"""Seconds after which keys are fetched again."""
FETCHES, WITHIN = 5, 60.0
"""So many fetches in so many seconds, for keys that are not known: anybody can name one."""
PATIENCE = 5.0
MOST_BYTES = 1_000_000
LOOPBACK = ("localhost", "127.0.0.1", "::1")

logger = logging.getLogger("tertulia.oidc")


class _Discovery(BaseModel):
    issuer: str
    jwks_uri: str


_KEYS: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


class Keys:
    """A provider's keys, by their ids."""

    def __init__(self, issuer: str) -> None:
        """Take the issuer; nothing is fetched yet."""
        self._issuer = issuer
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched = float("-inf")
        self._tries: deque[float] = deque([float("-inf")] * FETCHES, FETCHES)
        self._fetching = asyncio.Lock()

    async def get(self, key_id: str | None) -> jwt.PyJWK | None:
        """Give a key; None where the provider has none of that id. Raises Unavailable while nothing is known of it."""
        asked = time.monotonic()
        if asked - self._fetched > FRESH or key_id not in self._keys:
            async with self._fetching:
                # Who waited finds what was fetched meanwhile.
                if self._tries[-1] < asked and time.monotonic() - self._tries[0] > WITHIN:
                    await self._fetch()
        if not self._keys:
            raise Unavailable("The identity provider cannot be reached; try again later.")
        return self._keys.get(key_id)

    async def find(self) -> int:
        """Say how many keys the provider has; raise Unavailable where there are none."""
        await self.get(None)
        return len(self._keys)

    async def _fetch(self) -> None:
        self._tries.append(time.monotonic())
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PATIENCE)) as session:
                url = self._issuer.rstrip("/") + "/.well-known/openid-configuration"
                found = _Discovery.model_validate_json(await _get(session, url))
                if found.issuer != self._issuer or not is_safe(found.jwks_uri):
                    logger.error("The provider's discovery document names another issuer, or an unsafe address of keys")
                    return
                given = _KEYS.validate_json(await _get(session, found.jwks_uri))
        except (aiohttp.ClientError, TimeoutError, OSError, ValidationError) as error:
            # Those that are known stay good meanwhile.
            logger.warning("The provider's keys cannot be fetched: %s", error)
            return
        self._keys = {key.key_id: key for key in map(_key, given.get("keys") or ()) if key is not None}
        self._fetched = time.monotonic()


class OidcAuth:
    """People with tokens of an identity provider; each becomes a user at first sight."""

    def __init__(self, database: Database, *, issuer: str, audience: str) -> None:
        """Take where users are, and whose tokens for whom are good."""
        self._database = database
        self._issuer = issuer
        self._audience = audience
        self._keys = Keys(issuer)

    async def of(self, credentials: Credentials) -> Identity:
        """Return whose token it is; raises Unauthenticated, Unavailable."""
        token = bearer(credentials.authorization)
        if token.startswith(PERSONAL):
            return await personal(self._database, token)
        claims = await self._claims(token)
        async with self._database.read() as session:
            user = await accounts.by_subject(session, self._issuer, claims["sub"])
        if user is None:
            user = await self._welcome(claims)
        viewer = replace(viewer_of(user), claims=claims)
        return Identity(viewer, datetime.fromtimestamp(claims["exp"] + LEEWAY, UTC))

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            key = await self._keys.get(header.get("kid")) if header.get("alg") in ALGORITHMS else None
            if key is None:
                raise expired()
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
            # Cleaned, two subjects could become one; and a moment beyond the calendar cannot be compared.
            datetime.fromtimestamp(claims["exp"] + LEEWAY, UTC)
            if clean_text(claims["sub"]) != claims["sub"]:
                raise expired()
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise expired() from error
        return claims

    async def _welcome(self, claims: dict[str, Any]) -> User:
        subject = str(claims["sub"])
        name = _name(claims)
        mark = hashlib.sha256(f"{self._issuer} {subject}".encode()).hexdigest()[:8]
        async with self._database.write() as session:
            for free in (name, f"{name[:90]}-{mark}"):
                user = User(name=free, issuer=self._issuer, subject=subject)
                if await accounts.add(session, user):
                    await accounts.audit(session, Action.REGISTERED, user.id, issuer=self._issuer)
                    return user
                found = await accounts.by_subject(session, self._issuer, subject)
                if found is not None:
                    return found
        raise Unauthenticated("This account cannot be welcomed.", given=True)


def is_safe(url: str) -> bool:
    """Say whether what is fetched from there cannot be changed on its way."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


async def _get(session: aiohttp.ClientSession, url: str) -> bytes:
    async with session.get(url, allow_redirects=False) as answer:
        if answer.status != 200:  # noqa: PLR2004 - OK
            raise aiohttp.ClientError(f"{url} answers {answer.status}")
        body = await answer.content.read(MOST_BYTES)
        while piece := await answer.content.read(MOST_BYTES):
            body += piece
            if len(body) > MOST_BYTES:
                raise aiohttp.ClientError(f"{url} is too long")
        return body


def _key(given: Any) -> jwt.PyJWK | None:
    try:
        key = jwt.PyJWK(given)
    except (jwt.PyJWTError, AttributeError, TypeError, ValueError):
        return None
    return key if key.algorithm_name in ALGORITHMS and given.get("use", "sig") == "sig" else None


def _name(claims: dict[str, Any]) -> str:
    for claim in ("preferred_username", "email", "name"):
        try:
            return name_of(str(claims.get(claim) or ""))
        except Unfit:
            continue
    return "user-" + hashlib.sha256(str(claims["sub"]).encode()).hexdigest()[:12]
