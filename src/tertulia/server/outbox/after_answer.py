"""The hook `after_answer` as a subscriber of the outbox."""

from uuid import UUID

from tertulia.db import outbox
from tertulia.db.database import Database
from tertulia.db.outbox import Delivery
from tertulia.hooks import Answer, HookFailed, Hooks
from tertulia.server.outbox.delivery import Undelivered

HOOK = "after_answer"
EVENTS = ("generation.completed", "generation.failed", "generation.stopped")


class AfterAnswer:
    """Calls the hook for each answer that has ended."""

    name = f"hook:{HOOK}"

    def __init__(self, hooks: Hooks) -> None:
        """Initialize with the application's hooks."""
        self.timeout = hooks.timeout_of(HOOK)
        self._hooks = hooks

    async def deliver(self, delivery: Delivery, database: Database) -> None:
        """Call the hook. Raise Undelivered if it failed and is declared with `on_error="refuse"`."""
        data = delivery.data
        async with database.read() as session:
            text = await outbox.text_of(session, UUID(data["message_id"]))
        answer = Answer(
            user_id=UUID(data["user_id"]),
            user_subject=data["user_subject"],
            conversation_id=UUID(data["conversation_id"]),
            generation_id=UUID(data["generation_id"]),
            message_id=UUID(data["message_id"]),
            status=delivery.event.removeprefix("generation."),
            text=text or "",
            model=data["model"],
            stop_reason=data["stop_reason"],
            # Events of earlier versions do not have it.
            steered=data.get("steered", False),
            input_tokens=data["input_tokens"],
            output_tokens=data["output_tokens"],
        )
        try:
            await self._hooks.after_answer(answer)
        except HookFailed as error:
            raise Undelivered(str(error)) from None
