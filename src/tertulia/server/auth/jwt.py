"""The tokens of the mode `password`: short-lived access tokens, and rotating refresh tokens.

Sources: RFC 9068 (access tokens as JWT), RFC 9700 (rotation of refresh tokens), RFC 8725 (one algorithm, types).
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

ALGORITHM = "HS256"
ISSUER = "tertulia"
ACCESS_LIFETIME = timedelta(minutes=10)
REFRESH_LIFETIME = timedelta(days=30)
"""From the last refresh."""
ACCESS, REFRESH = "at+jwt", "rt+jwt"


class BadToken(Exception):
    """A token that this server has not signed, or that has expired."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of an access or refresh token."""

    user_id: UUID
    sign_in_id: UUID
    rotation: int
    expires_at: datetime


class Tokens:
    """Signs and verifies tokens."""

    def __init__(self, secret: str, *fallbacks: str) -> None:
        """Derive the keys from `secret`, which signs, and from `fallbacks`, whose tokens are accepted as well."""
        self._keys = _derived(secret)
        self._fallbacks = [_derived(fallback) for fallback in fallbacks]

    def access(self, user_id: UUID, sign_in_id: UUID) -> str:
        """Return a new access token."""
        return self._sign(ACCESS, user_id, sign_in_id, ACCESS_LIFETIME)

    def refresh(self, user_id: UUID, sign_in_id: UUID, rotation: int) -> str:
        """Return the refresh token of a rotation."""
        return self._sign(REFRESH, user_id, sign_in_id, REFRESH_LIFETIME, rotation=rotation)

    def read(self, token: str, kind: str) -> Claims:
        """Return the claims of a token.

        Args:
            token: The token.
            kind: The type that it must have: `ACCESS` or `REFRESH`.

        Raises:
            BadToken: The token is invalid, or has expired.
        """
        import jwt

        try:
            if jwt.get_unverified_header(token).get("typ") != kind:
                raise BadToken
            claims = self._decode(token, kind)
            expires_at = datetime.fromtimestamp(claims["exp"], UTC)
            return Claims(UUID(claims["sub"]), UUID(claims["sid"]), int(claims.get("rotation", 0)), expires_at)
        except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
            raise BadToken from error

    def _decode(self, token: str, kind: str) -> dict[str, Any]:
        import jwt

        required = ["exp", "sub", "sid", "iss", "aud"]
        for keys in (self._keys, *self._fallbacks):
            try:
                claims: dict[str, Any] = jwt.decode(
                    token,
                    keys[kind],
                    algorithms=[ALGORITHM],
                    issuer=ISSUER,
                    audience=ISSUER,
                    options={"require": required},
                )
            except jwt.InvalidSignatureError:
                continue
            return claims
        raise BadToken

    def _sign(self, kind: str, user_id: UUID, sign_in_id: UUID, lifetime: timedelta, **extra_claims: int) -> str:
        import jwt

        issued_at = datetime.now(UTC)
        claims = {
            "iss": ISSUER,
            "aud": ISSUER,
            "sub": str(user_id),
            "sid": str(sign_in_id),
            "iat": issued_at,
            "exp": issued_at + lifetime,
            "jti": secrets.token_hex(8),
            **extra_claims,
        }
        return jwt.encode(claims, self._keys[kind], ALGORITHM, headers={"typ": kind})


def _derived(secret: str) -> dict[str, bytes]:
    """Return a key for each type, so that a token is never accepted as one of the other type."""
    return {kind: hashlib.sha256(f"{kind} {secret}".encode()).digest() for kind in (ACCESS, REFRESH)}
