"""The fields of the settings. `docs/settings.md` is generated from their descriptions, defaults and limits."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import NoDecode

from tertulia.server.answer_setting_fields import AnswerSettingFields, documented, named

USER_REQUESTS, USER_MESSAGES, USER_UPLOADS = "1200/minute", "60/minute", "1000/day"
USER_GENERATIONS, USER_SOCKETS = 20, 50
"""The limits of each user where the settings name none, except in the mode `local`."""
NOT_IN_LOCAL = "No limit by default in the mode `local`."


class SettingFields(AnswerSettingFields):
    """All settings, without the validation of single values, which `Settings` adds."""

    database_url: str = Field(
        default="sqlite+aiosqlite:///tertulia.db",
        validation_alias=named("DATABASE_URL"),
        description="The SQLite file, or `postgresql+asyncpg://USER:PASSWORD@HOST/NAME`. The form "
        "`postgres://…?sslmode=require` of many hosting providers [works too](deploying.md#tls-to-postgresql).",
        json_schema_extra=documented("an address"),
    )
    redis_url: str | None = Field(
        default=None,
        validation_alias=named("REDIS_URL"),
        description="The Redis that connects several processes: `redis://HOST:PORT/NUMBER`, `rediss://…` with TLS, or "
        "`unix://PATH?db=NUMBER`. For a [Redis Cluster](scaling.md#redis-cluster), "
        "`redis+cluster://HOST:PORT,HOST:PORT` or `rediss+cluster://…`.",
        json_schema_extra=documented("an address"),
    )
    attachments: str | None = Field(
        default=None,
        description="Where attachments are stored: a folder, or an object store (`s3://BUCKET/PREFIX`, `gs://…`, "
        "`az://…`) with its usual environment variables. Replicas on several machines need an object store.",
        json_schema_extra=documented("a folder, or an address", default="`tertulia-attachments` next to the database"),
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
        description="How long entries of the audit log and the counts of limits hit are kept. Empty: no limit.",
    )
    operators_may_read: bool = Field(
        default=False,
        description="Whether operators may read the texts of all users' conversations. Each time is recorded in the "
        "audit log. See [Operators](operators.md#read-a-conversation).",
    )

    auth: Literal["local", "password", "oidc"] = Field(
        default="local",
        description="How users are authenticated. `local`: one user, on loopback only. `password`: accounts. `oidc`: "
        "users of an identity provider. See [Signing in](auth.md).",
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
        json_schema_extra=documented(
            "text, 32 characters or more", default="generated and stored next to the SQLite file"
        ),
    )
    secret_key_fallback: SecretStr | None = Field(
        default=None,
        description="Another key whose tokens are accepted, while `TERTULIA_SECRET_KEY` is [changed](rotation.md). It "
        "signs nothing.",
        json_schema_extra=documented("text, 32 characters or more", default="none"),
    )
    oidc_issuer: str | None = Field(
        default=None,
        description="The address of the identity provider. Its keys are read from its discovery document. Required "
        "with `TERTULIA_AUTH=oidc`.",
        examples=["https://login.example.com/realm"],
        json_schema_extra=documented("an address"),
    )
    oidc_audience: str | None = Field(
        default=None,
        description="The audience that the identity provider's tokens must name. Required with `TERTULIA_AUTH=oidc`.",
    )
    oidc_client_id: str | None = Field(
        default=None,
        description="The id of this server's client at the identity provider. With it, users sign in on the page and "
        "with `tertulia login`. See [Sign in on the page](auth.md#sign-in-on-the-page).",
    )
    oidc_client_secret: SecretStr | None = Field(
        default=None,
        description="The secret of the client `TERTULIA_OIDC_CLIENT_ID`. A public client has none.",
    )
    oidc_scopes: str = Field(
        default="openid profile email",
        description="The scopes that the page and `tertulia login` request at the identity provider. Many providers "
        "issue refresh tokens only with `offline_access`.",
        json_schema_extra=documented("scopes, separated by spaces"),
    )

    oidc_roles_claim: str = Field(
        default="",
        description="The claim of the identity provider's tokens that names the roles of a user: a text, or a list of "
        "texts; also a nested claim, such as `realm_access.roles`. Empty: only `tertulia user role` assigns roles. "
        "See [Operators](operators.md).",
        examples=["roles"],
        json_schema_extra=documented("text"),
    )
    oidc_operator_role: str = Field(
        default="operator",
        min_length=1,
        description="The value of the claim `TERTULIA_OIDC_ROLES_CLAIM` that gives a user the role `operator`.",
    )

    personal_token_days: float | None = Field(
        default=None,
        gt=0,
        le=36_500,
        description="The longest lifetime of personal access tokens that users create. Longer ones are shortened. By "
        "default tokens may have no expiry.",
    )
    personal_token_sign_in_days: float | None = Field(
        default=None,
        gt=0,
        description="The days after the last sign-in at the identity provider for which the personal access tokens of "
        "a user work. By default they do not depend on sign-ins. See [When somebody leaves]"
        "(identity.md#when-somebody-leaves).",
    )

    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="The origins whose pages may use this server, without a path.",
        examples=["https://app.example.com"],
        json_schema_extra=documented("origins, separated by commas"),
    )
    introspection: bool = Field(
        default=True,
        description="Whether clients can read the schema. With `false`, error messages contain no suggestions either.",
    )
    federation: bool = Field(
        default=False,
        description="Whether the schema is a subgraph of a federated graph. See [Federation](federation.md).",
    )
    persisted_queries: Annotated[dict[str, str] | None, NoDecode] = Field(
        default=None,
        description="A JSON file of documents by id, or an Apollo manifest. The server executes only these documents.",
        json_schema_extra=documented("a file"),
    )
    rest: bool = Field(default=True, description="Whether `/chat` and `/chat/stream` exist.")
    ag_ui: bool = Field(default=True, description="Whether `/ag-ui` exists.")
    ai_sdk: bool = Field(default=True, description="Whether `/ai-sdk` exists.")
    export: bool = Field(default=True, description="Whether `/export` exists.")
    # `import` is a keyword of Python.
    import_files: bool = Field(
        default=True, validation_alias=named("TERTULIA_IMPORT"), description="Whether `/import` exists."
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
        json_schema_extra=documented("a rate"),
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

    plans: str | None = Field(
        default=None,
        description="A TOML file of plans: named sets of the limits of users, and of the models, tools and assistants "
        "that they may use. See [Plans and limits](plans.md).",
        json_schema_extra=documented("a file"),
    )
    plan_claim: str = Field(
        default="plan",
        description="The claim of a token, or of the viewer that `authenticate` returns, that names the user's plan or "
        "groups. The names of nested claims are separated by dots.",
        examples=["groups", "resource_access.tertulia.roles"],
    )
    usage_group_claim: str = Field(
        default="",
        description="The claim of a token, or of the viewer that `authenticate` returns, that names the user's group "
        "in [reports of usage](cost.md#reports). The names of nested claims are separated by dots. Empty: only "
        "`tertulia user group` sets groups.",
        examples=["department"],
        json_schema_extra=documented("text"),
    )
    rate_limit: str | None = Field(
        default=None,
        description=f"Messages; a number alone is per minute. {NOT_IN_LOCAL}",
        examples=["5/second", "2000/day"],
        json_schema_extra=documented("a rate", default=f"`{USER_MESSAGES}`"),
    )
    max_concurrent_generations: int | None = Field(
        default=None,
        ge=1,
        description=f"Concurrent answers. {NOT_IN_LOCAL}",
        json_schema_extra=documented(default=f"`{USER_GENERATIONS}`"),
    )
    request_limit: str | None = Field(
        default=None,
        description=f"Requests over HTTP and sockets; a number alone is per minute. {NOT_IN_LOCAL}",
        examples=["50/second"],
        json_schema_extra=documented("a rate", default=f"`{USER_REQUESTS}`"),
    )
    upload_limit: str | None = Field(
        default=None,
        description=f"Megabytes of uploads; a number alone is per minute. {NOT_IN_LOCAL}",
        examples=["500/day"],
        json_schema_extra=documented("a rate", default=f"`{USER_UPLOADS}`"),
    )
    max_sockets_per_user: int | None = Field(
        default=None,
        ge=1,
        description=f"Concurrent sockets and streams, over all replicas. {NOT_IN_LOCAL}",
        json_schema_extra=documented(default=f"`{USER_SOCKETS}`"),
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
        validation_alias=named("OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="An OpenTelemetry collector that receives traces. See [Traces](operating.md#traces).",
        examples=["http://127.0.0.1:4318"],
        json_schema_extra=documented("an address"),
    )
