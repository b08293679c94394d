"""Open the event log, the connection to Claude, and the limits of users."""

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from uuid import UUID

from tertulia.claude.client import Claude
from tertulia.claude.connections import Deadlines
from tertulia.generation.observer import GenerationObserver
from tertulia.ratelimit.limits import Limits, Rate, Rates
from tertulia.ratelimit.slots import ConnectionSlots, LocalConnectionSlots, RedisConnectionSlots
from tertulia.resolvers.limit_hits import LimitHitCounter
from tertulia.server.model_settings import client_of
from tertulia.server.setting_fields import USER_GENERATIONS, USER_MESSAGES, USER_REQUESTS, USER_SOCKETS, USER_UPLOADS
from tertulia.server.settings import Settings, check_provider, database_file
from tertulia.streams.journal import Journal
from tertulia.streams.log import EventLog, LocalSignals, Signals
from tertulia.streams.memory import MemoryLog

if TYPE_CHECKING:
    from tertulia.streams.redis.writer import LagWatch

SIMULATED_KEY = "simulated"


async def open_log(
    settings: Settings, process: UUID, stack: AsyncExitStack, *, alone: bool = True, lag: "LagWatch" = lambda _: None
) -> tuple[EventLog, Signals, bool]:
    """Open the event log and the signals between processes, until the stack is closed.

    Args:
        settings: `redis_url` selects Redis; without it, events stay in memory, with a journal next to a SQLite file.
        process: The id of this process.
        stack: Closes the log.
        alone: Whether to take the lock of the journal. A command that works next to a server passes False.
        lag: Called with the seconds from an event to when all processes can see it.

    Returns:
        The log, the signals, and whether this process holds the lock of the journal.
    """
    if settings.redis_url is not None:
        from tertulia.streams.redis.log import RedisLog

        log = RedisLog(settings.redis_url, process, lag=lag)
        await log.start()
        stack.push_async_callback(log.close)
        return log, log, False
    file = database_file(settings.database_url)
    if file is None:
        return MemoryLog(), LocalSignals(), False
    journal = Journal(file.with_name(file.name + "-answers"))
    stack.callback(journal.unlock)
    return MemoryLog(journal), LocalSignals(), alone and journal.lock()


async def connect(settings: Settings, stack: AsyncExitStack) -> Claude:
    """Return the client of Claude's provider, which the stack closes. Without a key or a cloud, simulate Claude.

    Raises:
        WrongSetting: The provider's settings are wrong.
    """
    check_provider(settings)
    deadlines = Deadlines(silence=settings.claude_silence_seconds)
    if settings.simulated:
        from tertulia.simulator.app import create_simulator, serving

        simulator = create_simulator(pace=settings.simulator_pace)
        address = await stack.enter_async_context(serving(simulator))
        claude = Claude(api_key=SIMULATED_KEY, base_url=address, deadlines=deadlines)
    else:
        claude = client_of(settings, deadlines)
    stack.push_async_callback(claude.close)
    return claude


def open_limits(
    settings: Settings, hits: LimitHitCounter, observer: GenerationObserver, stack: AsyncExitStack, *, many_users: bool
) -> Limits:
    """Return the limits of each user: those of the settings, and the default ones only if `many_users`."""
    rates = Rates(settings.redis_url)
    stack.push_async_callback(rates.close)
    connection_slots: ConnectionSlots = LocalConnectionSlots()
    if settings.redis_url is not None:
        connection_slots = shared = RedisConnectionSlots(settings.redis_url)
        stack.push_async_callback(shared.close)

    def rate(name: str, notation: str | None, default: str) -> Rate | None:
        effective = notation or (default if many_users else None)
        return None if effective is None else Rate(name, effective)

    def count(limit: str, user_id: UUID | None) -> None:
        observer.on_limit_reached(limit)
        hits.count(limit, user_id)

    return Limits(
        rates,
        connection_slots,
        requests=rate("requests", settings.request_limit, USER_REQUESTS),
        sends=rate("sends", settings.rate_limit, USER_MESSAGES),
        uploads=rate("uploads", settings.upload_limit, USER_UPLOADS),
        shares=Rate("shares", settings.share_limit) if settings.sharing else None,
        generations=settings.max_concurrent_generations or (USER_GENERATIONS if many_users else None),
        sockets=settings.max_sockets_per_user or (USER_SOCKETS if many_users else None),
        on_refused=count,
    )
