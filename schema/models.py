"""The GraphQL types of models, generation options, usage, and Claude's errors."""

from decimal import Decimal

from strawberry.scalars import JSON

from tertulia.claude import errors, models, providers
from tertulia.db import ledger
from tertulia.resolvers import conversations, inputs, tool_choice, viewer
from tertulia.schema.declare import field, graphql_type


@graphql_type(models.Model)
class Model:
    """A Claude model that this server may use.

    A field is null if the server does not know its value. Requests are then not checked against it, and Claude's API
    may refuse them.
    """

    id: str
    """The model's id at its provider, as accepted by the `model` fields of inputs. The id of a model of a
    second provider begins with the provider's name and a colon.
    """
    display_name: str
    """The model's name, for people."""
    default: bool
    """Whether this is the server's default model."""
    simulated: bool
    """Whether the server has no API key, so that its simulator writes the answers."""
    max_input_tokens: int | None
    """The size of the context window in tokens."""
    max_output_tokens: int | None
    """The maximum number of tokens of one answer, and the upper bound of `maxTokens`."""
    takes_images: bool | None
    """Whether the model accepts images."""
    takes_documents: bool | None
    """Whether the model accepts PDF documents."""
    structured: bool | None
    """Whether the model supports `outputSchema`."""
    compacts: bool
    """Whether the model summarizes the conversation when 80 % of its context window is in use."""
    thinking: list[str] | None = field(viewer.thinking)
    efforts: list[str] | None = field(viewer.efforts)
    provider: providers.Provider
    """The service that runs the model."""
    server_tools: list[str] = field(viewer.server_tools)


@graphql_type(inputs.Thinking)
class ThinkingOptions:
    """The thinking options of a conversation."""

    enabled: bool
    """Whether Claude thinks before it answers."""
    budget_tokens: int | None
    """The maximum number of tokens for thinking. Null if the server chooses it."""


@graphql_type(tool_choice.ToolChoice)
class ToolChoiceOptions:
    """The choice of tools of a conversation."""

    mode: tool_choice.ToolChoiceMode
    """Whether Claude must, may or must not call tools."""
    name: str | None
    """The name of the tool that Claude must call. Null unless the mode is TOOL."""
    parallel: bool
    """Whether Claude may call several tools at once."""


@graphql_type(inputs.GenerationOptions)
class GenerationOptions:
    """The options of a conversation. `sendMessage`, `editMessage` and `regenerateMessage` can override each of them."""

    max_tokens: int | None
    """The maximum number of tokens of an answer, including thinking. Null for 32,000, or the model's maximum if it is
    lower.
    """
    effort: inputs.Effort | None
    """How much effort Claude puts into an answer. Null for the model's default."""
    thinking: ThinkingOptions | None
    """Whether and how much Claude thinks before it answers. Null for the model's default."""
    output_schema: JSON | None
    """The JSON schema that answers must match. Null for answers in text."""
    tool_choice: ToolChoiceOptions | None
    """Whether Claude must, may or must not call tools. Null if Claude decides."""
    continue_interrupted: bool | None
    """Whether an answer that is interrupted is continued. Null for the server's setting."""
    stop_sequences: list[str] | None
    """The texts before which Claude ends an answer. Null for none."""
    task_budget: int | None
    """The number of tokens within which Claude tries to finish an answer. Null for none."""


@graphql_type(conversations.ContextWindow)
class ContextWindow:
    """How much of the model's context window a conversation uses."""

    used_tokens: int
    """The tokens in use after the last answer of the active branch, as counted by Claude's API. 0 before the first
    answer.
    """
    limit: int | None
    """The size of the context window in tokens. Null if it is not known."""
    compacts: bool
    """Whether Claude summarizes the conversation when the window is nearly full. A `CompactionBlock` shows the summary.

    If false, Claude stops with MODEL_CONTEXT_WINDOW_EXCEEDED or refuses the request when the window is full. Continue
    in a new conversation then.
    """


@graphql_type(ledger.UsageSum)
class Usage:
    """The tokens that Claude's API billed, and their cost. The four counts do not overlap."""

    input_tokens: int
    """Input tokens billed at the full price: those that were neither read from the cache nor written to it."""
    output_tokens: int
    """Tokens that Claude wrote, including thinking."""
    cache_read_tokens: int
    """Input tokens read from Claude's cache, billed at a fraction of the full price."""
    cache_write_tokens: int
    """Input tokens written to Claude's cache, billed slightly above the full price."""
    cost_usd: Decimal | None
    """The cost in US dollars, including web searches, exact to 10^-12. Null if the price of a model is not known."""


@graphql_type(errors.GenerationError)
class GenerationError:
    """Why a generation failed."""

    code: errors.ErrorCode
    """The reason, for programs. New codes may be added."""
    message: str
    """The error message of Claude's API or of this server, for people."""
    retryable: bool
    """Whether the same request may succeed later. `regenerateMessage` retries it."""
    request_id: str | None
    """The id of the request to Claude's API, for Anthropic's support. Null if Claude's API was not reached."""
    retry_after_seconds: float | None
    """The number of seconds to wait, as requested by Claude's API. Null if it requested no wait."""
    api_code: str | None
    """The error code of Claude's API, such as `enforced_spend_limit_reached`: finer than `code`, and new ones may be
    added at any time. Null if it sent none.
    """
