"""Start a server: the only module that creates its parts and connects them."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

from tertulia.attachments.files import Files
from tertulia.attachments.generated_files import GeneratedFiles
from tertulia.billing.budget import Budget
from tertulia.billing.prices import Prices
from tertulia.billing.server_budget import ServerBudget
from tertulia.claude.client import Claude
from tertulia.claude.models import Models
from tertulia.claude.providers import Provider
from tertulia.db.blobs import Blobs
from tertulia.db.database import Database
from tertulia.db.migrate import migrate
from tertulia.db.search import rebuild
from tertulia.generation.config import ContinuationPolicy, EngineConfig, EngineServices
from tertulia.generation.finalizer import CHANGED
from tertulia.generation.manager import GenerationManager
from tertulia.generation.retention import (
    ResourceDeleter,
    Retention,
    expire_guests,
    trim_audit,
    trim_authorizations,
    trim_keys,
    trim_shares,
)
from tertulia.generation.retry import run_periodically
from tertulia.generation.titles import Titles
from tertulia.hooks import Hooks
from tertulia.ratelimit.limits import Subscriptions
from tertulia.ratelimit.plans import Plans
from tertulia.resolvers.context import Services
from tertulia.resolvers.limit_hits import HITS_SECONDS, LimitHitCounter
from tertulia.resolvers.server_info import ServerInfo
from tertulia.resolvers.sharing import VIEWS_SECONDS, Sharing
from tertulia.server.assistants import open_assistants
from tertulia.server.config_file import ConfigFile
from tertulia.server.hooking import open_hooks
from tertulia.server.model_settings import watch_model_settings
from tertulia.server.opening import connect, open_limits, open_log
from tertulia.server.outbox.delivery import sweep
from tertulia.server.outbox.opening import Deliveries, endpoints_of, open_database, start_deliveries
from tertulia.server.plan_file import open_plans, reread_plans
from tertulia.server.running_server import RunningServer
from tertulia.server.runtime.gc import collect_when_idle
from tertulia.server.setting_report import describe_settings
from tertulia.server.settings import Settings
from tertulia.server.sign_in import IdentitiesOf, open_sign_in
from tertulia.server.telemetry import tracing
from tertulia.server.telemetry.cost_metrics import CostCollector
from tertulia.server.telemetry.metrics import Metrics, RateLimitCollector, StateCollector
from tertulia.server.tooling import bounds_of, open_tool_registry
from tertulia.tools.mcp.servers import McpServers

SWEEP_SECONDS = 600.0
"""Seconds between deletions of expired data."""
SWEEPS_AT_START = True
"""Whether the first deletion of expired data is at the start."""
REFRESH_SECONDS = 1.0
"""Seconds between looks at the files of assistants, plans and webhooks."""
PROBE_SECONDS = 5.0
"""Seconds between checks of the parts."""


@dataclass(frozen=True, slots=True)
class Host:
    """The parts of the server that an application replaces, if it embeds the server.

    Attributes:
        identities_of: Returns the identity provider; None for that of `TERTULIA_AUTH`.
        hooks: The module or object with the hooks; None for those of `TERTULIA_HOOKS`.
    """

    identities_of: IdentitiesOf | None = None
    hooks: object = None


async def start(settings: Settings, metrics: Metrics, stack: AsyncExitStack, host: Host) -> RunningServer:
    """Start a server that runs until the stack is closed.

    Args:
        settings: The settings of the server.
        metrics: The metrics to update.
        stack: Stops everything that was started, in reverse order.
        host: What the application replaces.

    Raises:
        WrongSetting: A setting that only the start can check is wrong.
        OSError: A file, or the database, cannot be opened.
    """
    services, claude = await open_services(settings, metrics, stack, host)
    running = await open_sign_in(services, metrics, settings, stack, host.identities_of)
    stack.push_async_callback(services.generation_manager.close)
    await services.generation_manager.begin()
    _start_background_tasks(running, settings, claude, stack)
    return running


async def open_services(
    settings: Settings, metrics: Metrics, stack: AsyncExitStack, host: Host, *, serves: bool = True
) -> tuple[Services, Claude]:
    """Open the services of a server and the client of Claude. No answers are continued, and nothing is swept.

    Args:
        settings: The settings of the server.
        metrics: The metrics to update.
        stack: Closes everything that was opened, in reverse order.
        host: What the application replaces.
        serves: Whether to lock the journal and connect to MCP servers. A command next to a server passes False.

    Raises:
        WrongSetting: A setting that only the start can check is wrong.
    """
    hooks = open_hooks(settings, host.hooks, metrics.on_hook)
    database = await _open_database(settings, hooks, stack)
    claude = await connect(settings, stack)
    process = uuid4()
    if tracing.is_enabled():
        stack.push_async_callback(tracing.start_export(str(process)))
    log, signals, alone = await open_log(settings, process, stack, alone=serves, lag=metrics.lagged)
    many_users = bool(host.identities_of) or settings.auth != "local"
    limit_hits = LimitHitCounter(database)
    limits = open_limits(settings, limit_hits, metrics, stack, many_users=many_users)
    config = _config(settings, metrics, open_plans(settings, limits), alone=alone)
    engine, mcp = _open_engine(settings, database, claude, config, hooks, stack, many_users=many_users)
    if serves:
        await _start_tools(engine, mcp, stack)
    services = Services(
        database=database,
        log=log,
        generation_manager=GenerationManager(database, log, signals, engine, process=process, config=config),
        models=engine.models,
        files=engine.files,
        budget=config.budget,
        signals=signals,
        subscriptions=Subscriptions(settings.max_subscriptions_per_socket, settings.max_subscriptions),
        limits=limits,
        limit_hits=limit_hits,
        tool_registry=engine.tool_registry,
        assistants=await asyncio.to_thread(open_assistants, settings, engine.tool_registry, many_users=many_users),
        mcp=mcp,
        observer=metrics,
        hooks=hooks,
        sharing=Sharing(database, is_on=settings.sharing),
        personal_token_days=settings.personal_token_days,
        info=ServerInfo(describe_settings(settings), settings.audit_days, settings.operators_may_read),
    )
    return services, claude


async def _open_database(settings: Settings, hooks: Hooks, stack: AsyncExitStack) -> Database:
    """Return the migrated database."""
    await migrate(settings.database_url)
    database = open_database(settings, hooks)
    stack.push_async_callback(database.close)
    return database


def _open_engine(
    settings: Settings,
    database: Database,
    claude: Claude,
    config: EngineConfig,
    hooks: Hooks,
    stack: AsyncExitStack,
    *,
    many_users: bool,
) -> tuple[EngineServices, McpServers]:
    """Return the services of generations, and the MCP servers of their tools."""
    models = Models(
        claude,
        default=settings.default_model,
        allowed=settings.models,
        simulated=settings.simulated,
        provider=claude.platform.provider,
    )
    blobs = Blobs(settings.attachments_place)
    files = Files(database, blobs, claude, files_api=settings.files_api and not settings.simulated)
    titles = Titles(database, claude, models, config.prices, config.budget, model=settings.title_model or None)
    stack.push_async_callback(titles.close)
    tool_registry, mcp = open_tool_registry(settings, database, many_users=many_users)
    generated_files = GeneratedFiles(
        database, files, claude, enabled=settings.files_api and claude.platform.stores_files
    )
    return EngineServices(claude, models, files, titles, tool_registry, generated_files, hooks), mcp


async def _start_tools(engine: EngineServices, mcp: McpServers, stack: AsyncExitStack) -> None:
    """Connect to the MCP servers until the stack is closed."""
    stack.push_async_callback(mcp.close)
    await mcp.start()
    engine.tool_registry.warn_of_cost()


def _measure(services: Services, metrics: Metrics, stack: AsyncExitStack) -> None:
    services.generation_manager.backpressure.on_sample = metrics.event_loop_lag.observe
    limits = RateLimitCollector(services.generation_manager.rate_limits)
    for collector in (StateCollector(services), limits, CostCollector(services)):
        metrics.registry.register(collector)
        stack.callback(metrics.registry.unregister, collector)


def _config(settings: Settings, metrics: Metrics, plans: Plans, *, alone: bool) -> EngineConfig:
    provider = Provider(settings.provider)
    prices = Prices(settings.prices, provider)
    server_budget = ServerBudget(settings.server_monthly_budget_usd, settings.server_daily_budget_usd)
    budget = Budget(settings.monthly_budget_usd, prices, settings.daily_tokens, server_budget, plans)
    return EngineConfig(
        prices,
        budget,
        settings.prompt_caching,
        settings.lease_seconds,
        alone,
        bounds_of(settings),
        ContinuationPolicy(
            settings.continue_interrupted,
            settings.continue_attempts,
            settings.continue_seconds,
            settings.fallback_models,
            provider,
        ),
        metrics,
    )


def _start_background_tasks(running: RunningServer, settings: Settings, claude: Claude, stack: AsyncExitStack) -> None:
    services = running.services
    database, signals = services.database, services.signals
    _measure(services, running.metrics, stack)
    deleter = ResourceDeleter(database, services.log, services.files)
    retention = Retention(deleter, days=settings.retention_days, temporary_hours=settings.temporary_hours)
    # Nothing is awaited: a conversation that cannot be deleted must not prevent the start.
    for name, work in (
        ("retention", partial(retention.sweep, lambda owner: signals.send(CHANGED, owner))),
        ("audit", partial(trim_audit, database, settings.audit_days)),
        ("idempotency keys", partial(trim_keys, database)),
        ("shares", partial(trim_shares, database)),
        ("authorizations", partial(trim_authorizations, database)),
        ("search", partial(rebuild, database)),
        ("outbox", partial(sweep, database)),
    ):
        _in_background(stack, name, run_periodically(SWEEP_SECONDS, work, at_once=SWEEPS_AT_START))
    deliveries = start_deliveries(settings, services, running.metrics.delivered, stack, _in_background)
    _watch_files(services, settings, deliveries, stack)
    stack.push_async_callback(services.limit_hits.close)
    _in_background(stack, "limit hits", run_periodically(HITS_SECONDS, services.limit_hits.store))
    if services.sharing.is_on:
        stack.push_async_callback(services.sharing.close)
        _in_background(stack, "views", run_periodically(VIEWS_SECONDS, services.sharing.store_views))
    if settings.guests:
        expire = partial(expire_guests, deleter, settings.guest_days)
        _in_background(stack, "guests", run_periodically(SWEEP_SECONDS, expire, at_once=SWEEPS_AT_START))
    _in_background(stack, "sdk", claude.preload())
    _in_background(stack, "models", watch_model_settings(settings, claude))
    _in_background(stack, "collector", collect_when_idle(lambda: services.generation_manager.idle))
    _in_background(stack, "probe", run_periodically(PROBE_SECONDS, running.probe, at_once=True))


def _watch_files(services: Services, settings: Settings, deliveries: Deliveries, stack: AsyncExitStack) -> None:
    """Read the files of the operator again when they change."""
    watched: dict[str, Callable[[], Awaitable[None]]] = {}
    if services.assistants.is_configured:
        watched["assistants"] = partial(asyncio.to_thread, services.assistants.refresh)
    if settings.plans is not None:
        read = partial(reread_plans, settings, services.limits)
        watched["plans"] = ConfigFile(settings.plans, read, services.budget.plans.replace).refresh
    if settings.webhooks is not None:
        endpoints = partial(endpoints_of, settings)
        watched["webhooks"] = ConfigFile(settings.webhooks, endpoints, deliveries.adopt).refresh
    for name, refresh in watched.items():
        _in_background(stack, name, run_periodically(REFRESH_SECONDS, refresh))


def _in_background(stack: AsyncExitStack, name: str, work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work, name=name)

    async def end() -> None:
        # The task may have an open connection, which must be closed before the database.
        while not task.done():
            # Repeatedly: a library may lose a cancellation that coincides with a response.
            task.cancel()
            await asyncio.wait([task], timeout=1.0)

    stack.push_async_callback(end)
