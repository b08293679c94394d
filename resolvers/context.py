"""The context of resolvers: the viewer and the parts of the server. It has no session and caches no rows."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypeVar
from uuid import UUID

from strawberry.dataloader import DataLoader
from strawberry.fastapi import BaseContext
from strawberry.types import Info as StrawberryInfo

from tertulia.attachments.files import Files
from tertulia.billing.budget import Budget
from tertulia.claude.models import Models
from tertulia.db import attachments, conversations, generations, messages
from tertulia.db.database import AsyncSession, Database, ReadSnapshot
from tertulia.db.tables import Attachment, Conversation, Generation, Message
from tertulia.generation.finalizer import CHANGED
from tertulia.generation.manager import GenerationManager
from tertulia.generation.observer import GenerationObserver
from tertulia.ratelimit.limits import Limits, Subscriptions
from tertulia.streams.log import EventLog, Signals
from tertulia.streams.notifier import Notifier
from tertulia.tools.mcp.servers import McpServers
from tertulia.tools.registry import ToolRegistry

LOADED_AT_ONCE = 200
"""The most rows that a loader reads at once: about 5 ms of work between two waits for the database."""
Row = TypeVar("Row")
Reading = Callable[[], AbstractAsyncContextManager[AsyncSession]]


@dataclass(frozen=True, slots=True)
class Viewer:
    """The authenticated caller.

    Attributes:
        id: A text of 1 to 255 characters that identifies the user. It must never change: conversations belong to it.
        name: The name of the user, for people.
        claims: Any other data that the application has about the user. It is not stored.
    """

    id: str
    name: str
    claims: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredViewer(Viewer):
    """A viewer who has a row in the table of users. `user_id`: its id, which conversations name as their owner."""

    user_id: UUID


class FieldContext(Protocol):
    """What `info.context` is in the resolver of a GraphQL field that the application has added.

    Annotate it as `info: strawberry.Info[FieldContext]`.
    """

    @property
    def viewer(self) -> Viewer:
        """The authenticated caller: what `authenticate` returned, or the user who signed in."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of the server that resolvers use; created once by `create_app`."""

    database: Database
    log: EventLog
    generation_manager: GenerationManager
    models: Models
    files: Files
    budget: Budget
    signals: Signals
    notifier: Notifier
    closing: asyncio.Event
    subscriptions: Subscriptions
    limits: Limits
    tool_registry: ToolRegistry
    mcp: McpServers
    observer: GenerationObserver


class Loaders:
    """Loads one viewer's rows; rows of other owners cannot be loaded.

    Loaders batch the requests of one tick. They cache nothing, because rows change during the life of a socket.
    """

    def __init__(self, database: Database | ReadSnapshot, owner: UUID) -> None:
        self._database = database
        self._owner = owner

    @cached_property
    def conversations(self) -> DataLoader[UUID, Conversation | None]:
        """Conversations by id."""
        return self._loader(conversations.get_many)

    @cached_property
    def messages(self) -> DataLoader[UUID, Message | None]:
        """Messages by id."""
        return self._loader(messages.get_many)

    @cached_property
    def generations(self) -> DataLoader[UUID, Generation | None]:
        """Generations by id."""
        return self._loader(generations.get_many)

    @cached_property
    def with_answers(self) -> DataLoader[UUID, tuple[Generation, Message] | None]:
        """Generations by id, each with the message that it writes."""
        return self._loader(generations.with_answers)

    @cached_property
    def generation_of(self) -> DataLoader[UUID, Generation | None]:
        """Generations by the id of the message that they write."""
        return self._loader(generations.of_messages)

    @cached_property
    def siblings_of(self) -> DataLoader[UUID, list[Message] | None]:
        """All versions of a message, by its id."""
        return self._loader(messages.siblings)

    @cached_property
    def attachments(self) -> DataLoader[UUID, Attachment | None]:
        """Attachments by id."""
        return self._loader(attachments.get_many)

    @cached_property
    def context_tokens(self) -> DataLoader[UUID, int | None]:
        """The tokens of the context window that are in use after an answer, by its message's id."""
        return self._loader(messages.context_tokens)

    @cached_property
    def active_in(self) -> DataLoader[UUID, Generation | None]:
        """The generation that runs in a conversation, or is queued first, by the conversation's id."""
        return self._loader(generations.active)

    def _loader(
        self, get_many: Callable[[AsyncSession, UUID, Sequence[UUID]], Awaitable[dict[UUID, Row]]]
    ) -> DataLoader[UUID, Row | None]:
        async def load(ids: list[UUID]) -> list[Row | None]:
            async with self._database.read() as session:
                rows = await get_many(session, self._owner, list(set(ids)))
            return [rows.get(id) for id in ids]

        return DataLoader(load_fn=load, cache=False, max_batch_size=LOADED_AT_ONCE)


class Context(BaseContext):
    """One request's or one socket's context."""

    def __init__(
        self, services: Services, viewer: StoredViewer, address: str | None = None, root_path: str = ""
    ) -> None:
        """Create a context for a viewer.

        Args:
            services: The parts of the server.
            viewer: The authenticated caller.
            address: The client's network address, for the audit log.
            root_path: The prefix under which the server is mounted, such as `/ai`.
        """
        super().__init__()
        self.services = services
        self.viewer = viewer
        self.address = address
        self._root_path = root_path.rstrip("/")
        self.database = services.database
        self.read: Reading = services.database.read
        """Opens a read-only transaction; within a query, that of its snapshot."""
        self.loaders = Loaders(services.database, viewer.user_id)
        self.log = services.log
        self.generation_manager = services.generation_manager
        self.models = services.models
        self.notifier = services.notifier

    @asynccontextmanager
    async def at_one_moment(self) -> AsyncGenerator["Context"]:
        """Open the context of one query, which reads everything from the same snapshot."""
        async with self.database.read_snapshot() as snapshot:
            context = copy(self)
            context.read, context.loaders = snapshot.read, Loaders(snapshot, self.viewer.user_id)
            yield context

    def path(self, route: str) -> str:
        """Return the path of a route for clients, with the prefix under which the server is mounted."""
        return self._root_path + route

    def changed(self) -> None:
        """Notify all followers of the viewer's conversations, in every process. Call it after the commit."""
        self.services.signals.send(CHANGED, self.viewer.user_id)


Info = StrawberryInfo[Context, Any]


def as_uuid(text: str) -> UUID | None:
    """Parse an id from a client; return None for text that cannot be an id of this server."""
    try:
        uuid = UUID(text)
    except ValueError:
        return None
    return uuid if str(uuid) == text.lower() else None
