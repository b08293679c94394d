"""`tertulia webhooks`: list the endpoints and failed events, deliver events again, and send a test event."""

from datetime import datetime
from uuid import UUID, uuid4

from tertulia.cli.users import CommandError
from tertulia.db import outbox_states
from tertulia.db.outbox import OutboxEvent
from tertulia.db.outbox_states import SubscriberState
from tertulia.db.tables import now
from tertulia.server.outbox.after_answer import AfterAnswer
from tertulia.server.outbox.delivery import Undelivered
from tertulia.server.outbox.opening import endpoints_of, open_database
from tertulia.server.outbox.webhook_config import Endpoint
from tertulia.server.outbox.webhooks import Webhook
from tertulia.server.settings import Settings

MOST_FAILURES = 20
TEST_EVENT = "webhook.test"


async def list_webhooks(settings: Settings) -> str:
    """Return a line for each subscriber with the numbers of its events, and one for each of the last failures."""
    endpoints = {endpoint.title: endpoint for endpoint in endpoints_of(settings)}
    database = open_database(settings)
    try:
        async with database.read() as session:
            states = await outbox_states.states(session)
            failures = await outbox_states.failures(session, MOST_FAILURES)
    finally:
        await database.close()
    names = [*endpoints, *(name for name in states if name not in endpoints)]
    lines = [_describe(name, endpoints.get(name), states.get(name, SubscriberState())) for name in names]
    return "\n".join([*lines, *map(_describe_failure, failures)]) or "TERTULIA_WEBHOOKS is not set."


async def retry_webhooks(settings: Settings, name: str | None, event_id: str | None) -> str:
    """Deliver failed and waiting events now, of one subscriber or all, and enable them again."""
    try:
        event = None if event_id is None else UUID(event_id)
    except ValueError:
        raise CommandError(f"--event: {event_id!r} is not the id of an event; see `tertulia webhooks list`.") from None
    database = open_database(settings)
    try:
        async with database.write() as session:
            if name is not None and name not in await outbox_states.states(session):
                _endpoint(settings, name)
            count = await outbox_states.retry(session, name, event)
    finally:
        await database.close()
    return f"The running servers deliver {count} {'event' if count == 1 else 'events'} now."


async def send_test(settings: Settings, name: str | None) -> str:
    """Send the event `webhook.test` to an endpoint. Raise CommandError if it was not delivered."""
    webhook = Webhook(_endpoint(settings, name))
    try:
        status = await webhook.send(str(uuid4()), TEST_EVENT, now(), {})
    except Undelivered as error:
        raise CommandError(f"{webhook.name}: {error}") from None
    finally:
        await webhook.close()
    return f"{webhook.name} responded with {status}."


def _endpoint(settings: Settings, name: str | None) -> Endpoint:
    endpoints = endpoints_of(settings)
    if name is None and len(endpoints) == 1:
        return endpoints[0]
    for endpoint in endpoints:
        if endpoint.title == name:
            return endpoint
    names = ", ".join(endpoint.title for endpoint in endpoints) or "none, because TERTULIA_WEBHOOKS is not set"
    raise CommandError(f"NAME: must be one of the endpoints: {names}.")


def _describe(name: str, endpoint: Endpoint | None, state: SubscriberState) -> str:
    where = f" ({endpoint.host})" if endpoint is not None and endpoint.name else ""
    counts = f"{state.pending} pending, {state.delivered} delivered, {state.failed} failed"
    oldest = f"; the oldest pending event is of {_time(state.oldest_pending)}" if state.oldest_pending else ""
    disabled = f"; disabled since {_time(state.disabled_at)}" if state.disabled_at else ""
    unknown = "" if endpoint is not None or name == AfterAnswer.name else "; not in TERTULIA_WEBHOOKS"
    return f"{name}{where}: {counts}{oldest}{disabled}{unknown}"


def _describe_failure(event: OutboxEvent) -> str:
    due = "" if event.finished_at else f"; next attempt {_time(event.due_at)}"
    return f"  {event.id}  {event.event}  {event.status}, attempt {event.attempts}: {event.error}{due}"


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
