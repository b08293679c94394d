"""Queries on users, and on what lets them in. For `server`, before anybody is known: most take no owner."""

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
    """Give the user of that name."""
    return (await session.exec(select(User).where(User.name == name))).one_or_none()


async def by_written_name(session: AsyncSession, written: str) -> User | None:
    """Return the user with that name in any spelling that is the same; older accounts have their former spelling."""
    for name in dict.fromkeys((written, former_canonical_name(written), canonical_name(written))):
        found = await by_name(session, name)
        if found is not None:
            return found
    return None


async def by_id(session: AsyncSession, user_id: UUID) -> User | None:
    """Give the user of that id."""
    return (await session.exec(select(User).where(User.id == user_id))).one_or_none()


async def name_of(session: AsyncSession, user_id: UUID) -> str:
    """Give a user's name."""
    return (await session.exec(select(User.name).where(User.id == user_id))).one()


async def add(session: AsyncSession, user: User) -> bool:
    """Add a user; say whether the name, and the subject, were free."""
    adding = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    done = await session.exec(adding(User).values(**user.model_dump()).on_conflict_do_nothing())
    return bool(done.rowcount)


async def get_or_create(session: AsyncSession, name: str) -> User:
    """Return the user with that name, created if there is none; several replicas may do this at once."""
    await add(session, User(name=name))
    return (await session.exec(select(User).where(User.name == name))).one()


async def by_subject(session: AsyncSession, issuer: str, subject: str) -> User | None:
    """Give the user whom an identity provider calls so."""
    return (await session.exec(select(User).where(User.issuer == issuer, User.subject == subject))).one_or_none()


async def everybody(session: AsyncSession) -> Sequence[User]:
    """Give all users, by name."""
    return (await session.exec(select(User).order_by(User.name))).all()


async def set_password(session: AsyncSession, user_id: UUID, password_hash: str) -> None:
    """Set a user's password, as its hash."""
    await session.exec(update(_USERS).where(_USERS.c.id == user_id).values(password_hash=password_hash))


async def begin_sign_in(session: AsyncSession, owner: UUID, expires_at: datetime) -> SignIn:
    """Let a device in, until a moment that each refresh moves on."""
    made = SignIn(owner_id=owner, expires_at=expires_at)
    await insert(session, [made])
    return made


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
    """Give id and name of whose sign-in that is; None where it was revoked, or has expired. Each request asks."""
    found = await database.row(_OF_SIGN_IN, id=sign_in_id, now=now())
    return None if found is None else (found[0], found[1])


async def of_token(database: Database, digest: str) -> tuple[UUID, str, datetime | None] | None:
    """Give id and name of whose personal access token that is, and until when; None where there is no good one."""
    found = await database.row(_OF_TOKEN, digest=digest, now=now())
    return None if found is None else (found[0], found[1], found[2])


async def signed_in(session: AsyncSession, sign_in_id: UUID) -> User | None:
    """Give whose sign-in that is, in the same transaction as what follows; None as in `of_sign_in`."""
    query = select(User).join(SignIn).where(SignIn.id == sign_in_id, _alive())
    return (await session.exec(query)).one_or_none()


async def rotate(
    session: AsyncSession, sign_in_id: UUID, rotation: int, expires_at: datetime, grace: timedelta
) -> bool:
    """Exchange a refresh token for the next one, and return whether it could be.

    It must be the newest of a sign-in that lives, or the one before, if that was exchanged within `grace` and its
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
    """End one sign-in, or all of an owner's; say whether there was one."""
    which = _SIGN_INS.c.id == sign_in_id if sign_in_id else _SIGN_INS.c.owner_id == owner
    done = await session.exec(update(_SIGN_INS).where(which, _alive()).values(revoked_at=now()))
    return bool(done.rowcount)


@dataclass(frozen=True, slots=True)
class Ended:
    """How many sign-ins and personal access tokens were ended."""

    sign_ins: int
    tokens: int


async def revoke_everything(session: AsyncSession, owner: UUID | None) -> Ended:
    """End all sign-ins and personal access tokens of an owner, or of everybody where none is given."""
    alive = _alive() if owner is None else and_(_SIGN_INS.c.owner_id == owner, _alive())
    theirs = true() if owner is None else col(PersonalToken.owner_id) == owner
    sign_ins = await session.exec(update(_SIGN_INS).where(alive).values(revoked_at=now()))
    tokens = await session.exec(delete(PersonalToken).where(theirs))
    return Ended(sign_ins.rowcount, tokens.rowcount)


async def forget_ended(session: AsyncSession, before: datetime) -> None:
    """Delete sign-ins that ended before then."""
    ended = or_(col(SignIn.expires_at) < before, col(SignIn.revoked_at) < before)
    await session.exec(delete(SignIn).where(ended))


async def add_token(session: AsyncSession, token: PersonalToken) -> None:
    """Keep a personal access token."""
    await insert(session, [token])


async def tokens_of(session: AsyncSession, owner: UUID) -> Sequence[PersonalToken]:
    """Give an owner's personal access tokens, oldest first."""
    query = select(PersonalToken).where(PersonalToken.owner_id == owner).order_by(col(PersonalToken.id))
    return (await session.exec(query)).all()


async def remove_token(session: AsyncSession, owner: UUID, token_id: UUID) -> bool:
    """Delete a token of the owner's; say whether there was one."""
    mine = and_(col(PersonalToken.owner_id) == owner, col(PersonalToken.id) == token_id)
    return bool((await session.exec(delete(PersonalToken).where(mine))).rowcount)


async def remove_digest(session: AsyncSession, digest: str) -> User | None:
    """Delete the token of that digest; give whose it was, None where there is none."""
    query = select(User).join(PersonalToken).where(PersonalToken.digest == digest)
    owner = (await session.exec(query)).one_or_none()
    if owner is not None:
        await session.exec(delete(PersonalToken).where(col(PersonalToken.digest) == digest))
    return owner


async def conversations_of(session: AsyncSession, owner: UUID) -> Sequence[UUID]:
    """Return the ids of all of a user's conversations."""
    return (await session.exec(select(Conversation.id).where(Conversation.owner_id == owner))).all()


async def blobs_of(session: AsyncSession, owner: UUID) -> Sequence[UUID]:
    """Return the ids of the blobs that a user's attachments name."""
    return (await session.exec(select(Attachment.blob_id).where(Attachment.owner_id == owner))).all()


async def count(session: AsyncSession, owner: UUID) -> dict[str, int]:
    """Say how much of what is a user's."""
    mine = Conversation.owner_id == owner
    queries = {
        "conversations": select(func.count()).select_from(Conversation).where(mine),
        "messages": select(func.count()).select_from(Message).join(Conversation, _stands_in(Message)).where(mine),
        "attachments": select(func.count()).select_from(Attachment).where(Attachment.owner_id == owner),
        "calls": select(func.count()).select_from(ApiCall).where(ApiCall.owner_id == owner),
    }
    return {name: (await session.exec(query)).one() for name, query in queries.items()}


async def remove_user(session: AsyncSession, user_id: UUID) -> bool:
    """Delete a user with all that is theirs, the audit log's lines on them too; say whether there was one."""
    await spending.settle_all(session, user_id)
    await session.exec(delete(AuditEntry).where(col(AuditEntry.user_id) == user_id))
    return bool((await session.exec(delete(User).where(col(User.id) == user_id))).rowcount)


async def audit(
    session: AsyncSession, action: Action, user_id: UUID | None, address: str | None = None, **detail: str
) -> None:
    """Write a line of the audit log. Never a secret, and nothing that was said to Claude."""
    told: Json = {**detail}
    await insert(session, [AuditEntry(action=action.value, user_id=user_id, address=address, detail=told)])


async def trim_audit(session: AsyncSession, before: datetime, most: int) -> int:
    """Delete at most so many lines of the audit log that are older than that, oldest first; return how many."""
    old = col(AuditEntry.created_at) < before
    # Later ids sort later, so that nothing is read but what is deleted.
    oldest = select(AuditEntry.id).where(old, col(AuditEntry.id) < _first_id_after(before)).order_by(col(AuditEntry.id))
    done = await session.exec(delete(AuditEntry).where(col(AuditEntry.id).in_(oldest.limit(most))))
    return done.rowcount


def _first_id_after(moment: datetime) -> UUID:
    # UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds come first.
    return UUID(int=(int(moment.timestamp() * 1000) + 1) << 80)


def _stands_in(model: type[Message] | type[Generation]) -> ColumnElement[bool]:
    return col(model.conversation_id) == col(Conversation.id)


def _alive() -> ColumnElement[bool]:
    return and_(col(SignIn.revoked_at).is_(None), col(SignIn.expires_at) > now())
