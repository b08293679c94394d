"""The tables of users, conversations, messages, generations, API calls and attachments."""

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import JSON, BigInteger, CheckConstraint, Date, DateTime, Dialect, Enum, Index, String, Text, text
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel
from uuid_utils.compat import uuid7

from tertulia.json import Json


class Role(StrEnum):
    """The author of a message."""

    USER = "user"
    ASSISTANT = "assistant"


class Status(StrEnum):
    """The status of a generation. The last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    AWAITING_TOOL_RESULTS = "awaiting_tool_results"
    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"


TOKEN_COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
"""The columns with token counts of generations, API calls and conversations."""
UNFINISHED = (Status.QUEUED, Status.RUNNING, Status.AWAITING_TOOL_RESULTS)


class UtcDateTime(TypeDecorator[datetime]):
    """A datetime in UTC. SQLite does not store the time zone, so it is added when a value is read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert a value to UTC before it is stored."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Add the time zone, which SQLite does not store."""
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


def new_id() -> UUID:
    """Return a new UUIDv7. Ids sort by creation time."""
    # A Python function, because Pydantic inspects the signature of a default factory each time, which is slow for
    # `uuid7`.
    return uuid7()


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def _words(enum: type[StrEnum]) -> Any:
    # Stored as strings with check constraints, because native enums are hard to migrate.
    return Enum(enum, native_enum=False, create_constraint=False, length=32, values_callable=list)


_JSON_OR_NULL: Any = JSON(none_as_null=True)
_ROLE, _STATUS = _words(Role), _words(Status)
_IS_TEMPORARY, _RESERVED = text("temporary = 1"), text("reserved IS NOT NULL")
_HAS_FAILED = text("status = 'failed'")
_HAS_EXTERNAL_ID = text("external_id IS NOT NULL")
METADATA = SQLModel.metadata
"""The metadata of all tables."""


def _time() -> Any:
    return Field(default_factory=now, sa_type=UtcDateTime, nullable=False)


def optional_time() -> Any:
    """Return the field of a time that may be null."""
    return Field(default=None, sa_type=UtcDateTime, nullable=True)


def _count() -> Any:
    return Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})


def _object() -> Any:
    return Field(default={}, sa_type=JSON, sa_column_kwargs={"server_default": "{}"})


def _reference(column: str, *, nullable: bool = False, **options: Any) -> Any:
    default: Any = {"default": None} if nullable else {}
    return Field(foreign_key=column, ondelete="CASCADE", nullable=nullable, **default, **options)


class User(SQLModel, table=True):
    """A user, who owns conversations and attachments."""

    __tablename__: ClassVar[Any] = "users"
    __table_args__: ClassVar[Any] = (Index("users_by_subject", "issuer", "subject", unique=True),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    name: str = Field(sa_type=String, unique=True)
    name_skeleton: str | None = Field(default=None, unique=True, index=True)  # See `db.names.skeleton`.
    # An Argon2 hash; null for users of an identity provider, and for the user of the mode `local`.
    password_hash: str | None = None
    issuer: str | None = None  # With `subject`, the identity of the user at an identity provider.
    subject: str | None = None
    plan: str | None = None  # The plan that the operator has assigned to the user (see ratelimit.plans).
    role: str | None = None  # The role that the operator has assigned to the user: `operator`, or none.
    disabled_at: datetime | None = optional_time()  # A disabled user can neither sign in nor use a token.
    usage_group: str | None = None  # The user's group in reports of usage.
    # When a token of the identity provider was last accepted; stored at most once an hour (see `accounts.record_use`).
    signed_in_at: datetime | None = optional_time()
    # Tokens of the identity provider that were issued before are refused.
    signed_out_at: datetime | None = optional_time()
    # The number of the last change to the user's conversations, assigned by `db.changes`.
    changes: int = 0
    created_at: datetime = _time()


class Conversation(SQLModel, table=True):
    """An exchange owned by one viewer. The active leaf determines which branch of its message tree is shown."""

    __tablename__: ClassVar[Any] = "conversations"
    __table_args__: ClassVar[Any] = (
        Index("conversations_by_activity", "owner_id", "updated_at", "id"),
        Index("conversations_by_creation", "owner_id", "created_at", "id"),
        Index("conversations_by_title", "owner_id", text("coalesce(lower(title), '')"), "id"),
        Index("conversations_by_age", "updated_at", sqlite_where=_IS_TEMPORARY, postgresql_where=text("temporary")),
        *(
            Index(
                f"conversations_by_{flag}",
                "owner_id",
                "updated_at",
                "id",
                sqlite_where=text(f"{flag} = 1"),
                postgresql_where=text(flag),
            )
            for flag in ("pinned", "archived")
        ),
        Index(
            "conversations_by_external_id",
            "owner_id",
            "external_id",
            unique=True,
            sqlite_where=_HAS_EXTERNAL_ID,
            postgresql_where=_HAS_EXTERNAL_ID,
        ),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    owner_id: UUID = _reference("users.id")
    title: str | None = None
    system_prompt: str | None = Field(default=None, sa_type=Text)
    model: str
    # The default options of its generations.
    options: Json = _object()
    # The server's tools that Claude may call, and the client's tools (see tools.registry).
    tools: Json = _object()
    archived: bool = False
    pinned: bool = False
    # Temporary conversations are neither listed nor searched, and are deleted a day after their last message.
    temporary: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    # The application's id of it, which is unique per owner.
    external_id: str | None = None
    # Data of the application. `db.metadata` indexes it. SQLAlchemy reserves the name `metadata`.
    app_metadata: Json = _object()
    # Not a foreign key, because messages refer to conversations, and SQLite cannot add a circular reference later.
    active_leaf_id: UUID | None = None
    # The id of the assistant that answers; null for conversations without one. The assistant may no longer exist.
    assistant: str | None = None
    # The total usage of its generations, updated in the transaction that ends a generation.
    input_tokens: int = _count()
    output_tokens: int = _count()
    cache_read_tokens: int = _count()
    cache_write_tokens: int = _count()
    # In 10^-12 US dollars; null as soon as one price is unknown.
    amount: int | None = Field(default=0, sa_type=BigInteger, nullable=True, sa_column_kwargs={"server_default": "0"})
    created_at: datetime = _time()
    updated_at: datetime = _time()


class Message(SQLModel, table=True):
    """A turn: a role, and content blocks of the Messages API, byte for byte as Claude sent them."""

    __tablename__: ClassVar[Any] = "messages"
    __table_args__: ClassVar[Any] = (
        Index("messages_by_parent", "parent_id", "id"),
        Index("messages_by_conversation", "conversation_id", "id"),
        Index("messages_by_depth", "conversation_id", "depth", "id"),
        CheckConstraint("role IN ('user', 'assistant')", name="messages_role"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    conversation_id: UUID = _reference("conversations.id")
    parent_id: UUID | None = _reference("messages.id", nullable=True)
    role: Role = Field(sa_type=_ROLE)
    depth: int
    content: list[Json] = Field(default=[], sa_type=JSON)
    # JSON of the application, which Claude receives with the user's message (see claude.app_context).
    context: Any = Field(default=None, sa_type=JSON, nullable=True)
    app_metadata: Json = _object()
    # The user's rating of an answer, with its comment, its tags and the time (see resolvers.feedback).
    rating: Json | None = Field(default=None, sa_type=_JSON_OR_NULL, nullable=True)
    created_at: datetime = _time()


class Generation(SQLModel, table=True):
    """Claude's work on one answer. `sequence` is the number of its last event, including the terminal event."""

    __tablename__: ClassVar[Any] = "generations"
    __table_args__: ClassVar[Any] = (
        Index("generations_by_conversation", "conversation_id", "status"),
        Index("generations_by_lease", "status", "lease_until"),
        Index("generations_by_line", "waits_for"),
        Index("generations_by_failure", "id", sqlite_where=_HAS_FAILED, postgresql_where=_HAS_FAILED),
        Index("generations_by_reservation", "reserved", sqlite_where=_RESERVED, postgresql_where=_RESERVED),
        CheckConstraint(f"status IN {tuple(map(str, Status))}", name="generations_status"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    conversation_id: UUID = _reference("conversations.id")
    message_id: UUID = _reference("messages.id", unique=True)
    status: Status = Field(default=Status.QUEUED, sa_type=_STATUS)
    # The process that writes it, and the end of that process's lease; null while it is queued (see db.leases).
    holder: UUID | None = None
    lease_until: datetime | None = optional_time()
    stop_requested: bool = False
    # The generation before it in the queue. Not a foreign key, because that generation may be deleted earlier.
    waits_for: UUID | None = None
    # Whether it ends the generation that it waits for after that one's next round of tools (see db.steering).
    steers: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    # Whether the user's next message ended it after a round of tools.
    steered: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    model: str
    # The name of the plan with which it was requested; null for generations from before plans.
    plan: str | None = None
    options: Json = Field(default={}, sa_type=JSON)
    sequence: int = 0
    stop_reason: str | None = None
    # The stop sequence that Claude wrote, if that is the reason.
    stop_sequence: str | None = None
    # The Messages API's id of its last response, with which the API explains a cache miss of the next request.
    response_id: str | None = None
    error: Json | None = Field(default=None, sa_type=JSON)
    request_id: str | None = None
    # The span in which the answer was written, as a W3C `traceparent`; null if it was not recorded.
    trace: str | None = None
    # How often Claude was asked to continue it after an interruption.
    continuations: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    # A hash of the model, the system prompt and the tools, to which Claude binds its thinking (see claude.prompt).
    prefix: str | None = None
    # The digest of what the assistant contributed (see db.contributions); null without an assistant.
    contribution: str | None = None
    # The tokens of the model's context window that are in use after it, or the last known number if it failed.
    context_tokens: int | None = None
    # Why Claude refused: `category` and `explanation`; null if it has not refused, or did not say why.
    refusal: Json | None = Field(default=None, sa_type=_JSON_OR_NULL, nullable=True)
    # The parts that later requests of the branch leave out, because Claude's API refused them (see claude.repairs).
    repairs: Json | None = Field(default=None, sa_type=_JSON_OR_NULL, nullable=True)
    # The number of blocks of earlier messages that were not sent to Claude, by reason (see claude.prompt).
    left_out: Json = _object()
    # When the generation stops waiting for tool results.
    tools_expire_at: datetime | None = optional_time()
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    amount: int | None = Field(default=None, sa_type=BigInteger, nullable=True)
    # The maximum cost, reserved from the owner's budget until it is settled.
    reserved: int | None = Field(default=None, sa_type=BigInteger, nullable=True)
    created_at: datetime = _time()
    started_at: datetime | None = optional_time()
    first_token_at: datetime | None = optional_time()
    finished_at: datetime | None = optional_time()


class ApiCall(SQLModel, table=True):
    """A call of Claude's API, as it was billed. The row is kept after its conversation is deleted."""

    __tablename__: ClassVar[Any] = "calls"
    __table_args__: ClassVar[Any] = (Index("calls_by_owner", "owner_id", "created_at"), Index("calls_by_day", "day"))

    id: UUID = Field(default_factory=new_id, primary_key=True)
    owner_id: UUID = _reference("users.id")
    conversation_id: UUID | None = None
    generation_id: UUID | None = None
    purpose: str
    model: str
    request_id: str | None = None
    # The status with which it ended, one of those of generations.
    outcome: Status = Field(sa_type=_STATUS)
    input_tokens: int = _count()
    output_tokens: int = _count()
    cache_read_tokens: int = _count()
    cache_write_tokens: int = _count()
    # True if the response was interrupted, so that the server estimated the output tokens.
    estimated: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    # The part of `cache_write_tokens` that is cached for an hour.
    cache_write_1h_tokens: int = _count()
    web_searches: int = _count()
    # In 10^-12 US dollars, by version `prices` of the price table; null if the price was unknown.
    amount: int | None = Field(default=None, sa_type=BigInteger, nullable=True)
    prices: str
    # The parts of the amount, and the API's report about the call (see generation.usage and resolvers.requests).
    details: Json | None = Field(default=None, sa_type=_JSON_OR_NULL, nullable=True)
    day: date = Field(sa_type=Date)
    created_at: datetime = _time()


class Blob(SQLModel, table=True):
    """The bytes of an upload. They are stored under this id as long as an attachment refers to it."""

    __tablename__: ClassVar[Any] = "blobs"

    id: UUID = Field(default_factory=new_id, primary_key=True)
    # Its id in Claude's Files API, if it was uploaded there.
    file_id: str | None = None
    # The type of the converted content, which is stored next to the bytes. Null if Claude receives the bytes.
    converted_type: str | None = None
    created_at: datetime = _time()


class Attachment(SQLModel, table=True):
    """A file of a user, whose content was verified. The first message with it assigns it to a conversation."""

    __tablename__: ClassVar[Any] = "attachments"
    __table_args__: ClassVar[Any] = tuple(
        Index(f"attachments_by_{name}", f"{name}_id") for name in ("conversation", "blob", "owner")
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    owner_id: UUID = _reference("users.id")
    conversation_id: UUID | None = _reference("conversations.id", nullable=True)
    blob_id: UUID = Field(foreign_key="blobs.id")
    filename: str
    media_type: str
    size_bytes: int = _count()
    # The content that Claude receives: an image's pixels, a PDF's pages, or a text's characters. Claude limits them.
    width: int | None = None
    height: int | None = None
    pages: int | None = None
    characters: int | None = None
    # The size of the converted content that Claude receives. Null if Claude receives the file.
    sent_bytes: int | None = None
    created_at: datetime = _time()


class IdempotencyKey(SQLModel, table=True):
    """An idempotency key of a client, stored in the transaction that stores its message. It is valid for 24 hours."""

    __tablename__: ClassVar[Any] = "idempotency_keys"
    __table_args__: ClassVar[Any] = (Index("idempotency_keys_by_generation", "generation_id"),)

    owner_id: UUID = _reference("users.id", primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: str
    generation_id: UUID = _reference("generations.id")
    created_at: datetime = _time()


class ChangeKind(StrEnum):
    """The kind of a change to a conversation."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    GENERATION_STARTED = "generation_started"
    GENERATION_ENDED = "generation_ended"


class ConversationChange(SQLModel, table=True):
    """A change to one of an owner's conversations. Changes are numbered from 1 without gaps, and kept for a day.

    The references are not foreign keys, because a change outlives its conversation and its generation.
    """

    __tablename__: ClassVar[Any] = "conversation_changes"
    __table_args__: ClassVar[Any] = (Index("conversation_changes_by_age", "created_at"),)

    owner_id: UUID = _reference("users.id", primary_key=True)
    sequence: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    kind: ChangeKind = Field(sa_type=_words(ChangeKind))
    conversation_id: UUID
    generation_id: UUID | None = None
    created_at: datetime = _time()
