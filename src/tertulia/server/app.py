"""The ASGI application: its routes and middleware, for `tertulia serve` and for applications that embed it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from uuid import UUID

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from strawberry import ID
from strawberry.scalars import JSON

from tertulia.db.rows import GenerationRow
from tertulia.hooks import Hooks
from tertulia.json import Json
from tertulia.resolvers.context import Context, StoredViewer
from tertulia.resolvers.errors import BadUserInput, NotFound
from tertulia.resolvers.follow import follow_after
from tertulia.resolvers.inputs import SendMessage
from tertulia.resolvers.send import SendMessagePayload, send, stop
from tertulia.schema.document_policy import DocumentPolicy
from tertulia.schema.federation import query_types
from tertulia.schema.own_fields import schema_with
from tertulia.server.auth.authenticator import Authenticated
from tertulia.server.auth.host import Authenticate, HostAuth, load_viewer
from tertulia.server.auth.token_uses import TokenUses
from tertulia.server.http.agui.routes import agui_router
from tertulia.server.http.aisdk.routes import aisdk_router
from tertulia.server.http.attachments import attachments_router
from tertulia.server.http.content_encoding import PlainBodies
from tertulia.server.http.error_handlers import ERROR_HANDLERS
from tertulia.server.http.graphql import GraphQLEndpoint
from tertulia.server.http.middleware import REQUEST_ID, LoopbackHosts, SecureHeaders
from tertulia.server.http.pages import graphiql_page, health_router, mount_assets, pages_router
from tertulia.server.http.rest import rest_router
from tertulia.server.http.security import with_security_scheme
from tertulia.server.http.shares import shares_router
from tertulia.server.http.tool_authorization import tool_authorization_router
from tertulia.server.http.transfer import export_router, import_router
from tertulia.server.running_server import RunningServer
from tertulia.server.runtime.shutdown import drained_on_sigterm
from tertulia.server.services import Host, start
from tertulia.server.settings import Settings
from tertulia.server.telemetry import tracing
from tertulia.server.telemetry.http_metrics import CountRequests
from tertulia.server.telemetry.metrics import Metrics, metrics_router
from tertulia.streams.events import GenerationEvent
from tertulia.viewer import Viewer

if TYPE_CHECKING:
    from tertulia.server.auth.provider_routes import ProviderAccounts
    from tertulia.server.auth.sessions import SignIns

LONGEST_REQUEST_ID = 128


def _is_request_id(text: str) -> bool:
    return len(text) <= LONGEST_REQUEST_ID and text.isascii() and text.isprintable()


class Tertulia:
    """A server that can be part of another application.

    Example:
        ```python
        tertulia = Tertulia(Settings(), authenticate=who_is_asking)
        app = FastAPI(lifespan=tertulia.lifespan)
        app.mount("/ai", tertulia.app)
        ```

    Attributes:
        app: The ASGI application to mount.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        authenticate: Authenticate | None = None,
        hooks: object = None,
        query: Sequence[type] = (),
        mutation: Sequence[type] = (),
    ) -> None:
        """Create the application. Nothing is opened before `lifespan` is entered.

        Args:
            settings: The settings.
            authenticate: An async function that returns the viewer of an HTTP request or a WebSocket, or None if the
                client is not authenticated. Without it, users sign in as `TERTULIA_AUTH` defines.
            hooks: A module, or another object whose attributes are functions with the decorator `hook`. Without it,
                the hooks are those of `TERTULIA_HOOKS`.
            query: Strawberry types whose fields are added to the schema's `Query`. In their resolvers,
                `info.context` is a `FieldContext`.
            mutation: Strawberry types whose fields are added to the schema's `Mutation`.

        Raises:
            TypeError: An item of `query` or `mutation` is not a Strawberry type, or one of its fields returns a type
                of Tertulia.
            ValueError: A field or a type has the same name as another one in the schema, or a hook is wrong.
        """
        Hooks(hooks)
        self._hooks = hooks
        self._settings = settings
        self._authenticate = authenticate
        subgraph = query_types(introspection=settings.introspection) if settings.federation else ()
        self._schema = schema_with(query, mutation, subgraph)
        self._metrics = Metrics()
        self._running: RunningServer | None = None
        self.app = self._create_app()

    @asynccontextmanager
    async def lifespan(self, _app: object = None) -> AsyncGenerator[None]:
        """Migrate the database and start the server. At the end, save running answers as INTERRUPTED, and close.

        This is an async context manager whose argument is the application, as FastAPI's `lifespan` expects. It can be
        entered again after it has ended.

        Raises:
            WrongSetting: A setting that only the start can check is wrong.
            OSError: A file, or the database, cannot be opened.
        """
        try:
            async with AsyncExitStack() as stack:
                self._running = await start(self._settings, self._metrics, stack, self._host())
                try:
                    yield
                finally:
                    self._running.leaving = True
        finally:
            self._running = None

    async def drain(self) -> None:
        """Continue to serve for `TERTULIA_SHUTDOWN_DELAY_SECONDS`, then accept no new messages, and end all streams.

        Running answers have `TERTULIA_DRAIN_SECONDS` to finish. Those that are still running then are saved, and end as
        INTERRUPTED. `tertulia serve` calls this on SIGTERM.
        """
        settings = self._settings
        await self.running.drain(settings.shutdown_delay_seconds, settings.drain_seconds)

    async def send(
        self,
        viewer: Viewer,
        text: str,
        *,
        conversation_id: UUID | str | None = None,
        external_id: str | None = None,
        assistant_id: str | None = None,
        context: Json | None = None,
        idempotency_key: UUID | str | None = None,
    ) -> SendMessagePayload:
        """Store a viewer's message and start Claude's answer, as `sendMessage` does.

        Args:
            viewer: The user who sends the message.
            text: The message, at most 200,000 characters.
            conversation_id: The conversation to continue; None for a new conversation.
            external_id: The application's id of the conversation, 1 to 255 characters, instead of `conversation_id`. If
                the viewer has no such conversation, it is created.
            assistant_id: The assistant of a new conversation; None for the default one.
            context: What the application knows now, as JSON of at most 32,768 bytes. Claude gets it with the text.
            idempotency_key: A UUID. A message that is sent twice with the same key within 24 hours is stored and
                answered only once.

        Returns:
            An object with `conversation`, `user_message` and `generation`, each with an `id`, and `replayed`: whether
                the idempotency key returned an earlier result. The answer is written after the call returns.

        Raises:
            InvalidInput: The text is blank or too long, there is no such assistant, the context is too large, or the
                key is not a UUID or was used for another message.
            NotFound: The viewer has no such conversation.
            ConversationBusy: A message of the conversation is already being answered.
            RateLimited: A limit of messages or concurrent answers is exceeded, or the server is shutting down.
            BudgetExceeded: A budget of the viewer or of the server is used up.
            SendRefused: The hook `before_send` refused the message.
        """
        input = SendMessage(
            text=text,
            conversation_id=_as_id(conversation_id),
            external_id=external_id,
            assistant_id=_as_id(assistant_id),
            context=None if context is None else JSON(context),
            idempotency_key=_as_id(idempotency_key),
        )
        return await send(await self._context_of(viewer), input)

    async def follow(
        self, viewer: Viewer, generation_id: UUID | str, *, after: int | None = None
    ) -> AsyncGenerator[GenerationEvent]:
        """Follow an answer to its end, as the subscription `generationEvents` does.

        Args:
            viewer: The owner of the answer.
            generation_id: The answer.
            after: The `sequence` of the last event that was received; None to begin with a snapshot.

        Yields:
            Events, whose classes have the names of the GraphQL types. Each has `sequence`; a `TextDelta` also has
                `text`.

        Raises:
            NotFound: The viewer has no such answer, or it was deleted.
        """
        try:
            async with aclosing(follow_after(await self._context_of(viewer), str(generation_id), after)) as events:
                async for event in events:
                    yield event
        except BadUserInput as error:
            raise NotFound(str(generation_id), "generation") from error

    async def stop(self, viewer: Viewer, generation_id: UUID | str) -> GenerationRow:
        """Stop an answer, whichever process runs it, as `stopGeneration` does. An answer that has ended is not changed.

        Args:
            viewer: The owner of the answer.
            generation_id: The answer.

        Returns:
            An object with the `id` and the final `status` of the answer.

        Raises:
            NotFound: The viewer has no such answer.
        """
        return await stop(await self._context_of(viewer), str(generation_id))

    async def _context_of(self, viewer: Viewer) -> Context:
        services = self.running.services
        if self._authenticate is None and isinstance(viewer, StoredViewer):
            # The viewer is from `info.context`, and already has a row. Without `authenticate`, no row may be added.
            return Context(services, viewer)
        return Context(services, await load_viewer(services.database, viewer))

    @property
    def running(self) -> RunningServer:
        """The running server; raises RuntimeError outside of `lifespan`."""
        if self._running is None:
            raise RuntimeError("Tertulia is not running. Enter its lifespan: FastAPI(lifespan=tertulia.lifespan).")
        return self._running

    def _host(self) -> Host:
        authenticate, group_claim = self._authenticate, self._settings.usage_group_claim
        return Host(
            None
            if authenticate is None
            else lambda database: HostAuth(database, authenticate, TokenUses(database, group_claim)),
            self._hooks,
        )

    def _create_app(self) -> FastAPI:
        settings = self._settings
        telemetry = tracing.fastapi_config()
        app = FastAPI(title="Tertulia", version=version("tertulia"), docs_url=None, redoc_url=None, telemetry=telemetry)
        endpoint: Any = GraphQLEndpoint(
            DocumentPolicy(self._schema, introspection=settings.introspection, trusted=settings.persisted_queries),
            path="/graphql",
            authenticator=lambda: self.running.authenticator,
            page=graphiql_page,
            allowed_origins=settings.cors_origins,
            connection_init_seconds=settings.connection_init_seconds,
            operations=self._metrics.operations,
        )
        app.include_router(endpoint, include_in_schema=False)
        self._add_optional_routes(app)
        app.include_router(health_router(self._check))
        app.include_router(metrics_router(self._metrics))
        mount_assets(app)
        for error, handler in ERROR_HANDLERS.items():
            app.add_exception_handler(error, handler)
        self._add_middleware(app)
        return app

    def _add_optional_routes(self, app: FastAPI) -> None:
        """Add the routes that depend on settings, and the page that lists them."""
        settings = self._settings
        auth = settings.auth if self._authenticate is None else "host"
        context = with_security_scheme(self._context, auth)
        if settings.rest:
            app.include_router(rest_router(with_security_scheme(self._admit, auth)))
        if settings.ag_ui:
            app.include_router(agui_router(with_security_scheme(self._admit, auth)))
        if settings.ai_sdk:
            app.include_router(aisdk_router(with_security_scheme(self._admit, auth)))
        app.include_router(attachments_router(context, settings.cors_origins))
        if settings.export:
            app.include_router(export_router(context))
        if settings.import_files:
            app.include_router(import_router(context, settings.cors_origins))
        if settings.sharing:
            app.include_router(shares_router(self._reader_of_shares))
        if settings.mcp_config is not None:
            app.include_router(tool_authorization_router(lambda: self.running, settings.cors_origins))
        if auth == "password":
            from tertulia.server.auth.routes import accounts_router

            app.include_router(accounts_router(self._sign_ins, guests=settings.guests))
        if auth == "oidc":
            from tertulia.server.auth.provider_routes import provider_router

            app.include_router(provider_router(self._provider_accounts))
        has_provider = auth == "oidc" and settings.oidc_client_id is not None
        offers = {
            "guests": auth == "password" and settings.guests,
            "sharing": settings.sharing,
            "provider": has_provider,
        }
        app.include_router(
            pages_router(auth=auth, registration=settings.registration, **offers, switched_off=_switched_off(settings))
        )

    def _add_middleware(self, app: FastAPI) -> None:
        """Add the middleware. Requests pass through it in the reverse order of addition."""
        settings = self._settings
        app.add_middleware(PlainBodies)
        app.add_middleware(SecureHeaders, lambda: self._running is not None and self._running.leaving)
        if settings.auth == "local" and self._authenticate is None:
            app.add_middleware(LoopbackHosts, settings.cors_origins)
        if settings.cors_origins:
            # It responds to preflights by itself, and does not change streams.
            app.add_middleware(
                CORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_methods=["GET", "POST", "DELETE"],
                allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"],
                expose_headers=["Retry-After", "RateLimit", "RateLimit-Policy", REQUEST_ID],
            )
        app.add_middleware(CorrelationIdMiddleware, header_name=REQUEST_ID, validator=_is_request_id)
        app.add_middleware(CountRequests, self._metrics.http, self._metrics.operations)

    async def _admit(self, request: Request) -> Authenticated:
        return await self.running.admit(request)

    async def _context(self, request: Request) -> Context:
        return await self.running.context(request)

    async def _reader_of_shares(self, request: Request) -> Context | None:
        return await self.running.authenticator.admit_reader_of_shares(request)

    async def _check(self) -> dict[str, bool]:
        return await self.running.check()

    def _provider_accounts(self) -> "ProviderAccounts":
        accounts = self.running.provider_accounts
        if accounts is None:
            raise RuntimeError("Only the mode `oidc` has these routes.")
        return accounts

    def _sign_ins(self) -> "SignIns":
        sign_ins = self.running.sign_ins
        if sign_ins is None:
            raise RuntimeError("Accounts with passwords need TERTULIA_AUTH=password.")
        return sign_ins


def _as_id(id: UUID | str | None) -> ID | None:
    return None if id is None else ID(str(id))


def create_app(settings: Settings) -> FastAPI:
    """Return the application of `tertulia serve`; SIGTERM drains it."""
    tertulia = Tertulia(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with tertulia.lifespan(app):
            with drained_on_sigterm(tertulia.drain):
                yield

    tertulia.app.router.lifespan_context = lifespan
    return tertulia.app


def _switched_off(settings: Settings) -> set[str]:
    """Return the names of the links to routes that the settings switch off."""
    chat_links = set[str]() if settings.rest else {"chat", "chat_stream"}
    routes = {"ag_ui": settings.ag_ui, "ai_sdk": settings.ai_sdk}
    switches = routes | {"export": settings.export, "import": settings.import_files}
    return chat_links | {name for name, is_on in switches.items() if not is_on}
