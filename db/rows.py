"""Rows that are read for viewers, as immutable tuples.

SQLAlchemy's instances cost ten times as much: it tracks them, and converts each value separately. The statements here
select the columns of one or more `Shape`s without conversion, and `Result` converts each column of all rows together.
Transactions that change rows read instances of the classes in `db.tables`, which have the same attributes.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import JSON, Boolean, ColumnElement, Enum, Executable, FromClause, Uuid, type_coerce
from sqlalchemy.types import NullType, TypeEngine
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.read_limit import count_stored
from tertulia.db.statements import fetch_raw
from tertulia.db.tables import METADATA, Conversation, Generation, Message, Role, Status, UtcDateTime
from tertulia.json import Json, loads_stored

Row = TypeVar("Row", bound=tuple[Any, ...])
Convert = Callable[[Any], Any]
_new: Any = getattr(tuple, "__new__")  # noqa: B009 - its declared type is partly unknown


class ConversationRow(NamedTuple):
    """A conversation, with the columns of `tables.Conversation`."""

    id: UUID
    owner_id: UUID
    title: str | None
    system_prompt: str | None
    model: str
    options: Json
    tools: Json
    archived: bool
    pinned: bool
    temporary: bool
    external_id: str | None
    app_metadata: Json
    active_leaf_id: UUID | None
    assistant: str | None
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    amount: int | None
    created_at: datetime
    updated_at: datetime


class MessageRow(NamedTuple):
    """A message, with the columns of `tables.Message`."""

    id: UUID
    conversation_id: UUID
    parent_id: UUID | None
    role: Role
    depth: int
    content: list[Json]
    context: Any
    app_metadata: Json
    rating: Json | None
    created_at: datetime


class GenerationRow(NamedTuple):
    """A generation, with the columns of `tables.Generation` that viewers see or that their reads depend on."""

    id: UUID
    conversation_id: UUID
    message_id: UUID
    status: Status
    waits_for: UUID | None
    steered: bool
    model: str
    sequence: int
    stop_reason: str | None
    stop_sequence: str | None
    error: Json | None
    continuations: int
    refusal: Json | None
    left_out: Json
    tools_expire_at: datetime | None
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    amount: int | None
    created_at: datetime
    started_at: datetime | None
    first_token_at: datetime | None
    finished_at: datetime | None


AnyConversation = Conversation | ConversationRow
AnyMessage = Message | MessageRow
AnyGeneration = Generation | GenerationRow


class Shape(Generic[Row]):
    """A class of rows, with the columns that a statement selects for it."""

    def __init__(self, row: type[Row], table: str) -> None:
        """Describe rows of a table. The fields of the class have the names of columns."""
        self.row = row
        fields: tuple[str, ...] = getattr(row, "_fields")  # noqa: B009 - the bound of the type is a plain tuple
        self._fields = fields
        columns = [METADATA.tables[table].c[name] for name in fields]
        self.columns = self.columns_of(METADATA.tables[table])
        self._converters = {
            dialect: [(number, convert) for number, column in enumerate(columns) if (convert := converter(column.type))]
            for dialect, converter in _CONVERTERS.items()
        }

    def columns_of(self, source: FromClause) -> list[ColumnElement[Any]]:
        """Return the columns of a subquery or an alias of the table."""
        return [raw(source.c[name]) for name in self._fields]

    def rows(self, columns: Sequence[Sequence[Any]], dialect: str) -> list[Row]:
        """Return the rows whose values are in `columns`, as the driver of the dialect returned them."""
        converted = list(columns)
        for number, convert in self._converters[dialect]:
            converted[number] = _converted(converted[number], convert)
        row, new = self.row, _new
        return [new(row, values) for values in zip(*converted, strict=True)]


class Result:
    """The rows of a statement. Each call consumes columns, in the order in which the statement selects them."""

    def __init__(self, rows: Sequence[Sequence[Any]], dialect: str) -> None:
        """Create a result from rows as the driver of a dialect returned them."""
        self._columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
        self._dialect = dialect
        self._consumed = 0

    def rows(self, shape: Shape[Row]) -> list[Row]:
        """Return the next columns as rows of a shape."""
        return shape.rows(self._next(len(shape.columns)), self._dialect)

    def values(self, type_: TypeEngine[Any]) -> list[Any]:
        """Return the next column, whose values have this type."""
        convert = _CONVERTERS[self._dialect](type_)
        column = [*self._next(1)[0]] if self._columns else []
        return column if convert is None else _converted(column, convert)

    def _next(self, count: int) -> Sequence[Sequence[Any]]:
        start = self._consumed
        self._consumed += count
        # A result without rows has no columns.
        return self._columns[start : start + count] or [()] * count


async def read(session: AsyncSession, statement: Executable, parameters: Json, *, is_constant: bool = True) -> Result:
    """Execute a statement that selects columns of shapes, and other columns with `raw`.

    Args:
        session: The session to use.
        statement: The statement.
        parameters: Its parameters.
        is_constant: Whether the statement is the same object each time, so that it is compiled once.
    """
    connection = await session.connection()
    if is_constant:
        rows = await fetch_raw(connection, statement, parameters)
    else:
        rows = (await connection.execute(statement, parameters)).all()
    return Result(rows, connection.dialect.name)


def _converted(column: Sequence[Any], convert: Convert) -> list[Any]:
    """Convert the values of a column. Many columns have the same value in all rows, which is converted once."""
    if not column or column.count(column[0]) != len(column):
        return [None if value is None else convert(value) for value in column]
    first = None if column[0] is None else convert(column[0])
    # Rows must not share a value that can be changed.
    return [first, *map(convert, column[1:])] if isinstance(first, (dict, list)) else [first] * len(column)


def id_text(id: UUID) -> str:
    """Return an id in its canonical form."""
    return _id_text(id.int)


@lru_cache(maxsize=4096)
def _id_text(number: int) -> str:
    return str(UUID(int=number))


def raw(column: Any) -> ColumnElement[Any]:
    """Return a column for a statement whose values SQLAlchemy does not convert."""
    return type_coerce(column, NullType())


def _converter_of_postgresql(type_: TypeEngine[Any]) -> Convert | None:
    # The driver converts the other types, and JSON with the function of `open_engine`.
    if isinstance(type_, Enum):
        return {member.value: member for member in type_.enum_class or ()}.__getitem__
    return None


def _converter_of_sqlite(type_: TypeEngine[Any]) -> Convert | None:
    if isinstance(type_, Uuid):
        return _uuid
    if isinstance(type_, UtcDateTime):
        return _time
    if isinstance(type_, JSON):
        return _json
    return bool if isinstance(type_, Boolean) else _converter_of_postgresql(type_)


_CONVERTERS: dict[str, Callable[[TypeEngine[Any]], Convert | None]] = {
    "sqlite": _converter_of_sqlite,
    "postgresql": _converter_of_postgresql,
}
"""Functions that return the converter for the values of a type, by dialect; None if the driver has converted them."""


@lru_cache(maxsize=4096)
def _uuid(text: str) -> UUID:
    # Cached, because rows refer to each other and to their owner.
    return UUID(text)


@lru_cache(maxsize=4096)
def _time(text: str) -> datetime:
    # SQLAlchemy stores times in UTC without the time zone in SQLite. Statements of operators may have written one.
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _json(text: str) -> Any:
    if text == "{}":
        return {}
    if text == "null":
        return None
    count_stored(len(text))
    return loads_stored(text)


CONVERSATIONS = Shape(ConversationRow, "conversations")
MESSAGES = Shape(MessageRow, "messages")
GENERATIONS = Shape(GenerationRow, "generations")
