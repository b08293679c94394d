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


class Deliveries:
    """Delivers events to the endpoints and the hook. The endpoints can change while the server runs."""

    def __init__(self, services: Services, on_delivery: OnDelivery, in_background: InBackground) -> None:
        """Start to deliver to the hook, if there is one."""
        self._database, self._hooks = services.database, services.hooks
        self._on_delivery, self._in_background = on_delivery, in_background
        self._endpoints: dict[str, Endpoint] = {}
        self._couriers: dict[str, Courier] = {}
        self._stacks: dict[str, AsyncExitStack] = {}
        self._ending = set[asyncio.Task[None]]()
        if HOOK in self._hooks:
            self._start(AfterAnswer(self._hooks), AsyncExitStack())

    def adopt(self, endpoints: "Sequence[Endpoint]") -> None:
        """Deliver to these endpoints from now on. Deliveries to an endpoint that is changed or removed may end."""
        from tertulia.server.outbox.webhooks import Webhook

        self._database.subscribe(subscribers_of(endpoints, self._hooks))
        current = {endpoint.title: endpoint for endpoint in endpoints}
        for title in [title for title, endpoint in self._endpoints.items() if current.get(title) != endpoint]:
            del self._endpoints[title], self._couriers[title]
            task = asyncio.create_task(self._stacks.pop(title).aclose(), name=f"end deliveries to {title}")
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        for title, endpoint in current.items():
            if title not in self._endpoints:
                webhook, stack = Webhook(endpoint), AsyncExitStack()
                stack.push_async_callback(webhook.close)
                self._endpoints[title] = endpoint
                self._start(webhook, stack)

    def wake(self, _owner: UUID) -> None:
        """Check for events now: some may have been stored."""
        for courier in self._couriers.values():
            courier.wake()

    async def close(self) -> None:
        """End all deliveries."""
        await asyncio.gather(*(stack.aclose() for stack in self._stacks.values()), *self._ending)

    def _start(self, subscriber: Subscriber, stack: AsyncExitStack) -> None:
        name = subscriber.name
        courier = self._couriers[name] = Courier(self._database, subscriber, self._on_delivery)
        self._stacks[name] = stack
        self._in_background(stack, f"deliver to {name}", courier.run())
        stack.push_async_callback(courier.close)


def start_deliveries(
    settings: Settings,
    services: Services,
    on_delivery: OnDelivery,
    stack: AsyncExitStack,
    in_background: InBackground,
) -> Deliveries:
    """Deliver events to the endpoints of the settings and to the hook until the stack is closed."""
    deliveries = Deliveries(services, on_delivery, in_background)
    stack.push_async_callback(deliveries.close)
    if settings.webhooks is not None:
        deliveries.adopt(endpoints_of(settings))
    services.signals.on(CHANGED, deliveries.wake)
    return deliveries
