"""The settings of answers: of Claude and its models, tools, continuation and cost."""

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

ClientChoice = Literal["instructions", "model", "options", "tools"]
ProviderChoice = Literal["anthropic", "aws", "bedrock", "bedrock-mantle", "vertex", "google-cloud", "foundry"]
MAX_RESULTS_WAIT = 30 * 86_400


def named(name: str) -> AliasChoices:
    """Name a setting that does not begin with the prefix."""
    return AliasChoices(name)


def documented(value: str | None = None, *, default: str | None = None) -> dict[str, Any]:
    """Describe the accepted values and the default of a setting, where its type does not, for the documentation."""
    return {name: text for name, text in (("value", value), ("default", default)) if text is not None}


class AnswerSettingFields(BaseSettings):
    """The settings of answers, without the validation of single values."""

    # Only Settings is validated. Each further base class of it would delay every command by milliseconds.
    model_config = SettingsConfigDict(defer_build=True)

    provider: ProviderChoice = Field(
        default="anthropic",
        description="The provider of Claude's models: Anthropic's own API, or a cloud, with the cloud's usual "
        "credentials. See [Providers](providers.md).",
    )
    anthropic_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=named("ANTHROPIC_API_KEY"),
        description="The key for Claude's API. Without one, and with `TERTULIA_PROVIDER=anthropic`, the simulated "
        "Claude answers.",
    )
    anthropic_base_url: str | None = Field(
        default=None,
        validation_alias=named("ANTHROPIC_BASE_URL"),
        description="The address of a server that supports the Messages API. It is used only with `ANTHROPIC_API_KEY`.",
        examples=["https://gateway.example.com"],
        json_schema_extra=documented("an address", default="the SDK's"),
    )
    default_model: str = Field(
        default="claude-opus-5-5",
        description="The model of conversations that name none. Required with `TERTULIA_PROVIDER=bedrock` and "
        "`bedrock-mantle`.",
        json_schema_extra=documented("a model"),
    )
    models: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="The models that may be used. `PROVIDER:MODEL` is a model of another provider. The server does not "
        "start if Claude's API reports that a model of this setting, `TERTULIA_DEFAULT_MODEL` or "
        "`TERTULIA_TITLE_MODEL` does not exist. If the API cannot be reached, the server starts, logs a warning, and "
        "checks again every 5 minutes.",
        json_schema_extra=documented("models, separated by commas", default="all that Claude's API lists"),
    )
    title_model: str = Field(
        default="claude-haiku-5-5",
        description="The small model that writes a conversation's title after its first answer. Empty: no titles. With "
        "`TERTULIA_PROVIDER=bedrock`, `bedrock-mantle` and `foundry` there is no default.",
        json_schema_extra=documented("a model"),
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

    assistants: str | None = Field(
        default=None,
        description="A folder with a Markdown file for each assistant. They decide what Claude is told, and what "
        "clients may set. See [Assistants](assistants.md).",
        json_schema_extra=documented("a folder"),
    )
    clients_may_set: Annotated[tuple[ClientChoice, ...] | None, NoDecode] = Field(
        default=None,
        description="The settings that clients may set if there are no assistants: `instructions` (`systemPrompt`), "
        "`model`, `options`, `tools` (client tools). Empty: nothing. In the mode `local`, the default is everything.",
        json_schema_extra=documented("names, separated by commas", default="`model,options`"),
    )

    tools: Annotated[tuple[str | Callable[..., Any], ...], NoDecode] = Field(
        default=(),
        description="The tools that Claude may call: Python modules (`my_tools`, `my_tools:function`), and Claude's "
        "own `web_search`, `web_fetch`, `code_execution`. From Python, also functions. See [Tools](tools.md).",
        json_schema_extra=documented("names, separated by commas"),
    )
    mcp_config: str | None = Field(
        default=None,
        description="A file of MCP servers in the usual JSON form.",
        json_schema_extra=documented("a file"),
    )
    tool_search_percent: float = Field(
        default=2.0,
        ge=0,
        le=100,
        description="The size of the tools' definitions, in percent of the model's context window and at least 10,000 "
        "tokens, above which Claude searches for tools instead of reading all definitions. 0: never. See [Many "
        "tools](tools.md#many-tools).",
    )
    web_tools: Annotated[dict[str, Any], NoDecode] = Field(
        default={},
        description="The limits of Claude's `web_search` and `web_fetch`: `allowed_domains` or `blocked_domains`, "
        "`max_uses` and `user_location`. Assistants can set their own. See [Tools](tools.md#claudes-own-tools).",
        examples=['{"allowed_domains": ["example.com"]}'],
        json_schema_extra=documented("a JSON object", default="no limits"),
    )
    public_url: str | None = Field(
        default=None,
        description="The address under which browsers reach this server, with its path prefix. Required for [MCP "
        "servers with OAuth](tools.md#oauth), except in the mode `local`.",
        examples=["https://chat.example.com"],
        json_schema_extra=documented("an address"),
    )
    encryption_key: SecretStr | None = Field(
        default=None,
        description="The key that encrypts the tokens of [MCP servers with OAuth](tools.md#oauth), the same for all "
        "replicas. To [change it](rotation.md#the-key-that-encrypts), set two keys, separated by a comma: the first "
        "encrypts. Each has at least 32 characters.",
        json_schema_extra=documented("random text", default="derived from `TERTULIA_SECRET_KEY`"),
    )
    hooks: str | None = Field(
        default=None,
        description="A Python module with functions that the server calls, such as `my_hooks`: `before_send` checks "
        "messages, `retrieve` finds documents, `transform_text` filters answers, and `after_answer` receives them. See "
        "[Moderate](moderation.md).",
        json_schema_extra=documented("a module"),
    )
    webhooks: str | None = Field(
        default=None,
        description="A YAML or JSON file of endpoints that receive events. See [Webhooks](webhooks.md).",
        json_schema_extra=documented("a file"),
    )
    ask_first: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="The names of tools that require the user's approval, or patterns.",
        examples=["github__*"],
        json_schema_extra=documented("names, separated by commas"),
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
        validation_alias=named("TERTULIA_CONTINUE"),
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
        description="The models that answer, or finish an answer, when the one before them is overloaded or declines. "
        "A model of another provider, `PROVIDER:MODEL`, also does so when the first provider cannot be used: "
        "[Providers](providers.md#a-second-provider).",
        json_schema_extra=documented("models, separated by commas", default="none"),
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
        json_schema_extra=documented("a file", default="the table in `src/tertulia/billing/prices.py`"),
    )
