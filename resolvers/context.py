"""What every resolver gets: who asks, and the parts of the server. No session, and nothing that remembers rows."""

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
"""Rows that a loader makes of one result: about 5 ms of work between two waits for the database."""
Row = TypeVar("Row")
Reading = Callable[[], AbstractAsyncContextManager[AsyncSession]]


@dataclass(frozen=True, slots=True)
class Viewer:
    """The authenticated caller.

    Attributes:
        id: A text of 1 to 255 characters that identifies the user. It must never change: conversations belong to it.
        name: The name of the user, for people.
        claims: Anything else that the application knows of the user. It is not stored.
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
    """The parts of the server that resolvers use; made once by `create_app`."""

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
    watch: GenerationObserver


class Loaders:
    """Loads rows of one viewer's: nothing can be loaded past its owner.

    They batch what one tick asks for and remember nothing: a socket lives long, and rows change under it.
    """

    def __init__(self, database: Database | ReadSnapshot, owner: UUID) -> None:
        """Make none yet: a socket needs few of them."""
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
        """How much of the window is in use behind an answer, by its message's id."""
        return self._loader(messages.context_tokens)

    @cached_property
    def active_in(self) -> DataLoader[UUID, Generation | None]:
        """By conversation: what runs in it, or waits first in its line."""
        return self._loader(generations.active)

    def _loader(
        self, get_many: Callable[[AsyncSession, UUID, Sequence[UUID]], Awaitable[dict[UUID, Row]]]
    ) -> DataLoader[UUID, Row | None]:
        async def load(ids: list[UUID]) -> list[Row | None]:
            async with self._database.read() as session:
                found = await get_many(session, self._owner, list(set(ids)))
            return [found.get(wanted) for wanted in ids]

        return DataLoader(load_fn=load, cache=False, max_batch_size=LOADED_AT_ONCE)


class Context(BaseContext):
    """One request's or one socket's context."""

    def __init__(
        self, services: Services, viewer: StoredViewer, address: str | None = None, root_path: str = ""
    ) -> None:
        """Bind all to the viewer.

        Args:
            services: The parts of the server.
            viewer: The authenticated caller.
            address: Where they ask from, for the audit log.
            root_path: The prefix under which the server is mounted, such as `/ai`.
        """
        super().__init__()
        self.services = services
        self.viewer = viewer
        self.address = address
        self._root_path = root_path.rstrip("/")
        self.database = services.database
        self.read: Reading = services.database.read
        """Opens a transaction that only reads; within a query, the one of its moment."""
        self.loaders = Loaders(services.database, viewer.user_id)
        self.log = services.log
        self.generation_manager = services.generation_manager
        self.models = services.models
        self.notifier = services.notifier

    @asynccontextmanager
    async def at_one_moment(self) -> AsyncGenerator["Context"]:
        """Give the context of one query: whatever it reads was so at the same moment."""
        async with self.database.moment() as moment:
            made = copy(self)
            made.read, made.loaders = moment.read, Loaders(moment, self.viewer.user_id)
            yield made

    def path(self, route: str) -> str:
        """Return the path of a route as clients have it, with the prefix under which the server is mounted."""
        return self._root_path + route

    def changed(self) -> None:
        """Wake who follows the viewer's conversations, in every process; after the commit."""
        self.services.signals.send(CHANGED, self.viewer.user_id)


Info = StrawberryInfo[Context, Any]


def as_uuid(text: str) -> UUID | None:
    """Read an id as clients send it; None for what can be no id of ours."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text.lower() else None
