"""Models, generation options, usage, and Claude's errors."""

from decimal import Decimal

from strawberry.scalars import JSON

from tertulia.claude import errors, models
from tertulia.db import ledger
from tertulia.resolvers import conversations, inputs, viewer
from tertulia.schema.declare import field, graphql_type


@graphql_type(models.Model)
class Model:
    """A Claude model that this server may use. What is null of it is not known, and is left to Claude to refuse."""

    id: str
    """Its id in the Messages API: what `model` takes."""
    display_name: str
    """Its name for people."""
    default: bool
    """Whether it answers where nobody names another."""
    simulated: bool
    """Whether no key is set, so that answers are made up on this server."""
    max_input_tokens: int | None
    """Its context window, in tokens."""
    max_output_tokens: int | None
    """The most tokens of one answer: the bound of `maxTokens`."""
    takes_images: bool | None
    """Whether it reads images."""
    takes_documents: bool | None
    """Whether it reads PDFs."""
    structured: bool | None
    """Whether it writes JSON by an `outputSchema`."""
    compacts: bool
    """Whether it sums up what was said when 80 % of its window is in use."""
    thinking: list[str] | None = field(viewer.thinking)
    efforts: list[str] | None = field(viewer.efforts)


@graphql_type(inputs.Thinking)
class ThinkingOptions:
    """Whether Claude thinks before it answers."""

    enabled: bool
    """Whether it does."""
    budget_tokens: int | None
    """Tokens that it may think for; null leaves it to the server."""


@graphql_type(inputs.GenerationOptions)
class GenerationOptions:
    """What the answers of a conversation are asked with, unless a send says otherwise; null leaves it to the server."""

    max_tokens: int | None
    """The most tokens of an answer, its thinking included; null for 32,000, or less where the model gives less."""
    effort: inputs.Effort | None
    """How much work Claude puts into an answer; null for the model's own default."""
    thinking: ThinkingOptions | None
    """Whether Claude thinks first; null for what the model does by itself."""
    output_schema: JSON | None
    """The JSON schema that answers are to fit; null for words."""


@graphql_type(conversations.ContextWindow)
class ContextWindow:
    """How full the model's context window is, in tokens."""

    used_tokens: int
    """Tokens in use behind the last answer of the active branch, as Claude's API counted them; 0 before the first."""
    limit: int | None
    """The most tokens there is room for; null where it is not known."""
    compacts: bool
    """Whether Claude sums up what was said near the end, as a `CompactionBlock` says then.

    Where not, it ends with MODEL_CONTEXT_WINDOW_EXCEEDED, or refuses: go on in a new conversation.
    """


@graphql_type(ledger.UsageSum)
class Usage:
    """Tokens as Claude's API billed them, and what they cost. The four counts do not overlap."""

    input_tokens: int
    """Tokens that Claude read at the full price: those that its cache neither held nor took."""
    output_tokens: int
    """Tokens that Claude wrote, thinking included."""
    cache_read_tokens: int
    """Tokens that Claude read from its cache, which costs a fraction of the price."""
    cache_write_tokens: int
    """Tokens that Claude read and put into its cache, which costs a little more than the price."""
    cost_usd: Decimal | None
    """The cost in US dollars, exact to 10^-12, web searches included; null where the price of a model is not known."""


@graphql_type(errors.GenerationError)
class GenerationError:
    """Why an answer failed."""

    code: errors.ErrorCode
    """Why, for programs; kinds may be added."""
    message: str
    """What Claude's API or this server said, in words for people."""
    retryable: bool
    """Whether the same request may succeed later: then `regenerateMessage` asks again."""
    request_id: str | None
    """Claude's request id, for its support; null where Claude was not reached."""
    retry_after_seconds: float | None
    """Seconds after which Claude said to come back; null where it did not say."""
