"""Conditions that limit statements to an owner and to ids."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, bindparam, exists
from sqlmodel import col

from tertulia.db.tables import Conversation


def owned(conversation_id: UUID) -> ColumnElement[bool]:
    """Return the condition that the conversation in a column belongs to the owner.

    The statement must be executed with the parameter `owner`. This is not a join, because SQLite might start a join
    with all conversations of the owner instead of the requested rows.
    """
    owner = bindparam("owner", type_=Uuid)
    return exists().where(col(Conversation.id) == col(conversation_id), col(Conversation.owner_id) == owner)


def some_of(column: Any) -> ColumnElement[bool]:
    """Return the condition that a column is in `ids`, a parameter of the statement."""
    return col(column).in_(bindparam("ids", expanding=True))
