"""`create_app(settings)`: the one place where parts are made and joined."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection

from claude.connection import Claude
from claude.generator import Generator
from claude.models import Models
from claude.simulator import create_simulator, serving
from db import conversations
from db.database import Database
from db.migrate import migrate
from resolvers.context import Context, Services, Viewer
from schema.root import schema
from server.graphql import GraphQLEndpoint
from server.pages import graphiql_page, health_router, mount_assets, pages_router
from server.rest import rest_router
from server.settings import Settings
from streams.memory import MemoryLog

LOCAL_USER = "local"
SIMULATED_KEY = "simulated"


@dataclass(slots=True)
class Parts:
    """What lives as long as the process serves."""

    services: Services = field(init=False)
    viewer: Viewer = field(init=False)

    def context(self) -> Context:
        """Make one request's or one socket's context."""
        return Context(self.services, self.viewer)

    async def check(self) -> None:
        """Raise where the server could not serve."""
        await self.services.database.check()


def create_app(settings: Settings) -> FastAPI:
    """Make the application; its lifespan opens the database, migrates it, and interrupts what runs at the end."""
    parts = Parts()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            await _open(parts, settings, stack)
            yield

    app = FastAPI(title="Tertulia", version="0.1.0", lifespan=lifespan, docs_url=None, redoc_url=None)

    async def context(_connection: HTTPConnection) -> Context:
        return parts.context()

    endpoint: Any = GraphQLEndpoint(
        schema,
        path="/graphql",
        context_getter=context,
        page=graphiql_page,
        allowed_origins=settings.cors_origins,
    )
    app.include_router(endpoint, include_in_schema=False)
    app.include_router(rest_router(parts.context))
    app.include_router(pages_router())
    app.include_router(health_router(parts.check))
    mount_assets(app)
    if settings.cors_origins:
        # Closed unless asked for; it answers preflights itself and does not touch streams.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
            expose_headers=["Retry-After"],
        )
    return app


async def _open(parts: Parts, settings: Settings, stack: AsyncExitStack) -> None:
    await migrate(settings.database_url)
    database = Database(settings.database_url)
    stack.push_async_callback(database.close)
    claude = await _connect(settings, stack)
    stack.push_async_callback(claude.close)
    models = Models(claude, default=settings.default_model, allowed=settings.models, simulated=settings.simulated)
    log = MemoryLog()
    generator = Generator(database, log, claude, models)
    await generator.recover()
    stack.push_async_callback(generator.close)
    async with database.write() as session:
        user = await conversations.ensure_user(session, LOCAL_USER)
        parts.viewer = Viewer(user.id, user.name)
    parts.services = Services(database, log, generator, models)


async def _connect(settings: Settings, stack: AsyncExitStack) -> Claude:
    if settings.anthropic_api_key is not None and not settings.simulated:
        return Claude(api_key=settings.anthropic_api_key.get_secret_value(), base_url=settings.anthropic_base_url)
    simulator = create_simulator(pace=settings.simulator_pace)
    return Claude(api_key=SIMULATED_KEY, base_url=await stack.enter_async_context(serving(simulator)))
