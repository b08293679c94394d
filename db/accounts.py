"""Queries on users and their credentials. They run before authentication, so most are not limited to an owner."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, and_, bindparam, delete, func, or_, true, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db import spending
from tertulia.db.database import Database
from tertulia.db.identities import Action, AuditEntry, PersonalToken, SignIn
from tertulia.db.inserting import insert
from tertulia.db.names import canonical_name, former_canonical_name
from tertulia.db.tables import (
    METADATA,
    ApiCall,
    Attachment,
    Conversation,
    Generation,
    Message,
    User,
    UtcDateTime,
    now,
)
from tertulia.json import Json

_USERS = METADATA.tables["users"]
_SIGN_INS = METADATA.tables["sign_ins"]


async def by_name(session: AsyncSession, name: str) -> User | None:
    """Return the user with a name, exactly as it is stored."""
    return (await session.exec(select(User).where(User.name == name))).one_or_none()


async def by_written_name(session: AsyncSession, spelling: str) -> User | None:
    """Return the user with an equivalent spelling of the name. Older accounts have a former canonical spelling."""
    for name in dict.fromkeys((spelling, former_canonical_name(spelling), canonical_name(spelling))):
        user = await by_name(session, name)
        if user is not None:
            return user
    return None


async def by_id(session: AsyncSession, user_id: UUID) -> User | None:
    """Return the user with an id."""
    return (await session.exec(select(User).where(User.id == user_id))).one_or_none()


async def name_of(session: AsyncSession, user_id: UUID) -> str:
    """Return a user's name."""
    return (await session.exec(select(User.name).where(User.id == user_id))).one()


async def add(session: AsyncSession, user: User) -> bool:
    """Add a user. Return False if the name or the subject is already in use."""
    adding = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    done = await session.exec(adding(User).values(**user.model_dump()).on_conflict_do_nothing())
    return bool(done.rowcount)


async def get_or_create(session: AsyncSession, name: str) -> User:
    """Return the user with that name, created if there is none; several replicas may do this at once."""
    await add(session, User(name=name))
    return (await session.exec(select(User).where(User.name == name))).one()


async def by_subject(session: AsyncSession, issuer: str, subject: str) -> User | None:
    """Return the user with an identity provider's issuer and subject."""
    return (await session.exec(select(User).where(User.issuer == issuer, User.subject == subject))).one_or_none()


async def everybody(session: AsyncSession) -> Sequence[User]:
    """Return all users, ordered by name."""
    return (await session.exec(select(User).order_by(User.name))).all()


async def set_password(session: AsyncSession, user_id: UUID, password_hash: str) -> None:
    """Set a user's password, as its hash."""
    await session.exec(update(_USERS).where(_USERS.c.id == user_id).values(password_hash=password_hash))


async def begin_sign_in(session: AsyncSession, owner: UUID, expires_at: datetime) -> SignIn:
    """Create a sign-in of a device. Each refresh extends its expiry."""
    sign_in = SignIn(owner_id=owner, expires_at=expires_at)
    await insert(session, [sign_in])
    return sign_in


_ALIVE = and_(col(SignIn.revoked_at).is_(None), col(SignIn.expires_at) > bindparam("now", type_=UtcDateTime))
_OF_SIGN_IN = select(User.id, User.name).join(SignIn).where(SignIn.id == bindparam("id", type_=Uuid), _ALIVE)
_GOOD = or_(
    col(PersonalToken.expires_at).is_(None), col(PersonalToken.expires_at) > bindparam("now", type_=UtcDateTime)
)
_OF_TOKEN = (
    select(User.id, User.name, PersonalToken.expires_at)
    .join(PersonalToken)
    .where(PersonalToken.digest == bindparam("digest"), _GOOD)
)


async def of_sign_in(database: Database, sign_in_id: UUID) -> tuple[UUID, str] | None:
    """Return the id and name of a sign-in's user; None if it is revoked or expired. Runs for each request."""
    row = await database.row(_OF_SIGN_IN, id=sign_in_id, now=now())
    return None if row is None else (row[0], row[1])


async def of_token(database: Database, digest: str) -> tuple[UUID, str, datetime | None] | None:
    """Return a personal access token's user id, user name and expiry; None if there is no valid token."""
    row = await database.row(_OF_TOKEN, digest=digest, now=now())
    return None if row is None else (row[0], row[1], row[2])


async def signed_in(session: AsyncSession, sign_in_id: UUID) -> User | None:
    """Return the user of a sign-in, within a transaction; None if it is revoked or expired."""
    query = select(User).join(SignIn).where(SignIn.id == sign_in_id, _alive())
    return (await session.exec(query)).one_or_none()


async def rotate(
    session: AsyncSession, sign_in_id: UUID, rotation: int, expires_at: datetime, grace: timedelta
) -> bool:
    """Exchange a refresh token for the next one. Return whether it was valid.

    Valid are the newest token of an active sign-in, and the one before, if it was exchanged within `grace` and its
    successor has not been used: the response with the successor may have been lost.
    """
    moment = now()
    newest = and_(_SIGN_INS.c.id == sign_in_id, _SIGN_INS.c.rotation == rotation, _alive())
    change = {"rotation": rotation + 1, "rotated_at": moment, "expires_at": expires_at}
    if (await session.exec(update(_SIGN_INS).where(newest).values(**change))).rowcount:
        return True
    former = and_(col(SignIn.rotation) == rotation + 1, col(SignIn.rotated_at) > moment - grace)
    query = select(SignIn.id).where(SignIn.id == sign_in_id, former, _alive())
    return (await session.exec(query)).first() is not None


async def revoke(session: AsyncSession, *, sign_in_id: UUID | None = None, owner: UUID | None = None) -> bool:
    """End one sign-in, or all sign-ins of an owner. Return whether there was one."""
    which = _SIGN_INS.c.id == sign_in_id if sign_in_id else _SIGN_INS.c.owner_id == owner
    done = await session.exec(update(_SIGN_INS).where(which, _alive()).values(revoked_at=now()))
    return bool(done.rowcount)


@dataclass(frozen=True, slots=True)
class Ended:
    """How many sign-ins and personal access tokens were ended."""

    sign_ins: int
    tokens: int


async def revoke_everything(session: AsyncSession, owner: UUID | None) -> Ended:
    """End all sign-ins and personal access tokens of an owner, or of all users if `owner` is None."""
    alive = _alive() if owner is None else and_(_SIGN_INS.c.owner_id == owner, _alive())
    of_owner = true() if owner is None else col(PersonalToken.owner_id) == owner
    sign_ins = await session.exec(update(_SIGN_INS).where(alive).values(revoked_at=now()))
    tokens = await session.exec(delete(PersonalToken).where(of_owner))
    return Ended(sign_ins.rowcount, tokens.rowcount)


async def forget_ended(session: AsyncSession, before: datetime) -> None:
    """Delete the sign-ins that ended before a time."""
    ended = or_(col(SignIn.expires_at) < before, col(SignIn.revoked_at) < before)
    await session.exec(delete(SignIn).where(ended))


async def add_token(session: AsyncSession, token: PersonalToken) -> None:
    """Store a personal access token."""
    await insert(session, [token])


async def tokens_of(session: AsyncSession, owner: UUID) -> Sequence[PersonalToken]:
    """Return an owner's personal access tokens, oldest first."""
    query = select(PersonalToken).where(PersonalToken.owner_id == owner).order_by(col(PersonalToken.id))
    return (await session.exec(query)).all()


async def remove_token(session: AsyncSession, owner: UUID, token_id: UUID) -> bool:
    """Delete the owner's token. Return whether there was one."""
    mine = and_(col(PersonalToken.owner_id) == owner, col(PersonalToken.id) == token_id)
    return bool((await session.exec(delete(PersonalToken).where(mine))).rowcount)


async def remove_digest(session: AsyncSession, digest: str) -> User | None:
    """Delete the token with a digest. Return its user; None if there is no such token."""
    query = select(User).join(PersonalToken).where(PersonalToken.digest == digest)
    owner = (await session.exec(query)).one_or_none()
    if owner is not None:
        await session.exec(delete(PersonalToken).where(col(PersonalToken.digest) == digest))
    return owner


async def conversations_of(session: AsyncSession, owner: UUID) -> Sequence[UUID]:
    """Return the ids of all of a user's conversations."""
    return (await session.exec(select(Conversation.id).where(Conversation.owner_id == owner))).all()


async def blobs_of(session: AsyncSession, owner: UUID) -> Sequence[UUID]:
    """Return the ids of the blobs that a user's attachments refer to."""
    return (await session.exec(select(Attachment.blob_id).where(Attachment.owner_id == owner))).all()


async def count(session: AsyncSession, owner: UUID) -> dict[str, int]:
    """Return how many conversations, messages, attachments and API calls a user has."""
    mine = Conversation.owner_id == owner
    queries = {
        "conversations": select(func.count()).select_from(Conversation).where(mine),
        "messages": select(func.count())
        .select_from(Message)
        .join(Conversation, _is_in_conversation(Message))
        .where(mine),
        "attachments": select(func.count()).select_from(Attachment).where(Attachment.owner_id == owner),
        "calls": select(func.count()).select_from(ApiCall).where(ApiCall.owner_id == owner),
    }
    return {name: (await session.exec(query)).one() for name, query in queries.items()}


async def remove_user(session: AsyncSession, user_id: UUID) -> bool:
    """Delete a user with all their data, including their audit log. Return whether there was one."""
    await spending.settle_all(session, user_id)
    await session.exec(delete(AuditEntry).where(col(AuditEntry.user_id) == user_id))
    return bool((await session.exec(delete(User).where(col(User.id) == user_id))).rowcount)


async def audit(
    session: AsyncSession, action: Action, user_id: UUID | None, address: str | None = None, **detail: str
) -> None:
    """Write a line of the audit log. Never pass secrets or the content of messages."""
    details: Json = {**detail}
    await insert(session, [AuditEntry(action=action.value, user_id=user_id, address=address, detail=details)])


async def trim_audit(session: AsyncSession, before: datetime, most: int) -> int:
    """Delete up to `most` lines of the audit log from before a time, oldest first. Return how many."""
    old = col(AuditEntry.created_at) < before
    # Ids sort by time, so this condition limits the scan to the rows that are deleted.
    oldest = select(AuditEntry.id).where(old, col(AuditEntry.id) < _first_id_after(before)).order_by(col(AuditEntry.id))
    done = await session.exec(delete(AuditEntry).where(col(AuditEntry.id).in_(oldest.limit(most))))
    return done.rowcount


def _first_id_after(moment: datetime) -> UUID:
    # UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds come first.
    return UUID(int=(int(moment.timestamp() * 1000) + 1) << 80)


def _is_in_conversation(model: type[Message] | type[Generation]) -> ColumnElement[bool]:
    return col(model.conversation_id) == col(Conversation.id)


def _alive() -> ColumnElement[bool]:
    return and_(col(SignIn.revoked_at).is_(None), col(SignIn.expires_at) > now())
