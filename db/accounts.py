"""Queries on users and their credentials. Most run before authentication, so they are not limited to an owner."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, and_, bindparam, delete, func, or_, true, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db import outbox, spending
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
    """Return the user whose stored name is exactly `name`."""
    return (await session.exec(select(User).where(User.name == name))).one_or_none()


async def by_written_name(session: AsyncSession, spelling: str) -> User | None:
    """Return the user whose name has an equivalent spelling. Older accounts have a former canonical spelling."""
    for name in dict.fromkeys((spelling, former_canonical_name(spelling), canonical_name(spelling))):
        user = await by_name(session, name)
        if user is not None:
            return user
    return None


async def by_id(session: AsyncSession, user_id: UUID) -> User | None:
    """Return the user with this id."""
    return (await session.exec(select(User).where(User.id == user_id))).one_or_none()


async def existing(session: AsyncSession, user_id: UUID) -> User:
    """Return the user of a row whose foreign key refers to them."""
    return (await session.exec(select(User).where(User.id == user_id))).one()


async def add(session: AsyncSession, user: User) -> bool:
    """Add a user. Return False if the name or the subject is already in use."""
    adding = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    done = await session.exec(adding(User).values(**user.model_dump()).on_conflict_do_nothing())
    return bool(done.rowcount)


async def get_or_create(session: AsyncSession, name: str) -> User:
    """Return the user with this name, who is created if necessary. Several replicas may do this at the same time."""
    await add(session, User(name=name))
    return (await session.exec(select(User).where(User.name == name))).one()


async def by_subject(session: AsyncSession, issuer: str, subject: str) -> User | None:
    """Return the user of an identity provider, by its issuer and the user's subject."""
    return (await session.exec(select(User).where(User.issuer == issuer, User.subject == subject))).one_or_none()


async def all_users(session: AsyncSession) -> Sequence[User]:
    """Return all users, ordered by name."""
    return (await session.exec(select(User).order_by(User.name))).all()


async def set_password(session: AsyncSession, user_id: UUID, password_hash: str) -> None:
    """Store the hash of a user's new password."""
    await session.exec(update(_USERS).where(_USERS.c.id == user_id).values(password_hash=password_hash))


async def set_plan(session: AsyncSession, user_id: UUID, plan: str | None) -> None:
    """Assign a plan to a user; None for that of their claims, or the default one."""
    await session.exec(update(_USERS).where(_USERS.c.id == user_id).values(plan=plan))


async def set_role(session: AsyncSession, user_id: UUID, role: str | None) -> None:
    """Assign a role to a user; None for no role."""
    await session.exec(update(_USERS).where(_USERS.c.id == user_id).values(role=role))


async def set_disabled(session: AsyncSession, user_id: UUID, *, disabled: bool) -> None:
    """Disable a user and revoke their sign-ins, or enable a user again. Their tokens work again then."""
    await session.exec(update(_USERS).where(_USERS.c.id == user_id).values(disabled_at=now() if disabled else None))
    if disabled:
        await revoke(session, owner=user_id)


async def set_usage_group(session: AsyncSession, user_id: UUID, group: str | None) -> None:
    """Set the group of a user in reports of usage; None for no group."""
    await session.exec(update(_USERS).where(_USERS.c.id == user_id).values(usage_group=group))


async def record_use(session: AsyncSession, user_id: UUID, **values: datetime | str) -> None:
    """Store values of a user that follow from a token: `signed_in_at` and `usage_group`.

    If another transaction has locked the user, nothing is stored, because authentication must not wait for it.
    """
    user = select(User.id).where(col(User.id) == user_id).with_for_update(skip_locked=True, key_share=True)
    await session.exec(update(_USERS).where(_USERS.c.id.in_(user)).values(**values))


async def begin_sign_in(
    session: AsyncSession, owner: UUID, expires_at: datetime, user_agent: str | None = None
) -> SignIn:
    """Store a new sign-in of a device. Each refresh extends its expiry."""
    sign_in = SignIn(owner_id=owner, expires_at=expires_at, user_agent=user_agent)
    await insert(session, [sign_in])
    return sign_in


_ALIVE = and_(col(SignIn.revoked_at).is_(None), col(SignIn.expires_at) > bindparam("now", type_=UtcDateTime))
_IS_ENABLED = col(User.disabled_at).is_(None)
_SIGN_IN_USER = (
    select(User.id, User.name, User.subject, User.plan)
    .join(SignIn)
    .add_columns(col(User.role))
    .where(col(SignIn.id) == bindparam("id", type_=Uuid), _ALIVE, _IS_ENABLED)
)
_GOOD = or_(
    col(PersonalToken.expires_at).is_(None), col(PersonalToken.expires_at) > bindparam("now", type_=UtcDateTime)
)
_TOKEN_USER = (
    select(User.id, User.name, User.subject, User.plan)
    .join(PersonalToken)
    .add_columns(col(PersonalToken.expires_at), col(PersonalToken.last_used_at), col(User.signed_in_at))
    .where(col(PersonalToken.digest) == bindparam("digest"), _GOOD, _IS_ENABLED)
)


@dataclass(frozen=True, slots=True)
class AuthenticatedUser:
    """The user of a sign-in or of a personal access token, their assigned plan, and when the token expires.

    `subject` is the user's id at the identity provider, if there is one. `token_used_at` is the stored time of the
    token's last use. `role` is the assigned role, which a personal access token does not have. `signed_in_at` is when a
    token of the identity provider was last accepted, for personal access tokens.
    """

    id: UUID
    name: str
    subject: str | None = None
    plan: str | None = None
    expires_at: datetime | None = None
    token_used_at: datetime | None = None
    role: str | None = None
    signed_in_at: datetime | None = None


async def of_sign_in(database: Database, sign_in_id: UUID) -> AuthenticatedUser | None:
    """Return a sign-in's user, or None if it is revoked or expired. Runs for each request."""
    row = await database.row(_SIGN_IN_USER, id=sign_in_id, now=now())
    return None if row is None else AuthenticatedUser(row[0], row[1], row[2], row[3], role=row[4])


async def of_token(database: Database, digest: str) -> AuthenticatedUser | None:
    """Return the user of a personal access token and its expiry, or None if it is not valid."""
    row = await database.row(_TOKEN_USER, digest=digest, now=now())
    return (
        None if row is None else AuthenticatedUser(row[0], row[1], row[2], row[3], row[4], row[5], signed_in_at=row[6])
    )


async def signed_in(session: AsyncSession, sign_in_id: UUID) -> User | None:
    """Return the user of a sign-in, within a transaction, or None if it is revoked or expired."""
    query = select(User).join(SignIn).where(SignIn.id == sign_in_id, _alive(), _IS_ENABLED)
    return (await session.exec(query)).one_or_none()


async def rotate(
    session: AsyncSession, sign_in_id: UUID, rotation: int, expires_at: datetime, grace: timedelta
) -> bool:
    """Exchange a refresh token for its successor. Return whether the token was valid.

    The newest token of an active sign-in is valid. The token before it is valid too if it was exchanged within `grace`
    and its successor has not been used, because the response with the successor may have been lost.

    Args:
        session: The session to use.
        sign_in_id: The sign-in that the token belongs to.
        rotation: The number of the token: how many tokens of the sign-in were exchanged before it.
        expires_at: The new expiry of the sign-in.
        grace: How long the token before the newest one stays valid.
    """
    rotated_at = now()
    newest = and_(_SIGN_INS.c.id == sign_in_id, _SIGN_INS.c.rotation == rotation, _alive())
    change = {"rotation": rotation + 1, "rotated_at": rotated_at, "expires_at": expires_at}
    if (await session.exec(update(_SIGN_INS).where(newest).values(**change))).rowcount:
        return True
    former = and_(col(SignIn.rotation) == rotation + 1, col(SignIn.rotated_at) > rotated_at - grace)
    query = select(SignIn.id).where(SignIn.id == sign_in_id, former, _alive())
    return (await session.exec(query)).first() is not None


async def revoke(session: AsyncSession, *, sign_in_id: UUID | None = None, owner: UUID | None = None) -> bool:
    """Revoke one sign-in, or all sign-ins of an owner. Return whether an active one was found."""
    which = _SIGN_INS.c.id == sign_in_id if sign_in_id else _SIGN_INS.c.owner_id == owner
    done = await session.exec(update(_SIGN_INS).where(which, _alive()).values(revoked_at=now()))
    return bool(done.rowcount)


@dataclass(frozen=True, slots=True)
class RevokedCounts:
    """The numbers of sign-ins and personal access tokens that were revoked."""

    sign_ins: int
    tokens: int


async def revoke_everything(session: AsyncSession, owner: UUID | None, *, tokens: bool = True) -> RevokedCounts:
    """Revoke all sign-ins of an owner, or of all users if `owner` is None; and, if `tokens`, all personal tokens."""
    alive = _alive() if owner is None else and_(_SIGN_INS.c.owner_id == owner, _alive())
    await end_provider_tokens(session, owner)
    sign_ins = await session.exec(update(_SIGN_INS).where(alive).values(revoked_at=now()))
    if not tokens:
        return RevokedCounts(sign_ins.rowcount, 0)
    of_owner = true() if owner is None else col(PersonalToken.owner_id) == owner
    removed = await session.exec(delete(PersonalToken).where(of_owner))
    return RevokedCounts(sign_ins.rowcount, removed.rowcount)


async def end_provider_tokens(session: AsyncSession, owner: UUID | None, until: datetime | None = None) -> None:
    """Refuse the tokens that an identity provider issued to a user, or to all users, until a time, or until now."""
    ended = col(User.issuer).is_not(None) if owner is None else col(User.id) == owner
    users = select(User.id).where(ended).order_by(col(User.id)).with_for_update(key_share=True)
    await session.exec(update(_USERS).where(_USERS.c.id.in_(users)).values(signed_out_at=until or now()))


async def forget_ended(session: AsyncSession, before: datetime) -> None:
    """Delete the sign-ins that expired or were revoked before a time."""
    ended = select(SignIn.id).where(or_(col(SignIn.expires_at) < before, col(SignIn.revoked_at) < before))
    await session.exec(delete(SignIn).where(col(SignIn.id).in_(ended.with_for_update(skip_locked=True))))


async def add_token(session: AsyncSession, token: PersonalToken) -> None:
    """Store a personal access token."""
    await insert(session, [token])


async def tokens_of(session: AsyncSession, owner: UUID) -> Sequence[PersonalToken]:
    """Return an owner's personal access tokens, oldest first."""
    query = select(PersonalToken).where(PersonalToken.owner_id == owner).order_by(col(PersonalToken.id))
    return (await session.exec(query)).all()


async def remove_token(session: AsyncSession, owner: UUID, token_id: UUID) -> bool:
    """Delete a personal access token of the owner. Return whether it existed."""
    mine = and_(col(PersonalToken.owner_id) == owner, col(PersonalToken.id) == token_id)
    return bool((await session.exec(delete(PersonalToken).where(mine))).rowcount)


async def remove_digest(session: AsyncSession, digest: str) -> User | None:
    """Delete the personal access token with a digest. Return its user, or None if there is no such token."""
    query = select(User).join(PersonalToken).where(PersonalToken.digest == digest)
    owner = (await session.exec(query)).one_or_none()
    if owner is not None:
        await session.exec(delete(PersonalToken).where(col(PersonalToken.digest) == digest))
    return owner


async def conversations_of(session: AsyncSession, owner: UUID) -> Sequence[UUID]:
    """Return the ids of all conversations of a user."""
    return (await session.exec(select(Conversation.id).where(Conversation.owner_id == owner))).all()


async def blobs_of(session: AsyncSession, owner: UUID) -> Sequence[UUID]:
    """Return the ids of the blobs that a user's attachments refer to."""
    return (await session.exec(select(Attachment.blob_id).where(Attachment.owner_id == owner))).all()


async def count(session: AsyncSession, owner: UUID) -> dict[str, int]:
    """Return the numbers of a user's conversations, messages, attachments and API calls, by name."""
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
    """Delete a user with all their data. Return whether the user existed.

    Their entries of the audit log are deleted too, except for those of operators: an operator must not be able to
    hide what was done to a user by deleting the user.
    """
    await spending.settle_all(session, user_id)
    by_no_operator = col(AuditEntry.detail)["operator"].as_string().is_(None)
    await session.exec(delete(AuditEntry).where(col(AuditEntry.user_id) == user_id, by_no_operator))
    await outbox.remove_finished(session, user_id)
    return bool((await session.exec(delete(User).where(col(User.id) == user_id))).rowcount)


async def audit(
    session: AsyncSession, action: Action, user_id: UUID | None, address: str | None = None, **detail: str
) -> None:
    """Write an entry of the audit log. `detail` must not contain secrets or the content of messages."""
    details: Json = {**detail}
    await insert(session, [AuditEntry(action=action.value, user_id=user_id, address=address, detail=details)])


async def trim_audit(session: AsyncSession, before: datetime, most: int) -> int:
    """Delete up to `most` entries of the audit log from before a time, oldest first. Return how many were deleted."""
    old = col(AuditEntry.created_at) < before
    # Ids sort by time, so the condition on the id limits the scan to the rows that are deleted.
    oldest = select(AuditEntry.id).where(old, col(AuditEntry.id) < first_id_after(before)).order_by(col(AuditEntry.id))
    oldest = oldest.limit(most).with_for_update(skip_locked=True)
    done = await session.exec(delete(AuditEntry).where(col(AuditEntry.id).in_(oldest)))
    return done.rowcount


def first_id_after(time: datetime) -> UUID:
    """Return the lowest id of rows that are created after the millisecond of a time."""
    # A UUIDv7 begins with 48 bits of milliseconds (RFC 9562, section 5.7).
    return UUID(int=(int(time.timestamp() * 1000) + 1) << 80)


def _is_in_conversation(model: type[Message] | type[Generation]) -> ColumnElement[bool]:
    return col(model.conversation_id) == col(Conversation.id)


def _alive() -> ColumnElement[bool]:
    return and_(col(SignIn.revoked_at).is_(None), col(SignIn.expires_at) > now())
