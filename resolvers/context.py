"""The context of resolvers: the viewer and the server's services. It has no session and caches no rows."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypeVar
from uuid import UUID

from strawberry.fastapi import BaseContext
from strawberry.types import Info as StrawberryInfo

from tertulia.assistants.catalog import AssistantCatalog, OfferedAssistants
from tertulia.attachments.files import Files
from tertulia.billing.budget import Budget
from tertulia.claude.models import AllowedModels, Models
from tertulia.db import api_calls, attachments, conversations, generated_files, generations, messages
from tertulia.db.database import AsyncSession, Database, ReadSnapshot
from tertulia.db.generated_files import GeneratedFile
from tertulia.db.rows import ConversationRow, GenerationRow, MessageRow
from tertulia.db.tables import ApiCall, Attachment
from tertulia.generation.finalizer import CHANGED
from tertulia.generation.manager import GenerationManager
from tertulia.generation.observer import GenerationObserver
from tertulia.generation.retry import retry_while_unavailable
from tertulia.hooks import Hooks
from tertulia.ratelimit.limits import Limits, Subscriptions
from tertulia.ratelimit.plans import Plans
from tertulia.resolvers.followed_rows import FollowedRows
from tertulia.resolvers.limit_hits import LimitHitCounter
from tertulia.resolvers.loading import Loader
from tertulia.resolvers.server_info import ServerInfo
from tertulia.resolvers.sharing import Sharing
from tertulia.streams.log import EventLog, Signals
from tertulia.streams.notifier import Notifier
from tertulia.tools.mcp.servers import McpServers
from tertulia.tools.registry import ToolRegistry
from tertulia.viewer import OPERATOR, Viewer

LOADED_BY = "loaded_by"
"""The attribute with which `loaded_by` marks a resolver."""
RESTART_SECONDS = 5.0
"""How long reads for events and mutations are retried while the database is unavailable, such as during its restart."""
Row = TypeVar("Row")
Reading = Callable[[], AbstractAsyncContextManager[AsyncSession]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredViewer(Viewer):
    """A viewer with a row in the table of users.

    Attributes:
        user_id: The id of the row, which is the `owner_id` of the viewer's conversations.
        user_name: The name in the row, which is unique.
        user_subject: The user's id at the identity provider or in the application; None if there is none.
        assigned_plan: The plan that the operator has assigned to the user; None for that of the claims.
        signed_in: Whether the user has signed in: with a token of this server or of the identity provider, and not
            with a personal access token.
        sign_in_id: The sign-in of the token, in the mode `password`.
    """

    user_id: UUID
    user_name: str
    user_subject: str | None = None
    assigned_plan: str | None = None
    signed_in: bool = False
    sign_in_id: UUID | None = None

    @property
    def is_operator(self) -> bool:
        """Whether the viewer may manage the server."""
        return OPERATOR in self.roles


class FieldContext(Protocol):
    """The type of `info.context` in resolvers of GraphQL fields that the application adds.

    Annotate the parameter as `info: strawberry.Info[FieldContext]`.
    """

    @property
    def viewer(self) -> Viewer:
        """The authenticated caller: the viewer that `authenticate` returned, or the user who signed in."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """The services that resolvers use, created once by `create_app`."""

    database: Database
    log: EventLog
    generation_manager: GenerationManager
    models: Models
    files: Files
    budget: Budget
    signals: Signals
    subscriptions: Subscriptions
    limits: Limits
    limit_hits: LimitHitCounter
    tool_registry: ToolRegistry
    assistants: AssistantCatalog
    mcp: McpServers
    observer: GenerationObserver
    hooks: Hooks
    sharing: Sharing
    personal_token_days: float | None
    info: ServerInfo
    notifier: Notifier = field(default_factory=Notifier)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    followed_rows: FollowedRows = field(init=False)

    def __post_init__(self) -> None:
        """Create what all contexts share."""
        object.__setattr__(self, "followed_rows", FollowedRows(self.database))

    @property
    def plans(self) -> Plans:
        """The plans of viewers."""
        return self.budget.plans


class Loaders:
    """Loads rows of one viewer. It cannot load rows of other owners.

    Each loader combines the requests of one turn of the event loop into one query. Nothing is cached, because rows
    change during the life of a socket. Outside a snapshot, a read is retried for RESTART_SECONDS while the database is
    unavailable: an event, or the result of a mutation, is sent once, so a failed read would lose a part of it. Nothing
    is retried in a query, whose snapshot ends with the connection to the database.
    """

    def __init__(self, database: Database | ReadSnapshot, owner: UUID) -> None:
        self._database = database
        self._owner = owner

    @cached_property
    def conversations(self) -> Loader[UUID, ConversationRow]:
        """Conversations by id."""
        return self._loader(conversations.read_many)

    @cached_property
    def messages(self) -> Loader[UUID, MessageRow]:
        """Messages by id."""
        return self._loader(messages.read_many)

    @cached_property
    def generations(self) -> Loader[UUID, GenerationRow]:
        """Generations by id."""
        return self._loader(generations.read_many)

    @cached_property
    def generation_of(self) -> Loader[UUID, GenerationRow]:
        """Generations by the id of the message that they write."""
        return self._loader(generations.read_of_messages)

    @cached_property
    def requests_of(self) -> Loader[UUID, list[ApiCall]]:
        """The requests to Claude's API for an answer, by the generation's id."""
        return self._loader(api_calls.of_generations)

    @cached_property
    def versions_of(self) -> Loader[UUID, list[MessageRow]]:
        """All versions of a message that has others, by its id."""
        return self._loader(messages.versions)

    @cached_property
    def attachments(self) -> Loader[UUID, Attachment]:
        """Attachments by id."""
        return self._loader(attachments.get_many)

    @cached_property
    def generated_files(self) -> Loader[UUID, list[GeneratedFile]]:
        """The files that Claude made for a message, by the message's id."""
        return self._loader(generated_files.of_messages)

    @cached_property
    def context_tokens(self) -> Loader[UUID, int]:
        """The number of tokens in use after a message, by the message's id."""
        return self._loader(messages.context_tokens)

    @cached_property
    def active_in(self) -> Loader[UUID, GenerationRow]:
        """The generation that is running in a conversation, or else the first queued one, by the conversation's id."""
        return self._loader(generations.active)

    def _loader(
        self,
        get_many: Callable[[AsyncSession, UUID, Sequence[UUID]], Awaitable[dict[UUID, Row]]],
    ) -> Loader[UUID, Row]:
        database = self._database

        async def read(ids: Sequence[UUID]) -> dict[UUID, Row]:
            async with database.read() as session:
                return await get_many(session, self._owner, ids)

        if not isinstance(database, Database):
            return Loader(read)
        return Loader(lambda ids: retry_while_unavailable(database, lambda: read(ids), RESTART_SECONDS))


class Context(BaseContext):
    """The context of one request or one socket."""

    def __init__(
        self, services: Services, viewer: StoredViewer, address: str | None = None, root_path: str = ""
    ) -> None:
        """Create a context for a viewer.

        Args:
            services: The server's services.
            viewer: The authenticated caller.
            address: The client's network address, for the audit log.
            root_path: The prefix under which the server is mounted, such as `/ai`.
        """
        super().__init__()
        self.services = services
        self.set_viewer(viewer)
        self.address = address
        self._root_path = root_path.rstrip("/")
        self.database = services.database
        self.read: Reading = services.database.read
        """Opens a read-only transaction. In a query, it opens the snapshot that all reads of the query share."""
        self.loaders = Loaders(services.database, viewer.user_id)
        self.log = services.log
        self.generation_manager = services.generation_manager
        self.notifier = services.notifier

    def set_viewer(self, viewer: StoredViewer) -> None:
        """Set the viewer, and apply the viewer's plan. The claims and the plan of a viewer may change."""
        self.viewer = viewer
        self.plan = self.services.plans.of_viewer(viewer.assigned_plan, viewer.claims)
        self.limits = self.plan.limits(self.services.limits)
        self.models = AllowedModels(self.services.models, self.plan.models)
        self.assistants = OfferedAssistants(self.services.assistants, self.plan.assistants)

    @asynccontextmanager
    async def read_snapshot(self) -> AsyncGenerator["Context"]:
        """Open a copy of this context for one query. All of its reads come from the same snapshot."""
        async with self.database.read_snapshot() as snapshot:
            context = copy(self)
            context.read, context.loaders = snapshot.read, Loaders(snapshot, self.viewer.user_id)
            yield context

    def renew_loaders(self) -> None:
        """Replace the loaders, which keep the rows of their last batch in memory."""
        self.loaders = Loaders(self.database, self.viewer.user_id)

    async def read_with_answer(self, generation_id: UUID) -> tuple[GenerationRow, MessageRow] | None:
        """Return one of the viewer's generations with the message that it writes; None if there is no such generation.

        Outside a query, all followers that read in the same turn of the event loop share one transaction. Unlike other
        reads, this one is not retried while the database is unavailable: followers also read the log.
        """
        if self.read == self.database.read:
            return await self.services.followed_rows.read(self.viewer.user_id, generation_id)
        async with self.read() as session:
            return (await generations.with_answers(session, self.viewer.user_id, [generation_id])).get(generation_id)

    def path(self, route: str) -> str:
        """Return the path of a route for clients, including the prefix under which the server is mounted."""
        return self._root_path + route

    def changed(self) -> None:
        """Notify all subscribers to the viewer's conversations, in every process. Call this after the commit."""
        self.services.signals.send(CHANGED, self.viewer.user_id)


Info = StrawberryInfo[Context, Any]


@dataclass(frozen=True, slots=True)
class LoadedBy:
    """How a field is loaded for many objects together."""

    loader: Callable[[Loaders], Loader[UUID, Any]]
    key: Callable[[Any], UUID | None]
    value: Callable[[Any, Any], Any] | None

    def load_many(self, context: Context, roots: Sequence[Any]) -> Awaitable[list[Any]]:
        """Return the values of the field, in the order of the objects."""
        rows = self.loader(context.loaders).load_many([self.key(root) for root in roots])
        return rows if self.value is None else self._values(self.value, rows, roots)

    async def _values(
        self, value: Callable[[Any, Any], Any], rows: Awaitable[list[Any]], roots: Sequence[Any]
    ) -> list[Any]:
        return [value(root, row) for root, row in zip(roots, await rows, strict=True)]


Resolver = TypeVar("Resolver", bound=Callable[..., Any])


def loaded_by(
    loader: Callable[[Loaders], Loader[UUID, Any]],
    key: Callable[[Any], UUID | None],
    value: Callable[[Any, Any], Any] | None = None,
) -> Callable[[Resolver], Resolver]:
    """Declare that a resolver returns the row that a loader returns for a key, so that lists load their rows together.

    Args:
        loader: Selects the loader.
        key: Returns the key of the object; None if the field is null.
        value: Returns the value of the field for the object and its row, which is None if it does not exist. By default
            the value is the row.
    """

    def declare(resolver: Resolver) -> Resolver:
        setattr(resolver, LOADED_BY, LoadedBy(loader, key, value))
        return resolver

    return declare


def as_uuid(text: str) -> UUID | None:
    """Parse an id from a client; return None for text that is not a UUID in its canonical form."""
    try:
        uuid = UUID(text)
    except ValueError:
        return None
    return uuid if str(uuid) == text.lower() else None
