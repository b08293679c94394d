"""The fields of the settings. `docs/settings.md` is generated from their descriptions, defaults and limits."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

USER_REQUESTS, USER_MESSAGES, USER_UPLOADS = "1200/minute", "60/minute", "1000/day"
USER_GENERATIONS, USER_SOCKETS = 20, 50
"""The limits of each user where the settings name none, except in the mode `local`."""
ClientChoice = Literal["instructions", "model", "options", "tools"]
MAX_RESULTS_WAIT = 30 * 86_400
NOT_IN_LOCAL = "No limit by default in the mode `local`."


def _named(name: str) -> AliasChoices:
    """Name a setting that does not begin with the prefix."""
    return AliasChoices(name)


def _documented(value: str | None = None, *, default: str | None = None) -> dict[str, Any]:
    """Describe the accepted values and the default of a setting, where its type does not, for the documentation."""
    return {name: text for name, text in (("value", value), ("default", default)) if text is not None}


class SettingFields(BaseSettings):
    """The settings without the validation of single values, which `Settings` adds."""

    # Only Settings is validated. Each further base class of it would delay every command by milliseconds.
    model_config = SettingsConfigDict(defer_build=True)

    anthropic_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=_named("ANTHROPIC_API_KEY"),
        description="The key for Claude's API. Without one, the simulated Claude answers.",
    )
    anthropic_base_url: str | None = Field(
        default=None,
        validation_alias=_named("ANTHROPIC_BASE_URL"),
        description="The address of a server that supports the Messages API. It is used only with `ANTHROPIC_API_KEY`.",
        examples=["https://gateway.example.com"],
        json_schema_extra=_documented("an address", default="the SDK's"),
    )
    default_model: str = Field(
        default="claude-opus-5-5",
        description="The model of conversations that name none.",
        json_schema_extra=_documented("a model"),
    )
    models: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="The models that may be used. The server does not start if Claude's API reports that a model of "
        "this setting, `TERTULIA_DEFAULT_MODEL` or `TERTULIA_TITLE_MODEL` does not exist. If the API cannot be "
        "reached, the server starts, logs a warning, and checks again every 5 minutes.",
        json_schema_extra=_documented("models, separated by commas", default="all that Claude's API lists"),
    )
    title_model: str = Field(
        default="claude-haiku-5-5",
        description="The small model that writes a conversation's title after its first answer. Empty: no titles.",
        json_schema_extra=_documented("a model"),
    )
    claude_silence_seconds: float = Field(
        default=90.0,
        gt=0,
        le=600,
        description="How long Claude may send nothing before the answer fails with `TIMEOUT`. Its text is kept.",
    )
    prompt_caching: bool = Field(
        default=True,
        description="Whether requests mark what Claude may cache, so that each turn reads all earlier turns from the "
        "cache.",
    )
    files_api: bool = Field(
        default=True,
        description="Whether attachments are uploaded to Claude's Files API, so that requests need not contain them. "
        "Used only with `ANTHROPIC_API_KEY`. Without a Files API, each request contains them.",
    )
    simulator_pace: float = Field(
        default=1.0,
        ge=0,
        le=100,
        description="The delay of the simulated Claude: with 0 it answers at once, with 2 it takes twice as long.",
    )

    database_url: str = Field(
        default="sqlite+aiosqlite:///tertulia.db",
        validation_alias=_named("DATABASE_URL"),
        description="The SQLite file, or `postgresql+asyncpg://USER:PASSWORD@HOST/NAME`. The form "
        "`postgres://…?sslmode=require` of many hosting providers [works too](deploying.md#tls-to-postgresql).",
        json_schema_extra=_documented("an address"),
    )
    redis_url: str | None = Field(
        default=None,
        validation_alias=_named("REDIS_URL"),
        description="The Redis that connects several processes: `redis://HOST:PORT/NUMBER`, `rediss://…` with TLS, or "
        "`unix://PATH?db=NUMBER`. For a [Redis Cluster](scaling.md#redis-cluster), "
        "`redis+cluster://HOST:PORT,HOST:PORT` or `rediss+cluster://…`.",
        json_schema_extra=_documented("an address"),
    )
    attachments: str | None = Field(
        default=None,
        description="Where attachments are stored: a folder, or an object store (`s3://BUCKET/PREFIX`, `gs://…`, "
        "`az://…`) with its usual environment variables. Replicas on several machines need an object store.",
        json_schema_extra=_documented("a folder, or an address", default="`tertulia-attachments` next to the database"),
    )
    retention_days: float | None = Field(
        default=None,
        gt=0,
        description="How long a conversation may be unused before it is deleted with all its data. Usage records are "
        "kept. Empty: no limit.",
    )
    temporary_hours: float = Field(
        default=24.0,
        gt=0,
        description="How long a temporary conversation may be unused before it is deleted with all its data.",
    )
    audit_days: float | None = Field(
        default=365.0,
        gt=0,
        description="How long entries of the audit log are kept. Empty: no limit.",
    )

    auth: Literal["local", "password", "oidc"] = Field(
        default="local",
        description="How users are authenticated. `local`: one user, on loopback only. `password`: accounts. `oidc`: "
        "tokens of an identity provider. See [Signing in](auth.md).",
    )
    registration: Literal["open", "closed"] = Field(
        default="open",
        description="`open`: anybody can create an account. `closed`: only `tertulia user add` creates accounts.",
    )
    guests: bool = Field(
        default=False,
        description="Whether `POST /auth/guest` exists, in the mode `password`: users without an account, with the "
        "limits of the plan `guest`, which `TERTULIA_PLANS` must have. See [Guests](auth.md#guests).",
    )
    guest_days: float = Field(
        default=7.0,
        gt=0,
        description="How long a guest may be away before the guest is deleted with all conversations.",
    )
    secret_key: SecretStr | None = Field(
        default=None,
        description="The key that signs tokens, the same for all replicas. Required in the mode `password` with "
        "PostgreSQL.",
        json_schema_extra=_documented(
            "text, 32 characters or more", default="generated and stored next to the SQLite file"
        ),
    )
    oidc_issuer: str | None = Field(
        default=None,
        description="The address of the identity provider. Its keys are read from its discovery document. Required "
        "with `TERTULIA_AUTH=oidc`.",
        examples=["https://login.example.com/realm"],
        json_schema_extra=_documented("an address"),
    )
    oidc_audience: str | None = Field(
        default=None,
        description="The audience that the identity provider's tokens must name. Required with `TERTULIA_AUTH=oidc`.",
    )

    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="The origins whose pages may use this server, without a path.",
        examples=["https://app.example.com"],
        json_schema_extra=_documented("origins, separated by commas"),
    )
    introspection: bool = Field(
        default=True,
        description="Whether clients can read the schema. With `false`, error messages contain no suggestions either.",
    )
    persisted_queries: Annotated[dict[str, str] | None, NoDecode] = Field(
        default=None,
        description="A JSON file of documents by id, or an Apollo manifest. The server executes only these documents.",
        json_schema_extra=_documented("a file"),
    )
    rest: bool = Field(default=True, description="Whether `/chat` and `/chat/stream` exist.")
    export: bool = Field(default=True, description="Whether `/export` exists.")
    # `import` is a keyword of Python.
    import_files: bool = Field(
        default=True, validation_alias=_named("TERTULIA_IMPORT"), description="Whether `/import` exists."
    )
    sharing: bool = Field(
        default=False,
        description="Whether users can create links with which anybody can read a conversation without signing in. "
        "With `false`, existing links do not work. See [Sharing](sharing.md).",
    )
    share_limit: str = Field(
        default="120/minute",
        validate_default=False,  # this would import the parser of rates at every start
        description="Requests for shared conversations without a sign-in from each network address: an IPv4 address, "
        "or a /64 network of IPv6. A number alone is per minute.",
        examples=["10/second"],
        json_schema_extra=_documented("a rate"),
    )
    connection_init_seconds: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="How soon a new socket must send `connection_init`. Otherwise it is closed with 4408.",
    )
    max_subscriptions_per_socket: int = Field(
        default=100, ge=1, description="The number of concurrent operations on one socket."
    )
    max_subscriptions: int = Field(
        default=20_000, ge=1, description="The number of concurrent subscriptions in one process."
    )

    assistants: str | None = Field(
        default=None,
        description="A folder with a Markdown file for each assistant. They decide what Claude is told, and what "
        "clients may set. See [Assistants](assistants.md).",
        json_schema_extra=_documented("a folder"),
    )
    clients_may_set: Annotated[tuple[ClientChoice, ...] | None, NoDecode] = Field(
        default=None,
        description="The settings that clients may set if there are no assistants: `instructions` (`systemPrompt`), "
        "`model`, `options`, `tools` (client tools). Empty: nothing. In the mode `local`, the default is everything.",
        json_schema_extra=_documented("names, separated by commas", default="`model,options`"),
    )

    tools: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="The tools that Claude may call: Python modules (`my_tools`, `my_tools:function`), and Claude's "
        "own `web_search`, `web_fetch`, `code_execution`. See [Tools](tools.md).",
        json_schema_extra=_documented("names, separated by commas"),
    )
    mcp_config: str | None = Field(
        default=None,
        description="A file of MCP servers in the usual JSON form.",
        json_schema_extra=_documented("a file"),
    )
    hooks: str | None = Field(
        default=None,
        description="A Python module with functions that the server calls, such as `my_hooks`: `before_send` checks "
        "messages, `retrieve` finds documents, `transform_text` filters answers, and `after_answer` receives them. See "
        "[Moderate](moderation.md).",
        json_schema_extra=_documented("a module"),
    )
    webhooks: str | None = Field(
        default=None,
        description="A YAML or JSON file of endpoints that receive events. See [Webhooks](webhooks.md).",
        json_schema_extra=_documented("a file"),
    )
    ask_first: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="The names of tools that require the user's approval, or patterns.",
        examples=["github__*"],
        json_schema_extra=_documented("names, separated by commas"),
    )
    tool_seconds: float = Field(
        default=60.0, gt=0, le=3600, description="How long one tool call may take. A function can set its own limit."
    )
    tool_results_seconds: float = Field(
        default=3600.0,
        gt=0,
        le=MAX_RESULTS_WAIT,
        description="How long an answer waits for the client's tool results or the user's approval.",
    )
    continue_interrupted: bool = Field(
        default=True,
        validation_alias=_named("TERTULIA_CONTINUE"),
        description="Whether Claude is asked to continue an answer that is interrupted: because its server was stopped "
        "or lost, or because Claude's stream broke. Otherwise, such an answer fails. Assistants and clients can "
        "disable it for their answers.",
    )
    continue_attempts: int = Field(
        default=5, ge=1, le=100, description="How often one answer is continued after interruptions."
    )
    continue_seconds: float = Field(
        default=1800.0,
        gt=0,
        le=86_400,
        description="The age of an answer, since its first token, from which on it is not continued.",
    )
    fallback_models: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="The models that answer, or continue an answer, when the model before them is overloaded.",
        json_schema_extra=_documented("models, separated by commas", default="none"),
    )
    tool_rounds: int = Field(default=25, ge=1, le=1000, description="The number of rounds of tool calls in one answer.")
    tool_calls: int = Field(default=100, ge=1, le=10_000, description="The number of tool calls in one answer.")
    tool_result_bytes: int = Field(
        default=200_000, ge=1, le=10_000_000, description="The size of the text of one tool result."
    )

    monthly_budget_usd: Decimal | None = Field(
        default=None,
        gt=0,
        description="The budget of each user for a calendar month (UTC). The server reserves the maximum cost of an "
        "answer before it asks Claude, checks the budget while Claude answers, and records the actual cost "
        "afterwards. See `viewer { budget }`.",
    )
    server_monthly_budget_usd: Decimal | None = Field(
        default=None,
        gt=0,
        description="The budget of all users together for a calendar month (UTC), reserved like "
        "`TERTULIA_MONTHLY_BUDGET_USD`. Set this or the daily budget if anybody can register: "
        "[Cost](cost.md#server-budget).",
    )
    server_daily_budget_usd: Decimal | None = Field(
        default=None, gt=0, description="The budget of all users together for a day (UTC)."
    )
    daily_tokens: int | None = Field(
        default=None, ge=1, description="The number of tokens of all kinds that each user may use in a day (UTC)."
    )
    prices: Annotated[dict[str, dict[str, Any]], NoDecode] = Field(
        default={},
        description="A JSON file with your own prices, in dollars per million tokens: "
        '`{"MODEL": {"input": 4, "output": 20}}`, optionally with `write`, `write_1h` and `read`.',
        json_schema_extra=_documented("a file", default="the table in `src/tertulia/billing/prices.py`"),
    )

    plans: str | None = Field(
        default=None,
        description="A TOML file of plans: named sets of the limits of users, and of the models, tools and assistants "
        "that they may use. See [Plans and limits](plans.md).",
        json_schema_extra=_documented("a file"),
    )
    plan_claim: str = Field(
        default="plan",
        description="The claim of a token, or of the viewer that `authenticate` returns, that names the user's plan.",
        examples=["https://example.com/plan"],
    )
    rate_limit: str | None = Field(
        default=None,
        description=f"Messages; a number alone is per minute. {NOT_IN_LOCAL}",
        examples=["5/second", "2000/day"],
        json_schema_extra=_documented("a rate", default=f"`{USER_MESSAGES}`"),
    )
    max_concurrent_generations: int | None = Field(
        default=None,
        ge=1,
        description=f"Concurrent answers. {NOT_IN_LOCAL}",
        json_schema_extra=_documented(default=f"`{USER_GENERATIONS}`"),
    )
    request_limit: str | None = Field(
        default=None,
        description=f"Requests over HTTP and sockets; a number alone is per minute. {NOT_IN_LOCAL}",
        examples=["50/second"],
        json_schema_extra=_documented("a rate", default=f"`{USER_REQUESTS}`"),
    )
    upload_limit: str | None = Field(
        default=None,
        description=f"Megabytes of uploads; a number alone is per minute. {NOT_IN_LOCAL}",
        examples=["500/day"],
        json_schema_extra=_documented("a rate", default=f"`{USER_UPLOADS}`"),
    )
    max_sockets_per_user: int | None = Field(
        default=None,
        ge=1,
        description=f"Concurrent sockets and streams, over all replicas. {NOT_IN_LOCAL}",
        json_schema_extra=_documented(default=f"`{USER_SOCKETS}`"),
    )

    lease_seconds: float = Field(
        default=10.0,
        ge=1,
        le=600,
        description="How long after a process died another one takes over its answers. The clocks of replicas must "
        "differ by less than this.",
    )
    shutdown_delay_seconds: float = Field(
        default=0.0,
        ge=0,
        le=600,
        description="How long a process continues to serve after SIGTERM while `/readyz` returns 503, so that load "
        "balancers can notice.",
    )
    drain_seconds: float = Field(
        default=30.0,
        ge=0,
        le=3600,
        description="How long running answers have to finish after `TERTULIA_SHUTDOWN_DELAY_SECONDS`.",
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least severe records that are logged."
    )
    log_format: Literal["text", "json"] = Field(
        default="text",
        description="`json`: one line of JSON per record, with the ids of the request, the answer and the trace.",
    )
    otel_exporter_otlp_endpoint: str | None = Field(
        default=None,
        validation_alias=_named("OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="An OpenTelemetry collector that receives traces. See [Traces](operating.md#traces).",
        examples=["http://127.0.0.1:4318"],
        json_schema_extra=_documented("an address"),
    )
