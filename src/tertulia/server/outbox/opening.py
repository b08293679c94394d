"""Open the subscribers that the operator configures, and start to deliver events to them."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tertulia.db.database import Database
from tertulia.db.outbox import Subscribers
from tertulia.generation.finalizer import CHANGED
from tertulia.hooks import Hooks
from tertulia.resolvers.context import Services
from tertulia.server.environment import WrongSetting
from tertulia.server.outbox.after_answer import EVENTS, HOOK, AfterAnswer
from tertulia.server.outbox.delivery import Courier, OnDelivery, Subscriber
from tertulia.server.settings import Settings

if TYPE_CHECKING:
    from tertulia.server.outbox.webhook_config import Endpoint

InBackground = Callable[[AsyncExitStack, str, Coroutine[Any, Any, None]], None]


def endpoints_of(settings: Settings) -> "Sequence[Endpoint]":
    """Return the webhook endpoints of the settings. Raise WrongSetting if their file is invalid."""
    if settings.webhooks is None:
        return ()
    from tertulia.server.outbox.webhook_config import read_endpoints

    try:
        return read_endpoints(Path(settings.webhooks))
    except ValueError as error:
        raise WrongSetting(f"TERTULIA_WEBHOOKS: {settings.webhooks}: {error}.") from None


def subscribers_of(endpoints: "Iterable[Endpoint]", hooks: Hooks | None = None) -> Subscribers:
    """Return the names of the endpoints and the hook that receive each event."""
    subscribers: dict[str, list[str]] = {}
    if hooks is not None and HOOK in hooks:
        subscribers = {event: [AfterAnswer.name] for event in EVENTS}
    for endpoint in endpoints:
        for event in dict.fromkeys(endpoint.events):
            subscribers.setdefault(event, []).append(endpoint.title)
    return subscribers


def open_database(settings: Settings, hooks: Hooks | None = None) -> Database:
    """Return the database of the settings, which stores the events that its changes cause. Raise WrongSetting."""
    return Database(settings.database_url, subscribers_of(endpoints_of(settings), hooks))


def start_deliveries(
    endpoints: "Iterable[Endpoint]",
    services: Services,
    on_delivery: OnDelivery,
    stack: AsyncExitStack,
    in_background: InBackground,
) -> None:
    """Deliver events to the endpoints and the hook until the stack is closed."""
    couriers: list[Courier] = []
    database = services.database
    if HOOK in services.hooks:
        couriers.append(_start(AfterAnswer(services.hooks), database, on_delivery, stack, in_background))
    for endpoint in endpoints:
        from tertulia.server.outbox.webhooks import Webhook

        webhook = Webhook(endpoint)
        stack.push_async_callback(webhook.close)
        couriers.append(_start(webhook, database, on_delivery, stack, in_background))

    def wake(_owner: UUID) -> None:
        for courier in couriers:
            courier.wake()

    async def close() -> None:
        await asyncio.gather(*(courier.close() for courier in couriers))

    if couriers:
        stack.push_async_callback(close)
        services.signals.on(CHANGED, wake)


def _start(
    subscriber: Subscriber,
    database: Database,
    on_delivery: OnDelivery,
    stack: AsyncExitStack,
    in_background: InBackground,
) -> Courier:
    courier = Courier(database, subscriber, on_delivery)
    in_background(stack, f"deliver to {subscriber.name}", courier.run())
    return courier
