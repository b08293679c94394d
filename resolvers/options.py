"""The options of an answer: checked against what the model supports, and stored with the generation."""

from dataclasses import asdict

from tertulia.claude.models import Model
from tertulia.claude.prompt import MIN_BUDGET_TOKENS
from tertulia.db.tables import Conversation
from tertulia.json import Json
from tertulia.resolvers.context import Context
from tertulia.resolvers.errors import InvalidInput
from tertulia.resolvers.inputs import Effort, GenerationOptions, Thinking
from tertulia.tools.json_schema import SchemaKind, schema_problem


async def check_options(context: Context, options: GenerationOptions | None) -> None:
    """Raise InvalidInput for a model that may not be used, and for options that no model supports."""
    if options is None:
        return
    if options.model is not None:
        await check_model(context, "options.model", options.model)
    else:
        # Fetch the models now: `check_for_model` runs inside a transaction and reads only cached ones.
        await context.models.list()
    if options.max_tokens is not None and options.max_tokens < 1:
        raise InvalidInput("options.maxTokens", f"takes 1 or more, not {options.max_tokens}.")
    if options.output_schema is not None:
        problem = await schema_problem(options.output_schema, SchemaKind.OUTPUT)
        if problem is not None:
            raise InvalidInput("options.outputSchema", problem)
    if options.thinking is not None and options.thinking.budget_tokens is not None:
        _check_budget(options.thinking, options.max_tokens)


def check_for_model(options: Json, model: Model) -> None:
    """Raise InvalidInput for stored options that the model, by the Models API, does not support."""
    max_output_tokens, max_tokens = model.max_output_tokens, options.get("max_tokens")
    if max_tokens is not None and max_output_tokens is not None and max_tokens > max_output_tokens:
        raise InvalidInput("options.maxTokens", f"takes 1 to {max_output_tokens} with {model.id}.")
    if options.get("effort") is not None and model.efforts is not None and options["effort"] not in model.efforts:
        efforts = ", ".join(sorted(model.efforts)).upper()
        raise InvalidInput(
            "options.effort", f"takes {efforts} with {model.id}." if efforts else f"{model.id} takes none."
        )
    if options.get("output_schema") is not None and model.structured is False:
        raise InvalidInput("options.outputSchema", f"{model.id} takes none.")
    if options.get("thinking") is not None and model.thinking is not None:
        _check_thinking(options["thinking"], model.id, model.thinking)


async def of_conversation(context: Context, options: GenerationOptions | None, model_id: str) -> Json:
    """Check the options of a conversation, and return them as they are stored."""
    await check_options(context, options)
    if options is not None and options.model is not None:
        raise InvalidInput("options.model", "stands beside the options of a conversation: set `model`.")
    values = stored(options)
    check_for_model(values, context.models.known(model_id))
    return values


async def check_model(context: Context, field: str, model_id: str) -> None:
    """Raise InvalidInput for a model that may not be used. The error names the allowed models."""
    if not await context.models.allows(model_id):
        allowed_ids = ", ".join(model.id for model in await context.models.list())
        raise InvalidInput(field, f"there is no model {model_id[:100]!r} here; there are: {allowed_ids}.")


def stored(options: GenerationOptions | None) -> Json:
    """Return the options that are set, as they are stored: under the names of columns."""
    if options is None:
        return {}
    values = {"max_tokens": options.max_tokens, "effort": options.effort, "output_schema": options.output_schema}
    thinking = {"thinking": asdict(options.thinking)} if options.thinking else {}
    return {key: value for key, value in values.items() if value is not None} | thinking


def _check_budget(thinking: Thinking, max_tokens: int | None) -> None:
    field, budget = "options.thinking.budgetTokens", thinking.budget_tokens or 0
    if not thinking.enabled:
        raise InvalidInput(field, "makes no sense where thinking is not enabled.")
    if budget < MIN_BUDGET_TOKENS or budget >= (max_tokens or budget + 1):
        raise InvalidInput(field, f"takes {MIN_BUDGET_TOKENS} or more, and less than maxTokens.")


def _check_thinking(thinking: Json, model: str, forms: frozenset[str]) -> None:
    if not thinking["enabled"] and not forms & {"disabled", "between_tools"}:
        raise InvalidInput("options.thinking.enabled", f"{model} always thinks.")
    if thinking["enabled"] and not forms & {"adaptive", "enabled"}:
        raise InvalidInput("options.thinking.enabled", f"{model} does not think.")
    if thinking.get("budget_tokens") is not None and "enabled" not in forms:
        raise InvalidInput("options.thinking.budgetTokens", f"{model} takes no budget: leave it out.")


def conversation_options(root: Conversation) -> GenerationOptions:
    """What its answers are asked with, unless a send says otherwise."""
    options = root.options
    thinking = options.get("thinking")
    return GenerationOptions(
        max_tokens=options.get("max_tokens"),
        effort=Effort(options["effort"]) if options.get("effort") else None,
        thinking=Thinking(thinking["enabled"], thinking.get("budget_tokens")) if thinking else None,
        output_schema=options.get("output_schema"),
    )
