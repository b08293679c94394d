"""The viewer's own credentials: sign-ins on devices, and personal access tokens."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.identities import PersonalToken, SignIn
from tertulia.db.tables import METADATA, now

PERSONAL = "tertulia_"
"""The prefix of personal access tokens, by which scanners for leaked secrets recognize them."""
USED_EVERY = timedelta(hours=1)
"""How often the last use of a personal access token is stored at most, so that few requests write."""
LONGEST_USER_AGENT = 300
"""The characters of a `User-Agent` that are stored."""
MOST_SIGN_INS = 100
"""The maximum number of sign-ins in a list. Sign-ins end after 30 days without use."""

_SIGN_INS = METADATA.tables["sign_ins"]
_TOKENS = METADATA.tables["personal_tokens"]


def new_personal_token() -> str:
    """Return a new personal access token with 256 random bits."""
    return PERSONAL + secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """Return the digest of a personal access token, which is what the database stores."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


async def sign_ins_of(session: AsyncSession, owner: UUID) -> Sequence[SignIn]:
    """Return an owner's newest active sign-ins, newest first."""
    query = select(SignIn).where(_is_active_of(owner)).order_by(col(SignIn.id).desc()).limit(MOST_SIGN_INS)
    return (await session.exec(query)).all()


async def revoke_sign_in(session: AsyncSession, owner: UUID, sign_in_id: UUID) -> bool:
    """Revoke an active sign-in of the owner. Return whether it existed."""
    which = and_(col(SignIn.id) == sign_in_id, _is_active_of(owner))
    return bool((await session.exec(update(_SIGN_INS).where(which).values(revoked_at=now()))).rowcount)


async def valid_tokens_of(session: AsyncSession, owner: UUID) -> Sequence[PersonalToken]:
    """Return an owner's personal access tokens that have not expired, newest first."""
    query = select(PersonalToken).where(_is_valid_of(owner)).order_by(col(PersonalToken.id).desc())
    return (await session.exec(query)).all()


async def count_valid_tokens(session: AsyncSession, owner: UUID) -> int:
    """Return the number of an owner's personal access tokens that have not expired."""
    return (await session.exec(select(func.count()).select_from(PersonalToken).where(_is_valid_of(owner)))).one()


async def mark_used(session: AsyncSession, digest: str) -> None:
    """Store that a personal access token is used now."""
    await session.exec(update(_TOKENS).where(_TOKENS.c.digest == digest).values(last_used_at=now()))


def _is_active_of(owner: UUID) -> ColumnElement[bool]:
    return and_(col(SignIn.owner_id) == owner, col(SignIn.revoked_at).is_(None), col(SignIn.expires_at) > now())


def _is_valid_of(owner: UUID) -> ColumnElement[bool]:
    is_valid = or_(col(PersonalToken.expires_at).is_(None), col(PersonalToken.expires_at) > now())
    return and_(col(PersonalToken.owner_id) == owner, is_valid)
