"""Load and validate the settings, from the environment and `.env`. An invalid one stops the start with one line."""

import os
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, SecretStr, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from tertulia.db.address import read_address
from tertulia.extras import MissingExtraError, require_extra
from tertulia.json import InvalidJson, loads
from tertulia.server.environment import (
    ENCODING,
    ENV_FILE,
    PREFIX,
    PROXIES,
    WrongSetting,
    check_names,
    check_tracing,
    env_file,
    pass_on,
)
from tertulia.server.setting_fields import SettingFields
from tertulia.server.setting_values import (
    SECRET_NEEDED,
    SECRET_RULE,
    check_origin_form,
    check_proxies,
    check_public_url,
    is_strong,
    keys_of,
)

DOCUMENTS_RULE = 'must be a JSON file of documents by id, {"ID": "query ..."}, or an Apollo manifest'
PRICES_RULE = 'must be a JSON file such as {"MODEL": {"input": 4, "output": 20}}, in dollars per million tokens'


class Settings(SettingFields):
    """The settings of a server, from arguments, the environment and `.env`, in this order of precedence.

    The field of the variable `TERTULIA_TOOL_SECONDS` is `tool_seconds`, and that of `DATABASE_URL` is `database_url`.

    Raises:
        ValidationError: A value is not accepted (Pydantic).
    """

    model_config = SettingsConfigDict(
        env_file=ENV_FILE,
        env_file_encoding=ENCODING,
        env_prefix=PREFIX,
        extra="ignore",
        populate_by_name=True,
        defer_build=False,
    )

    @property
    def simulated(self) -> bool:
        """Whether answers come from the simulated Claude: no key is set, and no other provider."""
        return self.anthropic_api_key is None and self.provider == "anthropic"

    @property
    def attachments_place(self) -> str:
        """The location of attachments: the setting, or a folder next to the database."""
        file = database_file(self.database_url)
        return self.attachments or str(file.with_name("tertulia-attachments") if file else "tertulia-attachments")

    @field_validator(
        "anthropic_api_key",
        "anthropic_base_url",
        "redis_url",
        "secret_key",
        "secret_key_fallback",
        "oidc_issuer",
        "oidc_audience",
        "oidc_client_id",
        "oidc_client_secret",
        "attachments",
        "mcp_config",
        "public_url",
        "encryption_key",
        "hooks",
        "webhooks",
        "assistants",
        "monthly_budget_usd",
        "server_monthly_budget_usd",
        "server_daily_budget_usd",
        "rate_limit",
        "request_limit",
        "upload_limit",
        "max_concurrent_generations",
        "max_sockets_per_user",
        "daily_tokens",
        "plans",
        "retention_days",
        "audit_days",
        "otel_exporter_otlp_endpoint",
        mode="before",
    )
    @classmethod
    def _read_empty_as_none(cls, value: object) -> object:
        return value.strip() or None if isinstance(value, str) else value

    @field_validator("oidc_issuer")
    @classmethod
    def _check_issuer(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "")
        if value is not None and parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("must be an HTTPS address such as https://login.example.com/realm")
        return value

    @field_validator("oidc_scopes")
    @classmethod
    def _check_scopes(cls, value: str) -> str:
        if "openid" not in value.split():
            raise ValueError("must contain `openid`, so that the provider issues an ID token")
        return value

    @field_validator("secret_key", "secret_key_fallback")
    @classmethod
    def _check_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not is_strong(value.get_secret_value()):
            raise ValueError(SECRET_RULE)
        return value

    @field_validator("encryption_key")
    @classmethod
    def _check_encryption(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not all(map(is_strong, keys_of(value))):
            raise ValueError(f"each key {SECRET_RULE}")
        return value

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, value: str | None) -> str | None:
        if value is not None:
            check_public_url(value)
        return value

    @field_validator(
        "models", "fallback_models", "cors_origins", "tools", "ask_first", "clients_may_set", mode="before"
    )
    @classmethod
    def _split_list(cls, value: object) -> object:
        return tuple(item.strip() for item in value.split(",") if item.strip()) if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            check_origin_form(origin)
        return value

    @field_validator("anthropic_base_url", "otel_exporter_otlp_endpoint")
    @classmethod
    def _check_http(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must be an address such as https://gateway.example.com")
        return value

    @field_validator("database_url")
    @classmethod
    def _normalise_database(cls, value: str) -> str:
        address = read_address(value)
        if address.url.drivername.startswith("postgresql"):
            require_extra("postgres", "PostgreSQL")
        return address.render()

    @field_validator("redis_url")
    @classmethod
    def _check_redis(cls, value: str | None) -> str | None:
        if value is not None:
            require_extra("redis", "Redis")
            from tertulia.streams.redis.address import check_redis_address

            check_redis_address(value)
        return value

    @field_validator("rate_limit", "request_limit", "upload_limit", "share_limit")
    @classmethod
    def _check_rate(cls, value: str | None) -> str | None:
        if value is not None:
            from tertulia.ratelimit.limits import Rate

            try:
                Rate("", value)
            except ValueError:
                raise ValueError(
                    "must be a number per minute, or a rate such as 60/minute, 5/second or 2000/day"
                ) from None
        return value

    @field_validator("web_tools", mode="before")
    @classmethod
    def _read_web_tools(cls, value: object) -> object:
        from tertulia.tools.web import web_options

        try:
            values = loads(value or "{}") if isinstance(value, str) else value
        except InvalidJson as error:
            raise ValueError(f"must be a JSON object: {error}") from None
        return web_options(values).to_json()

    @field_validator("prices", mode="before")
    @classmethod
    def _read_prices(cls, value: object) -> object:
        if not isinstance(value, str) or not value.strip():
            return value or {}
        from tertulia.billing.prices import Prices

        try:
            prices = TypeAdapter(dict[str, dict[str, Any]]).validate_json(Path(value).read_bytes())
        except (OSError, ValueError):
            raise ValueError(PRICES_RULE) from None
        Prices(prices)
        return prices

    @field_validator("persisted_queries", mode="before")
    @classmethod
    def _read_documents(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if not value.strip():
            return None
        try:
            content = TypeAdapter(dict[str, Any]).validate_json(Path(value).read_bytes())
            documents = (
                {operation["id"]: operation["body"] for operation in content["operations"]}
                if "operations" in content
                else content
            )
            return TypeAdapter(dict[str, str]).validate_python(documents)
        except (OSError, ValueError, TypeError, KeyError):
            raise ValueError(DOCUMENTS_RULE) from None

    @model_validator(mode="after")
    def _omit_title_model(self) -> Self:
        # The names of their models depend on the region or the deployment, so the default may not exist.
        if self.provider in ("bedrock", "bedrock-mantle", "foundry") and "title_model" not in self.model_fields_set:
            self.title_model = ""
        return self

    @field_validator("attachments")
    @classmethod
    def _check_store(cls, value: str | None) -> str | None:
        if value is not None:
            from tertulia.db.blobs import Blobs

            if "://" in value:
                require_extra("s3", "An object store")
            try:
                Blobs(value)
            except ValueError as error:
                raise ValueError(f"must be a folder, or an object store such as s3://BUCKET/PREFIX: {error}") from None
        return value

    @field_validator("mcp_config")
    @classmethod
    def _check_mcp(cls, value: str | None) -> str | None:
        if value is not None:
            require_extra("mcp", "MCP")
        return value


def load_settings() -> Settings:
    """Return the settings of the environment and `.env`.

    Raises:
        WrongSetting: A name or a value is invalid. The message is about the first one.
    """
    check_names(known_names())
    pass_on()
    _check_proxies()
    check_tracing()
    try:
        arguments: Any = {"_env_file": env_file()}
        settings = Settings(**arguments)
    except ValidationError as error:
        raise WrongSetting(_explain(error)) from None
    if settings.auth == "password" and settings.secret_key is None and database_file(settings.database_url) is None:
        raise WrongSetting(SECRET_NEEDED)
    for name in ("oidc_issuer", "oidc_audience") if settings.auth == "oidc" else ():
        if getattr(settings, name) is None:
            raise WrongSetting(f"{variable_name(name)}: is required with TERTULIA_AUTH=oidc.")
    if settings.guests and settings.auth != "password":
        raise WrongSetting("TERTULIA_GUESTS: requires TERTULIA_AUTH=password.")
    check_provider(settings)
    check_tools(settings)
    check_hooks(settings)
    check_webhooks(settings)
    check_plans(settings)
    return settings


def _check_proxies() -> None:
    addresses = os.environ.get(PROXIES, "")
    try:
        if addresses.strip():
            check_proxies(addresses)
    except ValueError as error:
        raise WrongSetting(f"{PROXIES}: got {addresses!r}; {error}.") from None


def check_provider(settings: Settings) -> None:
    """Raise WrongSetting if a provider of the settings lacks something, or does not offer what they name."""
    if not settings.simulated or any(":" in model for model in (*settings.models, *settings.fallback_models)):
        from tertulia.server.provider_settings import check_providers

        check_providers(settings)


def check_tools(settings: Settings) -> None:
    """Raise WrongSetting if the tools of the settings cannot be loaded."""
    if settings.tools or settings.mcp_config:
        from tertulia.server.tooling import open_tool_registry

        open_tool_registry(settings)


def check_hooks(settings: Settings) -> None:
    """Raise WrongSetting if the hooks of the settings cannot be loaded."""
    if settings.hooks is not None:
        from tertulia.server.hooking import open_hooks

        open_hooks(settings)


def check_webhooks(settings: Settings) -> None:
    """Raise WrongSetting if the file of webhooks is invalid."""
    if settings.webhooks:
        from tertulia.server.outbox.opening import endpoints_of

        endpoints_of(settings)


def check_plans(settings: Settings) -> None:
    """Raise WrongSetting if the plans of the settings are wrong, or have none for guests."""
    if settings.plans is None and not settings.guests:
        return
    from tertulia.server.plan_file import check_plans

    if "guest" not in check_plans(settings) and settings.guests:
        raise WrongSetting("TERTULIA_GUESTS: requires a plan named guest in the file of TERTULIA_PLANS.")


OF_CLIENTS = f"{PREFIX}TOKEN"
"""The token that `tertulia chat` sends; it is not a setting of the server."""


def known_names() -> set[str]:
    """Return the names of the environment variables of all settings."""
    return {variable_name(field) for field in Settings.model_fields} | {OF_CLIENTS}


def variable_name(field: str) -> str:
    """Return the name of a field's environment variable."""
    alias = Settings.model_fields[field].validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"{PREFIX}{field.upper()}"


def _explain(error: ValidationError) -> str:
    problem = error.errors()[0]
    location = str(problem["loc"][0])
    field = location if location in Settings.model_fields else location.lower().removeprefix(PREFIX.lower())
    name = variable_name(field) if field in Settings.model_fields else location
    cause = problem.get("ctx", {}).get("error")
    if isinstance(cause, MissingExtraError):
        return f"{name}: {cause}"
    secret = "KEY" in name or "URL" in name
    got = "" if secret else f" got {problem['input']!r};"
    rule = problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be", 1)
    return f"{name}:{got} {rule}."


def database_file(url: str) -> Path | None:
    """Return the SQLite file of a database URL; None for other databases."""
    address = read_address(url).url
    return Path(address.database or "") if address.drivername.startswith("sqlite") else None
