"""Lets the servers of one test process share the SQL that SQLAlchemy compiles.

SQLAlchemy keeps compiled statements per engine. Each test starts new servers, which would spend a tenth of a second on
the compilation of the same statements.
"""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import LRUCache

from tertulia.db import database

SIZE = 5_000
"""Statements of one dialect; an engine's own cache holds 500."""
_caches: dict[type, LRUCache[Any, Any]] = {}
_open_engine = database.open_engine


def share() -> None:
    """Share compiled statements among all engines that `Database` opens from now on."""
    setattr(database, "open_engine", _open_sharing)  # noqa: B010 - types of modules cannot be assigned


def _open_sharing(*args: Any, **options: Any) -> AsyncEngine:
    engine = _open_engine(*args, **options)
    dialect = type(engine.dialect)
    if dialect not in _caches:
        _caches[dialect] = LRUCache(SIZE)
        # The dialect is part of the key of a statement. All that `open_engine` makes of one type are configured alike.
        setattr(dialect, "__eq__", _is_same_type)  # noqa: B010
        setattr(dialect, "__hash__", _hash_of_type)  # noqa: B010
    setattr(engine.sync_engine, "_compiled_cache", _caches[dialect])  # noqa: B010
    return engine


def _is_same_type(self: object, other: object) -> bool:
    return type(self) is type(other)


def _hash_of_type(self: object) -> int:
    return hash(type(self))
