"""Create ledger rows of API calls."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tertulia.billing.prices import STANDARD, Prices, Terms
from tertulia.db.inserting import new_row
from tertulia.db.ledger import UNIT
from tertulia.db.tables import ApiCall, Status, new_id, now


@dataclass(frozen=True, slots=True)
class Payer:
    """The owner, conversation and generation that an API call is billed to."""

    owner_id: UUID
    conversation_id: UUID
    generation_id: UUID


def call(
    payer: Payer, prices: Prices, model: str, outcome: Status, usage: Mapping[str, int], terms: Terms = STANDARD
) -> ApiCall:
    """Return the ledger row of an API call. `usage` are token counts by the names of the row's columns."""
    counts: dict[str, Any] = {**usage}
    current_time = now()
    price = prices.of(model)
    parts = {} if price is None else price.parts(usage, terms)
    costs = {kind: int(dollars / UNIT) for kind, dollars in parts.items() if dollars}
    return new_row(
        ApiCall,
        id=new_id(),
        owner_id=payer.owner_id,
        conversation_id=payer.conversation_id,
        generation_id=payer.generation_id,
        purpose="answer",
        model=model,
        outcome=outcome,
        amount=prices.amount(model, usage, terms),
        prices=prices.version,
        day=current_time.date(),
        created_at=current_time,
        details={"costs": costs} if costs else None,
        **counts,
    )
