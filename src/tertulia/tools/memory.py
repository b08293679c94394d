"""The memory tool, which Anthropic defines and this server runs: files that Claude keeps between conversations.

Each call is one transaction, which locks the owner, so that the calls of concurrent answers follow one another. It
stores the result together with the change. If the process is lost, the call is repeated, and finds that result.
"""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tertulia.db import leases, memories, tool_calls
from tertulia.db.database import AsyncSession, Database
from tertulia.db.inserting import insert
from tertulia.db.memories import Memory
from tertulia.db.tool_calls import CallStatus
from tertulia.json import Json, clean
from tertulia.tools.base import Result, ToolContext, ToolError, ToolOptions
from tertulia.tools.memory_files import (
    ROOT,
    check_free,
    checked_path,
    inserted,
    is_folder,
    listing,
    numbered,
    replaced,
    size_problem,
    snippet,
)

NAME = "memory"
DEFINITION: Json = {"type": "memory_20250818", "name": NAME}
"""The definition for Claude. Source: "Memory tool" on docs.claude.com."""
NO_SUCH = "The path {} does not exist. Please provide a valid path."
ENDED = "This call has ended already, so it was not carried out."


class _Command(BaseModel):
    model_config = ConfigDict(strict=True)


class View(_Command):
    """Show a folder, or the lines of a file."""

    command: Literal["view"]
    path: str
    view_range: list[int] | None = None


class Create(_Command):
    """Create a file."""

    command: Literal["create"]
    path: str
    file_text: str


class StrReplace(_Command):
    """Replace a text that occurs once in a file."""

    command: Literal["str_replace"]
    path: str
    old_str: str
    new_str: str = ""


class Insert(_Command):
    """Insert a text after a line of a file."""

    command: Literal["insert"]
    path: str
    insert_line: int
    insert_text: str


class Delete(_Command):
    """Delete a file, or a folder with its files."""

    command: Literal["delete"]
    path: str


class Rename(_Command):
    """Move a file, or a folder with its files."""

    command: Literal["rename"]
    old_path: str
    new_path: str


Change = Create | StrReplace | Insert | Delete | Rename
_COMMAND: TypeAdapter[View | Change] = TypeAdapter(Annotated[View | Change, Field(discriminator="command")])


class MemoryTool:
    """The memory of one assistant, which has separate files for each viewer."""

    name = NAME
    description = "Stores and reads files that are kept between conversations."
    requires_approval = False
    seconds: float | None = None
    idempotent = True
    options = ToolOptions(deferred=False)

    def __init__(self, database: Database, assistant: str) -> None:
        """Initialize for the assistant with this id."""
        self._database = database
        self._assistant = assistant
        self.input_schema: Json = {"type": "object"}
        """Claude's API has the schema of this type of tool."""

    async def call(self, input: Json, context: ToolContext) -> Result:
        """Run a command. A call that was carried out before returns its result again, and changes nothing."""
        command, owner = _parse(input), context.viewer_id
        if isinstance(command, View):
            async with self._database.read() as session:
                return Result([await self._view(session, owner, command)])
        async with self._database.write() as session:
            await leases.lock_owner(session, owner)
            row = await tool_calls.get(session, context.generation_id, context.tool_use_id)
            kept: Json = (row.answer if row is not None else None) or {}
            if tool_calls.KEPT in kept:
                return Result([kept[tool_calls.KEPT]])
            if row is None or row.status is not CallStatus.RUNNING:
                raise ToolError(ENDED)
            text = await self._change(session, owner, command)
            await tool_calls.keep_result(session, row, text)
        return Result([text])

    async def _view(self, session: AsyncSession, owner: UUID, command: View) -> str:
        path = checked_path(command.path)
        memory = await memories.at_path(session, owner, self._assistant, path)
        if memory is not None:
            return numbered(path, memory.content, command.view_range)
        sizes = await memories.sizes(session, owner, self._assistant)
        if not is_folder(sizes, path):
            raise ToolError(NO_SUCH.format(path))
        return listing(sizes, path)

    async def _change(self, session: AsyncSession, owner: UUID, command: Change) -> str:
        """Carry out a command, and return the text of its result. Raise ToolError if that is not possible."""
        sizes = await memories.sizes(session, owner, self._assistant)
        match command:
            case Create():
                return await self._create(session, owner, sizes, command)
            case StrReplace():
                memory = await self._file(session, owner, sizes, command.path)
                content = replaced(memory.path, memory.content, command.old_str, command.new_str)
                text = snippet(memory.content, content, command.old_str)
                await _write(session, sizes, memory, content)
                return text
            case Insert():
                memory = await self._file(session, owner, sizes, command.path)
                content = inserted(memory.content, command.insert_line, command.insert_text)
                await _write(session, sizes, memory, content)
                return f"The file {memory.path} has been edited."
            case Delete():
                path = checked_path(command.path)
                if path == ROOT:
                    raise ToolError(f"Cannot delete the {ROOT} directory itself")
                if not await memories.remove_path(session, owner, self._assistant, path):
                    raise ToolError(f"The path {path} does not exist")
                return f"Successfully deleted {path}"
            case Rename():
                return await self._rename(session, owner, sizes, command)

    async def _create(self, session: AsyncSession, owner: UUID, sizes: dict[str, int], command: Create) -> str:
        path = checked_path(command.path)
        if path in sizes or is_folder(sizes, path):
            raise ToolError(f"File {path} already exists")
        check_free(sizes, path)
        _check_size(sizes, path, command.file_text)
        await insert(session, [memories.file_of(owner, self._assistant, path, command.file_text)])
        return f"File created successfully at: {path}"

    async def _rename(self, session: AsyncSession, owner: UUID, sizes: dict[str, int], command: Rename) -> str:
        old, new = checked_path(command.old_path), checked_path(command.new_path)
        if old == ROOT:
            raise ToolError(f"Cannot rename the {ROOT} directory itself")
        if old not in sizes and not is_folder(sizes, old):
            raise ToolError(f"The path {old} does not exist")
        if new in sizes or is_folder(sizes, new):
            raise ToolError(f"The destination {new} already exists")
        if new.startswith(f"{old}/"):
            raise ToolError(f"The destination {new} is inside {old}")
        check_free(sizes, new)
        for path in sizes:
            if path.startswith(f"{old}/"):
                checked_path(new + path[len(old) :])
        await memories.rename(session, owner, self._assistant, old, new)
        return f"Successfully renamed {old} to {new}"

    async def _file(self, session: AsyncSession, owner: UUID, sizes: dict[str, int], path: str) -> Memory:
        path = checked_path(path)
        memory = await memories.at_path(session, owner, self._assistant, path)
        if memory is None:
            raise ToolError(f"The path {path} is not a file." if is_folder(sizes, path) else NO_SUCH.format(path))
        return memory


async def _write(session: AsyncSession, sizes: dict[str, int], memory: Memory, content: str) -> None:
    _check_size(sizes, memory.path, content)
    await memories.write(session, memory, content)


def _check_size(sizes: dict[str, int], path: str, content: str) -> None:
    problem = size_problem(sizes, path, content)
    if problem is not None:
        raise ToolError(f"The content of {path} {problem}")


def _parse(input: Json) -> View | Change:
    try:
        return _COMMAND.validate_python(clean(input))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)[:5]
        where = (".".join(str(part) for part in problem["loc"][1:]) or "command" for problem in problems)
        listed = "; ".join(f"{place}: {problem['msg']}" for place, problem in zip(where, problems, strict=True))
        raise ToolError(f"Invalid arguments for the tool {NAME}: {listed}") from None
