"""Connections of users to MCP servers with OAuth. Everything secret is encrypted (see `tools.mcp.oauth.encryption`)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import JSON, Index, Text, delete, func, or_, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db import leases
from tertulia.db.inserting import insert
from tertulia.db.tables import METADATA, UtcDateTime, new_id, now, optional_time
from tertulia.json import Json


def _owner() -> Any:
    return Field(foreign_key="users.id", ondelete="CASCADE", nullable=False)


def _time() -> Any:
    return Field(default_factory=now, sa_type=UtcDateTime, nullable=False)


class ToolClient(SQLModel, table=True):
    """The registration of Tertulia at an authorization server (RFC 7591), which all users share."""

    __tablename__: ClassVar[Any] = "tool_clients"
    __table_args__: ClassVar[Any] = (Index("tool_clients_by_issuer", "server", "issuer", "redirect_uri", unique=True),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    server: str
    issuer: str
    redirect_uri: str
    secrets: str = Field(sa_type=Text)
    created_at: datetime = _time()


class ToolAuthorization(SQLModel, table=True):
    """An authorization that a user has begun. It is found by the hash of a secret, which changes with each step."""

    __tablename__: ClassVar[Any] = "tool_authorizations"
    __table_args__: ClassVar[Any] = (
        Index("tool_authorizations_by_owner", "owner_id"),
        Index("tool_authorizations_by_expiry", "expires_at"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    owner_id: UUID = _owner()
    server: str
    digest: str = Field(unique=True)
    # Whether the authorization server has sent the code.
    has_code: bool = False
    return_to: str = Field(sa_type=Text)
    secrets: str = Field(sa_type=Text)
    expires_at: datetime = Field(sa_type=UtcDateTime, nullable=False)


class ToolConnection(SQLModel, table=True):
    """The connection of a user to a server. Without `secrets`, the user must authorize it again."""

    __tablename__: ClassVar[Any] = "tool_connections"
    __table_args__: ClassVar[Any] = (Index("tool_connections_by_owner", "owner_id", "server", unique=True),)

    id: UUID = Field(default_factory=new_id, primary_key=True)
    owner_id: UUID = _owner()
    server: str
    secrets: str | None = Field(default=None, sa_type=Text)
    # The scopes that a tool needs in addition to those that were granted.
    missing_scope: str | None = Field(default=None, sa_type=Text)
    # The tools that the server listed last for this user.
    tools: list[Json] = Field(default=[], sa_type=JSON)
    # It grows with each change of the secrets.
    version: int = 0
    # Until then, one process refreshes the tokens.
    refreshing_until: datetime | None = optional_time()
    created_at: datetime = _time()


_AUTHORIZATIONS = METADATA.tables["tool_authorizations"]
_CONNECTIONS = METADATA.tables["tool_connections"]


WithSecrets = type[ToolClient] | type[ToolAuthorization] | type[ToolConnection]
WITH_SECRETS: tuple[WithSecrets, ...] = (ToolClient, ToolAuthorization, ToolConnection)
"""The tables with encrypted values."""


@dataclass(frozen=True, slots=True)
class Encrypted:
    """An encrypted value, and the id of its row."""

    id: UUID
    secrets: str = field(repr=False)


async def encrypted(session: AsyncSession, table: WithSecrets, after: UUID | None, most: int) -> list[Encrypted]:
    """Return up to `most` encrypted values of a table, ordered by id, those after the row `after`."""
    query = select(table.id, table.secrets).where(col(table.secrets).is_not(None)).order_by(col(table.id)).limit(most)
    if after is not None:
        query = query.where(col(table.id) > after)
    return [Encrypted(id, secrets) for id, secrets in (await session.exec(query)).all() if secrets is not None]


async def replace_encrypted(session: AsyncSession, table: WithSecrets, row: Encrypted, secrets: str) -> int:
    """Store the same value with another encryption. Return 0 if the value has changed since it was read, else 1."""
    # The version stays, so that a refresh of the tokens that is running can store its result.
    where = (col(table.id) == row.id, col(table.secrets) == row.secrets)
    return (await session.exec(update(table).where(*where).values(secrets=secrets))).rowcount


async def client(session: AsyncSession, server: str, issuer: str, redirect_uri: str) -> ToolClient | None:
    """Return the registration at an issuer, if there is one."""
    query = select(ToolClient).where(
        ToolClient.server == server, ToolClient.issuer == issuer, ToolClient.redirect_uri == redirect_uri
    )
    return (await session.exec(query)).one_or_none()


async def add_client(session: AsyncSession, row: ToolClient) -> ToolClient:
    """Store a registration. Return it, or the one that another process has stored first."""
    adding = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    await session.exec(adding(ToolClient).values(**row.model_dump()).on_conflict_do_nothing())
    return await client(session, row.server, row.issuer, row.redirect_uri) or row


async def remove_client(session: AsyncSession, server: str, issuer: str) -> None:
    """Delete the registrations at an issuer, which no longer accepts them."""
    await session.exec(delete(ToolClient).where(col(ToolClient.server) == server, col(ToolClient.issuer) == issuer))


async def begin(session: AsyncSession, row: ToolAuthorization) -> None:
    """Store a new authorization."""
    await insert(session, [row])


async def trim(session: AsyncSession, most: int) -> int:
    """Delete up to `most` expired authorizations. Return how many were deleted."""
    expired = select(ToolAuthorization.id).where(col(ToolAuthorization.expires_at) <= now()).limit(most)
    expired = expired.with_for_update(skip_locked=True)
    return (await session.exec(delete(ToolAuthorization).where(col(ToolAuthorization.id).in_(expired)))).rowcount


async def exists(session: AsyncSession, digest: str) -> bool:
    """Return whether there is an authorization with the hash of a secret, which may have expired."""
    query = select(ToolAuthorization.id).where(ToolAuthorization.digest == digest)
    return (await session.exec(query)).one_or_none() is not None


async def take(session: AsyncSession, digest: str, *, has_code: bool) -> ToolAuthorization | None:
    """Delete a valid authorization and return it, so that its secret works once. Return None if there is none."""
    where = (_AUTHORIZATIONS.c.digest == digest, _AUTHORIZATIONS.c.has_code == has_code)
    owner = (await session.exec(select(ToolAuthorization.owner_id).where(*where))).one_or_none()
    if owner is None:
        return None
    # Before the row, as a deletion of the owner does: the transaction may store another row of the owner.
    await leases.lock_owner(session, owner)
    deletion = delete(_AUTHORIZATIONS).where(*where).returning(*_AUTHORIZATIONS.c)
    connection = await session.connection()
    values = (await connection.execute(deletion)).mappings().one_or_none()
    row = None if values is None else ToolAuthorization(**values)
    return row if row is not None and row.expires_at > now() else None


async def of_owner(session: AsyncSession, owner: UUID) -> Sequence[ToolConnection]:
    """Return the connections of a user, ordered by server."""
    query = select(ToolConnection).where(ToolConnection.owner_id == owner)
    return (await session.exec(query.order_by(col(ToolConnection.server)))).all()


async def get(session: AsyncSession, owner: UUID, server: str) -> ToolConnection | None:
    """Return the connection of a user to a server, if there is one."""
    query = select(ToolConnection).where(ToolConnection.owner_id == owner, ToolConnection.server == server)
    return (await session.exec(query)).one_or_none()


async def replace(session: AsyncSession, row: ToolConnection) -> None:
    """Store a new connection in place of the user's earlier one to the same server, whose tools it keeps."""
    await leases.lock_owner(session, row.owner_id)
    earlier = await get(session, row.owner_id, row.server)
    if earlier is not None:
        row.tools = earlier.tools
        await session.exec(delete(ToolConnection).where(col(ToolConnection.id) == earlier.id))
    await insert(session, [row])


async def remove(session: AsyncSession, owner: UUID, server: str) -> ToolConnection | None:
    """Delete the connection of a user to a server. Return it, or None if there is none."""
    row = await get(session, owner, server)
    if row is not None:
        await session.exec(delete(ToolConnection).where(col(ToolConnection.id) == row.id))
    return row


async def claim_refresh(session: AsyncSession, row: ToolConnection, seconds: float) -> bool:
    """Reserve the refresh of a connection for this process. Return False if another one refreshes it or has done so."""
    is_free = or_(_CONNECTIONS.c.refreshing_until.is_(None), _CONNECTIONS.c.refreshing_until <= now())
    claiming = update(_CONNECTIONS).where(_same(row), is_free)
    done = await session.exec(claiming.values(refreshing_until=now() + timedelta(seconds=seconds)))
    return bool(done.rowcount)


async def change(session: AsyncSession, row: ToolConnection, secrets: str | None) -> bool:
    """Replace the secrets of a connection, and end its refresh. Return False if they have changed since `row`."""
    values = {"secrets": secrets, "version": row.version + 1, "refreshing_until": None}
    done = await session.exec(update(_CONNECTIONS).where(_same(row)).values(**values))
    return bool(done.rowcount)


async def end_refresh(session: AsyncSession, row: ToolConnection) -> None:
    """End a refresh that has failed, so that it can be tried again."""
    await session.exec(update(_CONNECTIONS).where(_same(row)).values(refreshing_until=None))


async def require_scope(session: AsyncSession, row: ToolConnection, scope: str) -> None:
    """Store the scopes that the user must grant in addition."""
    await session.exec(update(_CONNECTIONS).where(_same(row)).values(missing_scope=scope))


async def store_tools(session: AsyncSession, connection_id: UUID, tools: Sequence[Json]) -> None:
    """Store the tools that the server has listed for the user of a connection."""
    await session.exec(update(_CONNECTIONS).where(_CONNECTIONS.c.id == connection_id).values(tools=list(tools)))


def _same(row: ToolConnection) -> Any:
    return (_CONNECTIONS.c.id == row.id) & (_CONNECTIONS.c.version == row.version)


async def count_by_server(session: AsyncSession) -> dict[str, int]:
    """Return the number of users who are connected to each server, by its name. Not limited to an owner."""
    query = select(ToolConnection.server, func.count()).where(col(ToolConnection.secrets).is_not(None))
    rows = (await session.exec(query.group_by(ToolConnection.server))).all()
    return dict(rows)
