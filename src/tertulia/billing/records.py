"""Rows of the bill."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tertulia.billing.prices import Prices
from tertulia.db.tables import ApiCall, Status, now


@dataclass(frozen=True, slots=True)
class Payer:
    """For whom Claude was called, and where."""

    owner_id: UUID
    conversation_id: UUID
    generation_id: UUID


def call(payer: Payer, prices: Prices, model: str, outcome: Status, used: Mapping[str, int]) -> ApiCall:
    """Give a call's row; `used` bears the names of its columns."""
    counts: dict[str, Any] = {**used}
    moment = now()
    return ApiCall(
        owner_id=payer.owner_id,
        conversation_id=payer.conversation_id,
        generation_id=payer.generation_id,
        purpose="answer",
        model=model,
        outcome=outcome,
        amount=prices.amount(model, used),
        prices=prices.version,
        day=moment.date(),
        created_at=moment,
        **counts,
    )
