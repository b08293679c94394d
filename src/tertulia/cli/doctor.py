"""`tertulia doctor`: check settings and services, and print one line for each finding."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from fnmatch import fnmatchcase
from uuid import uuid4

from graphql import GraphQLError, parse, validate
from rich.console import Console
from rich.markup import escape

from tertulia.assistants.definition import Assistant, ClientSetting
from tertulia.billing.server_budget import PeriodBudget, ServerBudget
from tertulia.claude.client import Claude
from tertulia.claude.model_check import try_model
from tertulia.claude.providers import PLATFORMS, SERVER_TOOLS, Provider
from tertulia.db import outbox_states
from tertulia.db.address import show_address
from tertulia.db.blobs import Blobs
from tertulia.db.database import Database
from tertulia.db.errors import DatabaseUnavailable
from tertulia.db.ledger import dollars
from tertulia.db.migrate import schema_of
from tertulia.db.outbox_states import SubscriberState
from tertulia.schema.root import schema
from tertulia.server.assistants import create_catalog
from tertulia.server.auth.oidc import Keys
from tertulia.server.auth.providers import Unavailable
from tertulia.server.environment import WrongSetting, check_names
from tertulia.server.hooking import open_hooks
from tertulia.server.http.pages import ASSETS
from tertulia.server.model_settings import find_wrong_models, opened
from tertulia.server.outbox.opening import endpoints_of
from tertulia.server.plan_file import check_plans
from tertulia.server.settings import Settings, known_names, load_settings
from tertulia.server.tooling import open_tool_registry, servers_with_oauth

Finding = tuple[bool, str]
MOST_NAMED = 50
"""The number of tools that are listed by name."""


async def examine() -> int:
    """Print each finding when its check ends, and return the exit status: 0 if all checks pass, else 1."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        settings = load_settings()
    except WrongSetting as error:
        _print(console, (False, str(error)))
        return 1
    passed = True
    async for finding in _findings(settings, console):
        _print(console, finding)
        passed = passed and finding[0]
    return 0 if passed else 1


async def _findings(settings: Settings, console: Console) -> AsyncIterator[Finding]:
    yield True, f"settings: auth {settings.auth}, log level {settings.log_level}"
    for warning in check_names(known_names()):
        yield False, warning
    yield (
        True,
        f"models: default {settings.default_model}; allowed {', '.join(settings.models) or 'all models of the API'}",
    )
    with console.status("Opening the database …"):
        finding = await _database(settings)
    yield finding
    yield await _budget(settings)
    yield await _identity(settings)
    names = ", ".join(check_plans(settings))
    yield True, f"plans: {names or 'none'}"
    for finding in _persisted_documents(settings):
        yield finding
    yield await _redis(settings)
    yield await _attachments(settings)
    names = ", ".join(open_hooks(settings).names)
    yield True, f"hooks: {names or 'none'}"
    yield await _webhooks(settings)
    with console.status("Connecting tools …"):
        findings = await _tools(settings)
    for finding in findings:
        yield finding
    for finding in await asyncio.to_thread(_assistants, settings):
        yield finding
    with console.status("Asking Claude …"):
        findings = [finding async for finding in _claude(settings)]
    for finding in findings:
        yield finding
    missing = [name for name, folder in ASSETS.items() if folder is None]
    yield (
        not missing,
        f"pages: {', '.join(missing)} not installed; run `make install`" if missing else "pages: installed",
    )


async def _database(settings: Settings) -> Finding:
    try:
        schema = await schema_of(settings.database_url)
    except DatabaseUnavailable as error:
        return False, str(error)
    address = show_address(settings.database_url)
    if schema.current is None:
        return True, f"database: {address} has no tables yet; the first start creates them, schema {schema.newest}"
    if schema.unsupported:
        return False, f"database: {schema.unsupported}"
    if schema.current != schema.newest:
        return (
            False,
            f"database: schema {schema.current}, this version requires {schema.newest}: run `tertulia migrate`",
        )
    return True, f"database: {address} is open, writable and up to date, schema {schema.current}"


async def _budget(settings: Settings) -> Finding:
    """Report how much of the server's budget is spent, or that it has none."""
    server = ServerBudget(settings.server_monthly_budget_usd, settings.server_daily_budget_usd)
    if not server.is_limited:
        monthly_limit = settings.monthly_budget_usd
        users = "none for users" if monthly_limit is None else f"{monthly_limit} USD a month for each user"
        hint = "TERTULIA_SERVER_MONTHLY_BUDGET_USD limits the spending of all users together"
        return True, f"budget: none for the server; {users}; {hint}"
    try:
        schema = await schema_of(settings.database_url)
    except DatabaseUnavailable:
        return True, "budget: not checked, because the database is unavailable"
    if schema.current != schema.newest:
        return True, "budget: not checked, because the database must be migrated first"
    database = Database(settings.database_url)
    try:
        async with database.read() as session:
            periods = await server.periods(session)
    finally:
        await database.close()
    usage = "; ".join(_describe_period(period) for period in periods)
    return all(period.left > 0 for period in periods), f"budget: {usage}"


def _describe_period(period: PeriodBudget) -> str:
    name = f"TERTULIA_SERVER_{'MONTHLY' if period.period == 'month' else 'DAILY'}_BUDGET_USD"
    limit, used_dollars = dollars(period.limit), dollars(period.spent + period.reserved)
    if period.left <= 0:
        return f"{name}: {limit} USD are spent; messages are refused until {period.resets_at:%Y-%m-%d} UTC"
    return f"{used_dollars:.2f} of {limit} USD of this {period.period} are spent or reserved"


async def _identity(settings: Settings) -> Finding:
    if settings.auth == "local":
        return True, "identity: one local user without sign-in; only this machine can connect"
    if settings.auth == "password":
        shared = settings.secret_key is not None
        keys = "signed with TERTULIA_SECRET_KEY" if shared else "signed with the key in the file next to the database"
        if settings.secret_key_fallback is not None:
            keys += ", and those signed with TERTULIA_SECRET_KEY_FALLBACK are accepted"
        return True, f"identity: accounts; registration {settings.registration}; tokens {keys}"
    try:
        key_count = await Keys(settings.oidc_issuer or "").find()
    except Unavailable as error:
        return False, f"TERTULIA_OIDC_ISSUER: {settings.oidc_issuer}: {error}"
    return True, f"identity: tokens of {settings.oidc_issuer} for {settings.oidc_audience}; {key_count} keys"


def _persisted_documents(settings: Settings) -> list[Finding]:
    """Validate the persisted documents against the schema. The server refuses invalid ones only when they are used."""
    if settings.persisted_queries is None:
        return []
    findings: list[Finding] = []
    for id, text in settings.persisted_queries.items():
        try:
            errors = validate(schema.core, parse(text, no_location=True))
        except GraphQLError as error:
            errors = [error]
        if errors:
            findings.append((False, f"TERTULIA_PERSISTED_QUERIES: {id}: {errors[0].message}"))
    return findings or [(True, f"persisted queries: {len(settings.persisted_queries)}, all valid")]


async def _redis(settings: Settings) -> Finding:
    if settings.redis_url is None:
        return True, "redis: not configured; run one process only"
    from tertulia.redis_client import AWAY, find_wrong_mode, is_cluster
    from tertulia.streams.redis.log import RedisLog

    if wrong := await find_wrong_mode(settings.redis_url):
        return False, f"REDIS_URL: {wrong}"
    log = RedisLog(settings.redis_url, uuid4())
    try:
        await log.check()
    except AWAY as error:
        return False, f"REDIS_URL: cannot connect to Redis: {error}"
    finally:
        await log.close()
    kind = " to a cluster" if is_cluster(settings.redis_url) else ""
    return True, f"redis: connected{kind}; any number of processes can serve"


async def _attachments(settings: Settings) -> Finding:
    location = settings.attachments_place
    try:
        await Blobs(location).check()
    except (OSError, ValueError) as error:
        return False, f"TERTULIA_ATTACHMENTS: {location} cannot be written: {str(error).partition(chr(10))[0]}"
    return True, f"attachments: {location} is writable"


async def _webhooks(settings: Settings) -> Finding:
    """Report the endpoints of webhooks that are disabled, and the number of events that have failed."""
    endpoints = endpoints_of(settings)
    if not endpoints:
        return True, "webhooks: none"
    names = ", ".join(endpoint.title for endpoint in endpoints)
    try:
        schema = await schema_of(settings.database_url)
    except DatabaseUnavailable:
        return True, f"webhooks: {names}; not checked, because the database is unavailable"
    if schema.current != schema.newest:
        return True, f"webhooks: {names}; not checked, because the database must be migrated first"
    database = Database(settings.database_url)
    try:
        async with database.read() as session:
            states = await outbox_states.states(session)
    finally:
        await database.close()
    disabled = [endpoint.title for endpoint in endpoints if states.get(endpoint.title, SubscriberState()).disabled_at]
    if disabled:
        return False, f"webhooks: {', '.join(disabled)}: disabled, because it responded with 410 Gone"
    failed, pending = (sum(getattr(state, name) for state in states.values()) for name in ("failed", "pending"))
    return not failed, f"webhooks: {names}; {pending} events pending, {failed} failed"


async def _tools(settings: Settings) -> list[Finding]:
    tool_registry, mcp = open_tool_registry(settings)
    try:
        await mcp.start()
        servers = mcp.servers
        names = [offer.name for offer in tool_registry.offers()]
        cost = tool_registry.cost()
    finally:
        await mcp.close()
    setting = "TERTULIA_MCP_CONFIG"
    findings = [(False, f"{setting}: {server.name}: {server.problem}") for server in servers if not server.connected]
    findings += [
        (False, f"{setting}: {server.name}: the tool {tool.name} is skipped: {tool.reason}")
        for server in servers
        for tool in server.skipped
    ]
    own = servers_with_oauth(settings)
    # The tools of a server with OAuth are known only to the users who have connected.
    names += [f"{name}__*" for name in own]
    unmatched = [
        pattern
        for pattern in settings.ask_first
        if not any(fnmatchcase(name, pattern) for name in names) and not pattern.startswith(_prefixes(own))
    ]
    if unmatched and all(server.connected for server in servers):
        findings.append((False, f"TERTULIA_ASK_FIRST: no tool is called {', '.join(unmatched)}"))
    if cost.warning is not None:
        findings.append((False, f"tools: {cost.warning}"))
    if findings:
        return findings
    size = (
        f"; about {cost.loaded_tokens:,} of {cost.tokens:,} tokens are in every request, Claude searches for the rest"
    )
    listed = ", ".join(names[:MOST_NAMED]) or "none"
    others = f" and {len(names) - MOST_NAMED} others" if len(names) > MOST_NAMED else ""
    return [(True, f"tools: {listed}{others}{size if cost.loaded_tokens < cost.tokens else ''}")]


def _prefixes(servers: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{server}__" for server in servers)


def _assistants(settings: Settings) -> list[Finding]:
    if settings.assistants is None:
        return [(True, f"assistants: none; clients may set {_clients_may_set(settings)}")]
    catalog = create_catalog(settings, open_tool_registry(settings)[0])
    problems = catalog.problems()
    if problems:
        return [(False, f"TERTULIA_ASSISTANTS: {problem}") for problem in problems]
    catalog.refresh()
    return [(True, f"assistants: {_describe_assistant(assistant)}") for assistant in catalog.all()]


def _clients_may_set(settings: Settings) -> str:
    settings_of_clients = create_catalog(settings, many_users=settings.auth != "local").clients_may_set
    return ", ".join(setting for setting in ClientSetting if setting in settings_of_clients) or "nothing"


def _describe_assistant(assistant: Assistant) -> str:
    instructions = assistant.instructions
    cached = f"{instructions.static_length:,} of {instructions.length:,} characters are the same for all users"
    clients = ", ".join(setting for setting in ClientSetting if setting in assistant.clients_may_set) or "nothing"
    tools = ", ".join(assistant.tools) or "none"
    return f"{assistant.id}: {cached}; tools {tools}; clients may set {clients}"


async def _claude(settings: Settings) -> AsyncIterator[Finding]:
    start = time.monotonic()
    model_findings = await find_wrong_models(settings)
    for line in (*model_findings.errors, *model_findings.warnings):
        yield False, line
    main = PLATFORMS[Provider(settings.provider)]
    if model_findings.unchecked is not None:
        yield False, f"claude: {model_findings.unchecked}"
    elif settings.simulated:
        yield True, "claude: simulated; set ANTHROPIC_API_KEY to use the real API"
    elif main.lists_models:
        yield True, f"claude: connected; {model_findings.listed} models listed in {time.monotonic() - start:.1f} s"
    if not settings.simulated:
        async with opened(settings) as claude:
            for finding in [await _try(claude, model_id) for model_id in _models_to_try(settings, claude)]:
                yield finding


def _models_to_try(settings: Settings, claude: Claude) -> list[str]:
    """Return the first model of each cloud, whose access to single models must often be enabled."""
    by_provider: dict[Provider, str] = {}
    for model_id in (settings.default_model, *settings.models, *settings.fallback_models):
        by_provider.setdefault(claude.model(model_id).provider, model_id)
    return [model_id for provider, model_id in by_provider.items() if provider is not Provider.ANTHROPIC]


async def _try(claude: Claude, model_id: str) -> Finding:
    """Ask a model of a cloud for one token, and report what the cloud does not offer."""
    start, platform = time.monotonic(), claude.model(model_id).platform
    problem = await try_model(claude, model_id)
    if problem is not None:
        return False, f"{platform.title}: {model_id}: {problem}"
    missing = [name for name in SERVER_TOOLS if name not in platform.server_tools]
    missing += [] if platform.lists_models else ["a list of models"]
    missing += [] if platform.stores_files else ["the Files API"]
    without = f"; without {', '.join(missing)}" if missing else ""
    return True, f"{platform.title}: {model_id} answered in {time.monotonic() - start:.1f} s{without}"


def _print(console: Console, finding: Finding) -> None:
    passed, text = finding
    console.print(f"[green]ok[/green]     {escape(text)}" if passed else f"[red]wrong[/red]  {escape(text)}")
