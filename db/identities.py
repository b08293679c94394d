"""The tables of sign-ins, personal access tokens and the audit log."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import JSON, BigInteger, Index
from sqlmodel import Field, SQLModel

from tertulia.db.tables import UtcDateTime, new_id, now
from tertulia.json import Json


def _time(*, nullable: bool = False) -> Any:
    default: Any = {"default": None} if nullable else {"default_factory": now}
    return Field(sa_type=UtcDateTime, nullable=nullable, **default)


def _owner() -> Any:
    return Field(foreign_key="users.id", ondelete="CASCADE", nullable=False, index=False)


class SignIn(SQLModel, table=True):
    """A device on which a user has signed in. It stores no secret: its tokens are signed and contain the row's id."""

    __tablename__: ClassVar[Any] = "sign_ins"
    __table_args__: ClassVar[Any] = (Index("sign_ins_by_owner", "owner_id"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    owner_id: UUID = _owner()
    # How often its refresh token was exchanged. Only the newest token is valid.
    rotation: int = Field(default=0, sa_type=BigInteger)
    # When the token was last exchanged. For a short time after that, the previous token is accepted too.
    rotated_at: datetime | None = _time(nullable=True)
    expires_at: datetime = Field(sa_type=UtcDateTime, nullable=False)
    revoked_at: datetime | None = _time(nullable=True)
    # The `User-Agent` that signed in; null for sign-ins of earlier versions.
    user_agent: str | None = None
    created_at: datetime = _time()

    @property
    def last_used_at(self) -> datetime:
        """When its tokens were last exchanged. A device in use does so every ten minutes."""
        return self.rotated_at or self.created_at


class PersonalToken(SQLModel, table=True):
    """A personal access token, stored as its SHA-256 hash. Tokens are long and random, so they need no slower hash."""

    __tablename__: ClassVar[Any] = "personal_tokens"
    __table_args__: ClassVar[Any] = (Index("personal_tokens_by_owner", "owner_id"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    owner_id: UUID = _owner()
    label: str
    digest: str = Field(unique=True)
    expires_at: datetime | None = _time(nullable=True)
    # Stored at most once an hour: see `credentials.USED_EVERY`.
    last_used_at: datetime | None = _time(nullable=True)
    created_at: datetime = _time()


class Action(StrEnum):
    """The actions that the audit log records."""

    REGISTERED = "registered"
    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGNED_OUT = "signed_out"
    REFRESH_REUSED = "refresh_reused"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - the name of an action
    GUEST_CLAIMED = "guest_claimed"
    PLAN_CHANGED = "plan_changed"
    ROLE_CHANGED = "role_changed"
    USER_DISABLED = "user_disabled"
    USER_ENABLED = "user_enabled"
    TOKEN_CREATED = "token_created"  # noqa: S105 - the name of an action
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - the name of an action
    EVERYTHING_REVOKED = "everything_revoked"
    GENERATION_STOPPED = "generation_stopped"
    CONVERSATION_READ = "conversation_read"
    WEBHOOKS_RETRIED = "webhooks_retried"
    CONVERSATION_DELETED = "conversation_deleted"
    MESSAGE_DELETED = "message_deleted"
    CONVERSATION_SHARED = "conversation_shared"
    SHARE_REVOKED = "share_revoked"
    EXPORTED = "exported"
    USER_DELETED = "user_deleted"


class AuditEntry(SQLModel, table=True):
    """An entry of the audit log. `user_id` is not a foreign key, because the entry of a user's deletion is kept."""

    __tablename__: ClassVar[Any] = "audit"
    __table_args__: ClassVar[Any] = (Index("audit_by_user", "user_id", "created_at"),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    user_id: UUID | None = None
    action: str
    # The IP address of the client; null for actions on the command line.
    address: str | None = None
    detail: Json = Field(default_factory=dict, sa_type=JSON)
    created_at: datetime = _time()
