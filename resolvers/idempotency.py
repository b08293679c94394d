"""Idempotency keys: each belongs to the input with which a client first used it."""

import hashlib
import json
from dataclasses import asdict
from typing import Any
from uuid import UUID

from tertulia.db.database import AsyncSession
from tertulia.db.inserting import insert
from tertulia.db.tables import IdempotencyKey
from tertulia.resolvers.compaction import CompactConversation
from tertulia.resolvers.inputs import EditMessage, RegenerateMessage, SendMessage

ADDED_FIELDS = ("context", "metadata", "external_id", "assistant_id", "conversation_metadata")
"""The fields of inputs that the fingerprint of an idempotency key includes only if they are set."""

Input = SendMessage | EditMessage | RegenerateMessage | CompactConversation


async def store_key(session: AsyncSession, owner: UUID, input: Input, generation_id: UUID) -> None:
    """Store the key of a send in the caller's transaction."""
    key = str(input.idempotency_key)
    row = IdempotencyKey(owner_id=owner, key=key, fingerprint=fingerprint(input), generation_id=generation_id)
    await insert(session, [row])


def fingerprint(input: Input) -> str:
    """Return a hash of the input without its key."""
    fields: dict[str, Any] = {
        key: value
        for key, value in asdict(input).items()
        # Earlier versions, which may serve at the same time, do not have the fields of `ADDED_FIELDS`.
        if key != "idempotency_key" and not (key in ADDED_FIELDS and value is None)
    }
    # The same key with another mutation is refused, like the same key with other input.
    payload = fields if isinstance(input, SendMessage) else {"operation": type(input).__name__, **fields}
    return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
