"""Imports of conversations from Tertulia's own export or Claude's. Each becomes a new conversation of the viewer.
Memories are added to those of the viewer: a file that exists already is not changed.

A file is read twice, item by item, in a thread: first to validate all of it, then to store it. A conversation with many
messages is stored in several transactions, so that others can write in between. Until the last one, it is a temporary
conversation, which is not in any list, and which retention deletes if the import is interrupted.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from tertulia.attachments.files import source_of
from tertulia.db import changes, conversations, leases, memories, metadata, search
from tertulia.db.database import AsyncSession
from tertulia.db.generated_files import GeneratedFile
from tertulia.db.inserting import insert
from tertulia.db.tables import (
    UNFINISHED,
    Attachment,
    ChangeKind,
    Conversation,
    Generation,
    Message,
    Status,
    new_id,
    now,
)
from tertulia.json import Json, encode
from tertulia.resolvers.context import Context
from tertulia.resolvers.errors import InvalidInput
from tertulia.sandbox.process import SandboxBusyError
from tertulia.sandbox.turns import TURNS
from tertulia.tools.memory_files import size_problem
from tertulia.transfer.format import (
    AttachedFile,
    BlocksLeftOut,
    ConversationItem,
    FileLine,
    GenerationLine,
    Item,
    MemoryLine,
    MessageLine,
)
from tertulia.transfer.imported_conversations import conversation_of
from tertulia.transfer.parser import items
from tertulia.transfer.repetitions import imported_id, is_imported

ITEMS_AT_ONCE = 100
"""The number of items that are read at once, and of messages that are stored in a transaction."""
BYTES_AT_ONCE = 4 * 1024 * 1024
"""The size of the messages that are read at once."""
_READERS = ThreadPoolExecutor(2, thread_name_prefix="import")
"""The threads that read files. A thread waits while an attachment is decoded, so others must not need it."""
FINAL_COLUMNS = ("temporary", "updated_at", "active_leaf_id", "external_id")
"""The columns that differ until the last messages of a conversation are stored."""


@dataclass(slots=True)
class Imported:
    """The numbers of imported objects, and of blocks that were left out because this server does not support them."""

    conversation_ids: list[UUID] = field(default_factory=list[UUID])
    messages: int = 0
    attachments: int = 0
    memories: int = 0
    blocks_left_out: int = 0
    skipped: int = 0
    """The number of conversations that the viewer had already."""


@dataclass(slots=True)
class Contents:
    """The numbers of objects in a file."""

    conversations: int = 0
    messages: int = 0
    attachments: int = 0
    memories: int = 0


async def check_file(context: Context, file: Path) -> Contents:
    """Validate all of a file, and store nothing.

    Raises:
        InvalidInput: A conversation is not valid.
    """
    with tempfile.TemporaryDirectory(prefix="tertulia-") as folder:
        return await _check(context, file, Path(folder))


async def import_file(context: Context, file: Path, *, skips_existing: bool = False) -> Imported:
    """Store all conversations of a file.

    Args:
        context: The context of the viewer.
        file: The file.
        skips_existing: Skip conversations that the viewer has already. Otherwise, each is stored as a new one.

    Raises:
        InvalidInput: A conversation is not valid. Nothing is stored.
    """
    with tempfile.TemporaryDirectory(prefix="tertulia-") as folder:
        await _check(context, file, Path(folder))
        importing = _Importing(context, skips_existing=skips_existing)
        async for batch in _batches(context, file, Path(folder)):
            for item in batch:
                await importing.add(item)
        await importing.finish()
    return importing.imported


async def _check(context: Context, file: Path, folder: Path) -> Contents:
    contents = Contents()
    await context.models.list()
    async for batch in _batches(context, file, folder):
        for item in batch:
            if isinstance(item, ConversationItem):
                await conversation_of(context, item)
            contents.conversations += isinstance(item, ConversationItem)
            contents.messages += isinstance(item, MessageLine)
            contents.attachments += isinstance(item, AttachedFile)
            contents.memories += isinstance(item, MemoryLine)
    return contents


async def _batches(context: Context, file: Path, folder: Path) -> AsyncIterator[list[Item]]:
    item_iterator = items(file, folder, context.models.default_id)
    try:
        while batch := await _next_batch(context.viewer.user_id, item_iterator):
            yield batch
    finally:
        await asyncio.to_thread(item_iterator.close)


async def _next_batch(owner: UUID, item_iterator: Iterator[Item]) -> list[Item]:
    try:
        async with TURNS.of(owner):
            return await asyncio.get_running_loop().run_in_executor(_READERS, _batch, item_iterator)
    except SandboxBusyError:
        problem = "cannot be read now, because many other files of yours are being read. Try again."
        raise InvalidInput("file", problem) from None


def _batch(item_iterator: Iterator[Item]) -> list[Item]:
    batch: list[Item] = []
    size = 0
    for item in item_iterator:
        batch.append(item)
        size += len(encode(item.content)) if isinstance(item, MessageLine) else 0
        # The file of an attachment exists only until the next item is read.
        if len(batch) >= ITEMS_AT_ONCE or size >= BYTES_AT_ONCE or isinstance(item, AttachedFile):
            break
    return batch


class _Importing:
    """Stores items. It buffers the items of a conversation that the next transaction inserts."""

    def __init__(self, context: Context, *, skips_existing: bool) -> None:
        """Create an importer that has not stored anything."""
        self.imported = Imported()
        self._skips_existing = skips_existing
        self._context = context
        self._conversation: Conversation | None = None
        self._leaf: str | None = None
        self._stored = False
        self._ids: dict[str, UUID] = {}
        self._depths: dict[str, int] = {}
        self._attached: dict[str, Attachment] = {}
        self._attachments: list[Attachment] = []
        self._messages: list[Message] = []
        self._generations: list[Generation] = []
        self._files: list[GeneratedFile] = []

    async def add(self, item: Item) -> None:
        """Store an item, or buffer it for the next transaction."""
        match item:
            case ConversationItem():
                await self.finish()
                await self._begin(item)
            case MemoryLine():
                await self._memory(item)
            case _ if self._conversation is None:
                # The conversation is skipped.
                return
            case AttachedFile():
                attachment = await self._attachment(item)
                self._attached[item.line.id] = attachment
                self._attachments.append(attachment)
            case MessageLine():
                self._buffer(item)
                if len(self._messages) >= ITEMS_AT_ONCE:
                    await self._store()
            case BlocksLeftOut():
                self.imported.blocks_left_out += item.count

    async def _begin(self, item: ConversationItem) -> None:
        """Start a conversation, unless it exists and is skipped."""
        if self._skips_existing and await is_imported(self._context, item.line.id):
            self.imported.skipped += 1
            return
        self._conversation, self._leaf = await conversation_of(self._context, item), item.line.active_leaf_id
        if self._skips_existing:
            self._conversation.id = imported_id(self._conversation.owner_id, item.line.id)

    async def finish(self) -> None:
        """Store the buffered items of the current conversation, and complete it."""
        conversation = self._conversation
        if conversation is None:
            return
        last = next(reversed(self._ids.values()), None)
        leaf = self._ids.get(self._leaf or "", last)
        await self._store(final_row=conversation.model_copy(update={"active_leaf_id": leaf}))
        self.imported.conversation_ids.append(conversation.id)
        self.imported.messages += len(self._ids)
        self.imported.attachments += len(self._attached)
        self._context.changed()
        self._conversation, self._stored = None, False
        self._ids, self._depths, self._attached = {}, {}, {}

    async def _store(self, final_row: Conversation | None = None) -> None:
        """Insert the buffered rows.

        Args:
            final_row: The final state of the conversation, together with its last messages; None before that.
        """
        conversation = self._conversation
        if conversation is None:
            return
        owner = conversation.owner_id
        words = await asyncio.to_thread(
            search.insertion,
            "sqlite" if self._context.database.in_turn else "postgresql",
            [(owner, message.id, message.content) for message in self._messages],
        )
        async with self._context.database.write() as session:
            await leases.lock_owner(session, owner)
            if final_row is not None and await _is_taken(session, owner, final_row.external_id):
                final_row = final_row.model_copy(update={"external_id": None})
            if not self._stored:
                await insert(session, [final_row or conversation.model_copy(update=_hidden_values(now()))])
            elif final_row is not None:
                values = {name: getattr(final_row, name) for name in FINAL_COLUMNS}
                await conversations.change(session, owner, final_row.id, values)
            if final_row is not None:
                await metadata.add(session, owner, final_row.id, final_row.app_metadata)
            for rows in (self._attachments, self._messages, self._generations, self._files):
                if rows:
                    await insert(session, rows)
            await search.execute(session, words)
            if final_row is not None:
                await changes.record(session, owner, (ChangeKind.CREATED, final_row.id, None))
        self._stored = True
        self._attachments, self._messages, self._generations, self._files = [], [], [], []

    def _buffer(self, line: MessageLine) -> None:
        conversation = self._conversation
        if conversation is None:
            return
        self._ids[line.id] = id = new_id()
        self._depths[line.id] = self._depths[line.parent_id] + 1 if line.parent_id else 0
        self._messages.append(
            Message(
                id=id,
                conversation_id=conversation.id,
                parent_id=self._ids[line.parent_id] if line.parent_id else None,
                role=line.role,
                depth=self._depths[line.id],
                content=[_with_stored_source(block, self._attached) for block in line.content],
                context=line.context,
                app_metadata=line.metadata,
                rating=line.rating.model_dump(mode="json") if line.rating else None,
                created_at=line.created_at,
            )
        )
        if line.generation is not None:
            self._generations.append(_generation(line.generation, conversation.id, id))
        self._files += [_file(file, id, self._attached) for file in line.files]

    async def _memory(self, line: MemoryLine) -> None:
        """Store a memory, unless the viewer has a file at the same path, or no room for another one."""
        owner = self._context.viewer.user_id
        memory = memories.file_of(owner, line.assistant, line.path, line.content)
        memory.created_at, memory.updated_at = line.created_at, line.updated_at
        async with self._context.database.write() as session:
            await leases.lock_owner(session, owner)
            sizes = await memories.sizes(session, owner, line.assistant)
            if line.path in sizes or size_problem(sizes, line.path, line.content) is not None:
                return
            await insert(session, [memory])
        self.imported.memories += 1

    async def _attachment(self, attached: AttachedFile) -> Attachment:
        attachment = await self._context.services.files.store(
            attached.file,
            attached.inspected,
            size_bytes=attached.size,
            filename=attached.line.filename,
            owner=self._context.viewer.user_id,
        )
        attachment.conversation_id = self._conversation.id if self._conversation else None
        attachment.created_at = attached.line.created_at
        return attachment


def _hidden_values(time: datetime) -> Json:
    return {"temporary": True, "updated_at": time, "external_id": None}


async def _is_taken(session: AsyncSession, owner: UUID, external_id: str | None) -> bool:
    """Return whether another conversation of the owner has the external id, so that the imported one has none."""
    return external_id is not None and await conversations.by_external_id(session, owner, external_id) is not None


def _with_stored_source(block: Json, attached: dict[str, Attachment]) -> Json:
    has_source = block.get("type") in ("image", "document")
    if not has_source:
        return block
    attachment = attached[block["source"]["attachment_id"]]
    return {**block, "source": source_of(attachment)}


def _file(line: FileLine, message_id: UUID, attached: dict[str, Attachment]) -> GeneratedFile:
    attachment = attached.get(line.attachment_id or "")
    return GeneratedFile(
        message_id=message_id,
        file_id=line.file_id,
        attachment_id=None if attachment is None else attachment.id,
        filename=None if attachment is None else attachment.filename,
        problem=line.problem,
    )


def _generation(line: GenerationLine, conversation_id: UUID, message_id: UUID) -> Generation:
    values: Json = line.model_dump(exclude={"options", "usage", "error", "status"})
    usage: dict[str, Any] = line.usage.model_dump() if line.usage else {}
    # A generation that was unfinished when it was exported is not continued here.
    status = Status.STOPPED if line.status in UNFINISHED else line.status
    return Generation(
        conversation_id=conversation_id,
        message_id=message_id,
        status=status,
        options=line.options.to_stored_json(),
        error=line.error.model_dump(mode="json") if line.error else None,
        **values,
        **usage,
    )
