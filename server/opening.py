"""Opening what lies outside of the process: the log of events, and Claude."""

from contextlib import AsyncExitStack
from uuid import UUID

from claude.connection import Claude, Deadlines
from claude.simulator import create_simulator, serving
from server.settings import Settings, database_file
from streams.journal import Journal
from streams.log import EventLog, LocalSignals, Signals
from streams.memory import MemoryLog
from streams.redis_log import RedisLog

SIMULATED_KEY = "simulated"


async def open_log(
    settings: Settings, process: UUID, stack: AsyncExitStack, *, alone: bool = True
) -> tuple[EventLog, Signals, bool]:
    """Make the log and the signals; say whether no other process shares them, as the file's lock tells.

    Without `alone` the lock is left to whoever serves.
    """
    if settings.redis_url is not None:
        log = RedisLog(settings.redis_url, process)
        await log.start()
        stack.push_async_callback(log.close)
        return log, log, False
    file = database_file(settings.database_url)
    if file is None:
        return MemoryLog(), LocalSignals(), False
    journal = Journal(file.with_name(file.name + "-answers"))
    stack.callback(journal.leave)
    return MemoryLog(journal), LocalSignals(), alone and journal.take()


async def connect(settings: Settings, stack: AsyncExitStack) -> Claude:
    """Connect to Claude, or to a simulated one that is started for it."""
    deadlines = Deadlines(silence=settings.claude_silence_seconds)
    if settings.anthropic_api_key is not None and not settings.simulated:
        key = settings.anthropic_api_key.get_secret_value()
        return Claude(api_key=key, base_url=settings.anthropic_base_url, deadlines=deadlines)
    simulator = create_simulator(pace=settings.simulator_pace)
    address = await stack.enter_async_context(serving(simulator))
    return Claude(api_key=SIMULATED_KEY, base_url=address, deadlines=deadlines)
