"""Create ledger rows of API calls."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tertulia.billing.prices import Prices
from tertulia.db.tables import ApiCall, Status, now


@dataclass(frozen=True, slots=True)
class Payer:
    """The owner, conversation and generation that an API call is billed to."""

    owner_id: UUID
    conversation_id: UUID
    generation_id: UUID


def call(payer: Payer, prices: Prices, model: str, outcome: Status, usage: Mapping[str, int]) -> ApiCall:
    """Return the ledger row of an API call. `usage` are token counts by the names of the row's columns."""
    counts: dict[str, Any] = {**usage}
    current_time = now()
    return ApiCall(
        owner_id=payer.owner_id,
        conversation_id=payer.conversation_id,
        generation_id=payer.generation_id,
        purpose="answer",
        model=model,
        outcome=outcome,
        amount=prices.amount(model, usage),
        prices=prices.version,
        day=current_time.date(),
        created_at=current_time,
        **counts,
    )
