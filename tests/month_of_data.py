"""A month of data for a server: users, conversations, answers and their cost, failures, webhooks and the audit log.

Run as a script, it fills the database of a server that nobody else uses:
`DATABASE_URL=sqlite+aiosqlite:///month.db .venv/bin/python tests/month_of_data.py`
"""

import asyncio
import os
from collections import defaultdict
from datetime import date, datetime, timedelta
from itertools import count
from random import Random
from typing import Any
from uuid import UUID

from tertulia.db import accounts
from tertulia.db.database import AsyncSession, Database
from tertulia.db.identities import Action, AuditEntry
from tertulia.db.inserting import insert
from tertulia.db.limit_hits import NOBODY, LimitHits
from tertulia.db.migrate import migrate
from tertulia.db.outbox import DeliveryStatus, OutboxEvent
from tertulia.db.spending import Spending
from tertulia.db.tables import ApiCall, Conversation, Generation, Message, Role, Status, now

DAYS = 30
NAMES = (
    "ada", "alan@example.com", "barbara", "emmy", "grace", "hypatia", "jean-baptiste.grenouille@perfumes.example.com",
    "kurt", "مريم", "rosalind", "sofia", "zoë",
)  # fmt: skip
ASSISTANTS = (None, "support", "legal")
MODELS = {"claude-opus-5-5": (4_000_000, 20_000_000), "claude-haiku-5-5": (800_000, 4_000_000)}
"""The prices of a token of input and of output, in 10^-12 US dollars."""
_numbers = count()
OVERLOADED = {"code": "overloaded_error", "message": "Claude is overloaded.", "retryable": True}


def id_at(at: datetime) -> UUID:
    """Return a UUIDv7 of this time, which no other row has."""
    number = next(_numbers)
    return UUID(int=int(at.timestamp() * 1000) << 80 | 7 << 76 | 2 << 62 | number)


class Month:
    """The rows of a month, the same ones each time except for their ids and dates."""

    def __init__(self, until: datetime) -> None:
        self.until = until
        self.random = Random(7)
        self.conversations: list[Conversation] = []
        self.messages: list[Message] = []
        self.generations: list[Generation] = []
        self.calls: list[ApiCall] = []
        self.spent: dict[date, int] = defaultdict(int)

    def add_answers(self, owners: list[UUID]) -> None:
        """Add the answers of all users, one for each conversation, the oldest first: ids grow with the time."""
        planned: list[tuple[datetime, UUID]] = []
        for busyness, owner in enumerate(owners):
            for back in range(DAYS):
                for number in range(self.random.randint(0, busyness % 5)):
                    minutes = 17 * number + self.random.randint(1, 9)
                    planned.append((self.until - timedelta(days=back, minutes=minutes), owner))
        for at, owner in sorted(planned):
            self.add_answer(owner, at, is_failure=self.random.random() < 0.06)

    def add_answer(self, owner: UUID, at: datetime, *, is_failure: bool) -> None:
        """Add a conversation with one answer and its call of Claude's API."""
        model = self.random.choice(list(MODELS))
        tokens = (0, 0) if is_failure else (self.random.randint(500, 9_000), self.random.randint(50, 1_500))
        amount = sum(count * price for count, price in zip(tokens, MODELS[model], strict=True))
        status = Status.FAILED if is_failure else Status.COMPLETED
        usage: dict[str, Any] = {"input_tokens": tokens[0], "output_tokens": tokens[1], "amount": amount}
        conversation = Conversation(
            id=id_at(at), owner_id=owner, model=model, title="Tea", assistant=self.random.choice(ASSISTANTS), created_at=at, updated_at=at, **usage
        )  # fmt: skip
        question = Message(
            id=id_at(at), conversation_id=conversation.id, role=Role.USER, depth=0, content=[{"type": "text", "text": "Tea?"}], created_at=at
        )  # fmt: skip
        answer = Message(
            id=id_at(at), conversation_id=conversation.id, parent_id=question.id, role=Role.ASSISTANT, depth=1,
            content=[{"type": "text", "text": "Yes."}], created_at=at,
        )  # fmt: skip
        conversation.active_leaf_id = answer.id
        generation = Generation(
            id=id_at(at), conversation_id=conversation.id, message_id=answer.id, status=status, model=model, sequence=4,
            error=OVERLOADED if is_failure else None, created_at=at, started_at=at, finished_at=at + timedelta(seconds=9), **usage,
        )  # fmt: skip
        call = ApiCall(
            id=id_at(at), owner_id=owner, conversation_id=conversation.id, generation_id=generation.id, purpose="answer", model=model,
            outcome=status, prices="test", day=at.date(), created_at=at, **usage,
        )  # fmt: skip
        self.conversations.append(conversation)
        self.messages += [question, answer]
        self.generations.append(generation)
        self.calls.append(call)
        self.spent[at.date()] += amount

    def events(self, owner: UUID) -> list[OutboxEvent]:
        """Return events of a webhook: some were delivered, some have failed, some wait."""
        statuses = [DeliveryStatus.DELIVERED] * 40 + [DeliveryStatus.FAILED] * 3 + [DeliveryStatus.PENDING] * 2
        return [
            OutboxEvent(
                subscriber="shop", event="generation.completed", owner_id=owner, status=status, attempts=1 if status is DeliveryStatus.DELIVERED else 5,
                error=None if status is DeliveryStatus.DELIVERED else "HTTP 503", created_at=self.until - timedelta(minutes=9 * number),
                due_at=self.until + timedelta(hours=1), give_up_at=self.until + timedelta(days=1),
                finished_at=None if status is DeliveryStatus.PENDING else self.until,
            )
            for number, status in enumerate(statuses)
        ]  # fmt: skip


async def fill(session: AsyncSession) -> None:
    """Insert the month that ends now."""
    month = Month(now())
    owners = [(await accounts.get_or_create(session, name)).id for name in NAMES]
    month.add_answers(owners)
    actions = [(owner, action) for owner in owners for action in list(Action)[:3]]
    audit = [
        AuditEntry(user_id=owner, action=action, address="203.0.113.7", created_at=month.until - timedelta(hours=7 * (len(actions) - number)))
        for number, (owner, action) in enumerate(actions)
    ]  # fmt: skip
    limits = [
        LimitHits(day=month.until.date() - timedelta(days=back), limit_name=limit, subject=owner or NOBODY, owner_id=owner, hits=9 - back)
        for back, (limit, owner) in enumerate((("sends", owners[0]), ("shares", None), ("budget", owners[6]), ("sends", owners[0])))
    ]  # fmt: skip
    spending = [Spending(day=day, shard=0, amount=amount) for day, amount in month.spent.items()]
    for rows in (
        month.conversations,
        month.messages,
        month.generations,
        month.calls,
        month.events(owners[0]),
        audit,
        limits,
        spending,
    ):
        await insert(session, rows)


async def fill_database(url: str) -> None:
    """Insert the month into a migrated database."""
    database = Database(url)
    try:
        async with database.write() as session:
            await fill(session)
            await session.commit()
    finally:
        await database.close()


async def _main(url: str) -> None:
    await migrate(url)
    await fill_database(url)


if __name__ == "__main__":
    asyncio.run(_main(os.environ["DATABASE_URL"]))
