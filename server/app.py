"""`create_app(settings)`: the one place where parts are made and joined."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import uuid4

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from claude.budget import Budget
from claude.connection import Claude
from claude.files import Files
from claude.generator import Generator
from claude.models import Models
from claude.patience import forever
from claude.prices import Prices
from claude.removing import Remover, Retention, trim_audit, trim_keys
from claude.server_budget import ServerBudget
from claude.settling import CHANGED
from claude.terms import Terms, Upstream
from claude.titles import Titles
from db import accounts
from db.blobs import STORE_ERRORS, Blobs
from db.database import Database
from db.errors import DATABASE_ERRORS
from db.migrate import migrate
from db.search import rebuild
from resolvers.context import Context, Services
from resolvers.errors import RateLimited
from resolvers.limits import Rates, Subscriptions
from schema.gate import Gate
from schema.root import schema
from server import tracing
from server.accounts import accounts_router
from server.admission import (
    SIGNED_OUT,
    Admitted,
    Door,
    dismiss,
    refuse_fault,
    refuse_for_now,
    refuse_full,
    refuse_too_many,
    refuse_unknown,
)
from server.attachments import attachments_router
from server.collecting import collect_when_idle
from server.content_encoding import PlainBodies
from server.draining import drained_on_sigterm
from server.graphql import GraphQLEndpoint
from server.guesses import Guesses, LocalFailures, RedisFailures
from server.headers import REQUEST_ID, LoopbackHosts, SecureHeaders
from server.http_metrics import CountRequests
from server.identities import Alone, Identities, SignedIn, Unauthenticated, Unavailable, viewer_of
from server.model_settings import watch_model_settings
from server.oidc import FromProvider
from server.opening import connect, open_limits, open_log
from server.pages import graphiql_page, health_router, mount_assets, pages_router
from server.rest import refuse_invalid, rest_router
from server.settings import Settings, secret_of
from server.sign_in import SignIns
from server.telemetry import Metrics, Standing, metrics_router
from server.tokens import Tokens
from server.tooling import bounds_of, start_tools
from server.transfer import export_router, import_router
from streams.bells import Bells
from streams.memory import MemoryLog
from streams.redis_log import RedisLog

LOCAL_USER = "local"
LONGEST_REQUEST_ID = 128
SWEEP_SECONDS = 600.0
"""How often what nobody needs any more is looked for."""
REFUSALS: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    Unauthenticated: refuse_unknown,
    RequestValidationError: refuse_invalid,
    Unavailable: refuse_for_now,
    RateLimited: refuse_too_many,
    ClientDisconnect: dismiss,
    **dict.fromkeys((*DATABASE_ERRORS, *STORE_ERRORS), refuse_full),
    Exception: refuse_fault,
}
CHECK_SECONDS = 5.0
"""How long a part may take to answer before it counts as failing."""
PROBE_SECONDS = 5.0
"""How often the parts are looked at."""
LAST_WORDS = 2.0
"""Seconds in which those who follow an answer are told that it was interrupted."""


@dataclass(slots=True)
class Parts:
    """What lives as long as the process serves."""

    metrics: Metrics = field(default_factory=Metrics)
    services: Services = field(init=False)
    door: Door = field(init=False)
    sign_ins: SignIns = field(init=False)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    leaving: bool = False

    async def admit(self, request: Request) -> Admitted:
        """Let one request in; raise Unauthenticated."""
        return await self.door.request(request)

    async def context(self, request: Request) -> Context:
        """Make one request's context; raise Unauthenticated."""
        return (await self.admit(request)).context

    async def check(self) -> dict[str, bool]:
        """Say of each part whether it serves."""
        found = {"database": await _answers(self.services.database.check())}
        if isinstance(self.services.log, RedisLog):
            found["redis"] = await _answers(self.services.log.check())
        storage = await _answers(self._check_storage())
        self.metrics.ready(found | {"storage": storage})
        if not storage:
            found["storage"] = False
        if self.leaving or self.services.generator.draining:
            found["draining"] = False
        return found

    async def probe(self) -> None:
        """Bring the metrics of parts and of the server's budget up to date, whether or not anybody asks `/readyz`."""
        await self.check()
        server = self.services.budget.server
        if server.is_limited:
            async with self.services.database.read() as session:
                self.metrics.spent(await server.periods(session))

    async def _check_storage(self) -> None:
        await self.services.database.check_storage()
        await self.services.files.blobs.check_storage()
        if isinstance(self.services.log, MemoryLog):
            await self.services.log.check_storage()

    async def drain(self, delay: float, grace: float) -> None:
        """Serve on while proxies find out, then begin nothing new, let answers end, and end the streams."""
        self.leaving = True
        await asyncio.sleep(delay)
        await self.services.generator.drain(grace)
        await self.services.generator.close()
        await self.services.subscriptions.told(LAST_WORDS)
        self.closing.set()


def _is_request_id(given: str) -> bool:
    return len(given) <= LONGEST_REQUEST_ID and given.isascii() and given.isprintable()


async def _answers(check: Awaitable[None]) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check
    except Exception:  # noqa: BLE001 - whatever it is, the answer is no
        return False
    return True


def create_app(settings: Settings) -> FastAPI:
    """Make the application; its lifespan opens the database, migrates it, and interrupts what runs at the end."""
    parts = Parts()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            await _open(parts, settings, stack)
            delay, grace = settings.shutdown_delay_seconds, settings.drain_seconds
            stack.enter_context(drained_on_sigterm(lambda: parts.drain(delay, grace)))
            yield

    told = tracing.of_requests()
    app = FastAPI(title="Tertulia", version="0.1.0", lifespan=lifespan, docs_url=None, redoc_url=None, telemetry=told)

    endpoint: Any = GraphQLEndpoint(
        Gate(schema, introspection=settings.introspection, trusted=settings.persisted_queries),
        path="/graphql",
        door=lambda: parts.door,
        page=graphiql_page,
        allowed_origins=settings.cors_origins,
        connection_init_seconds=settings.connection_init_seconds,
    )
    app.include_router(endpoint, include_in_schema=False)
    _add_optional_routes(app, parts, settings)
    app.include_router(health_router(parts.check))
    app.include_router(metrics_router(parts.metrics))
    mount_assets(app)
    for error, answer in REFUSALS.items():
        app.add_exception_handler(error, answer)
    app.add_middleware(PlainBodies)
    _add_middleware(app, parts, settings)
    return app


def _add_middleware(app: FastAPI, parts: Parts, settings: Settings) -> None:
    """Add what all requests pass: the last one added comes first."""
    app.add_middleware(SecureHeaders, lambda: parts.leaving)
    if settings.auth == "local":
        app.add_middleware(LoopbackHosts, settings.cors_origins)
    if settings.cors_origins:
        # Closed unless asked for; it answers preflights itself and does not touch streams.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
            expose_headers=["Retry-After", "RateLimit", "RateLimit-Policy", REQUEST_ID],
        )
    app.add_middleware(CorrelationIdMiddleware, header_name=REQUEST_ID, validator=_is_request_id)
    app.add_middleware(CountRequests, parts.metrics.http)


def _add_optional_routes(app: FastAPI, parts: Parts, settings: Settings) -> None:
    """Add the routes that settings decide on, and the page, which says which ones there are."""
    if settings.rest:
        app.include_router(rest_router(parts.admit))
    app.include_router(attachments_router(parts.context, settings.cors_origins))
    if settings.export:
        app.include_router(export_router(parts.context))
    if settings.import_files:
        app.include_router(import_router(parts.context, settings.cors_origins))
    if settings.auth == "password":
        app.include_router(accounts_router(lambda: parts.sign_ins))
    app.include_router(
        pages_router(auth=settings.auth, registration=settings.registration, switched_off=_switched_off(settings))
    )


def _switched_off(settings: Settings) -> set[str]:
    """Return the names of the links that this server does not have."""
    rest = set[str]() if settings.rest else {"chat", "chat_stream"}
    others = {"export": settings.export, "import": settings.import_files}
    return rest | {name for name, is_on in others.items() if not is_on}


async def _open(parts: Parts, settings: Settings, stack: AsyncExitStack) -> None:
    await migrate(settings.database_url)
    database = Database(settings.database_url)
    stack.push_async_callback(database.close)
    claude = await connect(settings, stack)
    stack.push_async_callback(claude.close)
    models = Models(claude, default=settings.default_model, allowed=settings.models, simulated=settings.simulated)
    process = uuid4()
    if tracing.wanted():
        stack.push_async_callback(tracing.begin(str(process)))
    log, signals, alone = await open_log(settings, process, stack, lag=parts.metrics.lagged)
    bells = Bells()
    signals.on(CHANGED, bells.ring)
    prices = Prices(settings.prices)
    of_server = ServerBudget(settings.server_monthly_budget_usd, settings.server_daily_budget_usd)
    budget = Budget(settings.monthly_budget_usd, prices, settings.daily_tokens, of_server)
    bounds = bounds_of(settings)
    terms = Terms(prices, budget, settings.prompt_caching, settings.lease_seconds, alone, bounds, parts.metrics)
    blobs = Blobs(settings.attachments_place)
    files = Files(database, blobs, claude, files_api=settings.files_api and not settings.simulated)
    titles = Titles(database, claude, models, (prices, budget), model=settings.title_model or None)
    stack.push_async_callback(titles.close)
    toolbox, mcp = await start_tools(settings, stack)
    upstream = Upstream(claude, models, files, titles, toolbox)
    generator = Generator(database, log, signals, upstream, process=process, terms=terms)
    subscriptions = Subscriptions(settings.max_subscriptions_per_socket, settings.max_subscriptions)
    rates = Rates(settings.redis_url)
    limits = open_limits(settings, rates, parts.metrics, stack)
    shared = (subscriptions, limits, toolbox, mcp, parts.metrics)
    parts.services = Services(database, log, generator, models, files, budget, signals, bells, parts.closing, *shared)
    parts.metrics.registry.register(Standing(parts.services))
    parts.door = Door(await _identities(settings, database), lambda: parts.services)
    signals.on(SIGNED_OUT, parts.door.signed_out)
    if settings.auth == "password":
        parts.sign_ins = _sign_ins(parts, settings, rates, stack)
    stack.push_async_callback(generator.close)
    await generator.begin()
    _work_in_background(parts, settings, claude, stack)


def _work_in_background(parts: Parts, settings: Settings, claude: Claude, stack: AsyncExitStack) -> None:
    services = parts.services
    database, signals = services.database, services.signals
    remover = Remover(database, services.log, services.files)
    retention = Retention(remover, days=settings.retention_days, temporary_hours=settings.temporary_hours)
    # Nothing is awaited: a conversation that cannot be removed must not keep the server from starting.
    for name, work in (
        ("retention", partial(retention.sweep, lambda owner: signals.send(CHANGED, owner))),
        ("audit", partial(trim_audit, database, settings.audit_days)),
        ("idempotency keys", partial(trim_keys, database)),
        ("search", partial(rebuild, database)),
    ):
        _in_background(stack, name, forever(SWEEP_SECONDS, work, at_once=True))
    _in_background(stack, "models", watch_model_settings(settings, claude))
    _in_background(stack, "collector", collect_when_idle(lambda: services.generator.idle))
    _in_background(stack, "probe", forever(PROBE_SECONDS, parts.probe, at_once=True))


def _in_background(stack: AsyncExitStack, name: str, work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work, name=name)

    async def end() -> None:
        # It may have a connection open, which has to be closed before the database is.
        while not task.done():
            # Again and again: a library may lose a cancellation that meets an answer.
            task.cancel()
            await asyncio.wait([task], timeout=1.0)

    stack.push_async_callback(end)


def _sign_ins(parts: Parts, settings: Settings, rates: Rates, stack: AsyncExitStack) -> SignIns:
    services = parts.services
    remover = Remover(services.database, services.log, services.files, services.generator.stop)
    tokens, open_to_all = Tokens(secret_of(settings)), settings.registration == "open"
    guesses = Guesses(LocalFailures() if settings.redis_url is None else RedisFailures(settings.redis_url))
    stack.push_async_callback(guesses.close)
    return SignIns(services.database, tokens, rates, guesses, parts.door, remover.remove_user, open_to_all=open_to_all)


async def _identities(settings: Settings, database: Database) -> Identities:
    if settings.auth == "password":
        return SignedIn(database, Tokens(secret_of(settings)))
    if settings.auth == "oidc":
        issuer, audience = settings.oidc_issuer or "", settings.oidc_audience or ""
        return FromProvider(database, issuer=issuer, audience=audience)
    async with database.write() as session:
        user = await accounts.get_or_create(session, LOCAL_USER)
    return Alone(viewer_of(user))
