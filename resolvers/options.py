"""The checks of options for answers, and the form in which they are stored."""

from dataclasses import asdict

from tertulia.assistants.request_keys import MAX_SEQUENCE, MAX_SEQUENCES
from tertulia.claude.models import Model
from tertulia.claude.prompt import MIN_BUDGET_TOKENS
from tertulia.claude.request_options import MIN_TASK_BUDGET
from tertulia.claude.tool_choice import is_forced, supports_forced_calls
from tertulia.db.rows import AnyConversation
from tertulia.json import Json
from tertulia.resolvers.context import Context
from tertulia.resolvers.errors import InvalidInput
from tertulia.resolvers.inputs import Effort, GenerationOptions, Thinking, blank_error, check_text
from tertulia.resolvers.tool_choice import check_tool_choice, stored_tool_choice
from tertulia.tools.json_schema import SchemaKind, schema_problem


async def check_options(context: Context, options: GenerationOptions | None) -> None:
    """Raise InvalidInput if the model may not be used, or for options that no model supports."""
    if options is None:
        return
    if options.model is not None:
        await check_model(context, "options.model", options.model)
    else:
        # Fetch the models before the transaction, in which `check_for_model` reads only cached ones.
        await context.models.list()
    if options.max_tokens is not None and options.max_tokens < 1:
        raise InvalidInput("options.maxTokens", f"must be 1 or more, not {options.max_tokens}.")
    _check_ends(options)
    if options.output_schema is not None:
        problem = await schema_problem(options.output_schema, SchemaKind.OUTPUT)
        if problem is not None:
            raise InvalidInput("options.outputSchema", problem)
    if options.thinking is not None and options.thinking.budget_tokens is not None:
        _check_budget(options.thinking, options.max_tokens)
    if options.tool_choice is not None:
        check_tool_choice(options.tool_choice)


def check_for_model(options: Json, model: Model) -> None:
    """Raise InvalidInput for stored options that the model does not support according to the Models API."""
    max_output_tokens, max_tokens = model.max_output_tokens, options.get("max_tokens")
    if max_tokens is not None and max_output_tokens is not None and max_tokens > max_output_tokens:
        raise InvalidInput(
            "options.maxTokens", f"must be 1 to {max_output_tokens} with the model {model.id}, not {max_tokens}."
        )
    if options.get("effort") is not None and model.efforts is not None and options["effort"] not in model.efforts:
        efforts = ", ".join(sorted(model.efforts)).upper()
        raise InvalidInput(
            "options.effort",
            f"must be one of {efforts} with the model {model.id}."
            if efforts
            else f"must not be set: the model {model.id} does not support it.",
        )
    if options.get("output_schema") is not None and model.structured is False:
        raise InvalidInput("options.outputSchema", f"must not be set: the model {model.id} does not support it.")
    if is_forced(options) and not supports_forced_calls(model.id):
        raise InvalidInput("options.toolChoice.mode", f"must be AUTO or NONE with the model {model.id}.")
    if options.get("thinking") is not None and model.thinking is not None:
        _check_thinking(options["thinking"], model.id, model.thinking)


async def of_conversation(context: Context, options: GenerationOptions | None, model_id: str) -> Json:
    """Check the options of a conversation, and return them as they are stored."""
    await check_options(context, options)
    if options is not None and options.model is not None:
        raise InvalidInput("options.model", "must not be set for a conversation. Set its `model` instead.")
    values = options_to_json(options)
    check_for_model(values, context.models.known(model_id))
    return values


async def check_model(context: Context, field: str, model_id: str) -> None:
    """Raise InvalidInput for a model that may not be used. The error lists the allowed models."""
    if not await context.models.allows(model_id):
        allowed_ids = ", ".join(model.id for model in await context.models.list())
        raise InvalidInput(field, f"must be one of {allowed_ids}, not {model_id[:100]!r}.")


def options_to_json(options: GenerationOptions | None) -> Json:
    """Return the options that are set, in the form in which they are stored: under their Python names."""
    if options is None:
        return {}
    values: Json = {"max_tokens": options.max_tokens, "effort": options.effort}
    values |= {"output_schema": options.output_schema}
    values |= {"continue_interrupted": options.continue_interrupted, "task_budget": options.task_budget}
    values |= {"stop_sequences": options.stop_sequences}
    thinking = {"thinking": asdict(options.thinking)} if options.thinking else {}
    choice = {"tool_choice": asdict(options.tool_choice)} if options.tool_choice else {}
    return {key: value for key, value in values.items() if value is not None} | thinking | choice


def _check_ends(options: GenerationOptions) -> None:
    if options.task_budget is not None and options.task_budget < MIN_TASK_BUDGET:
        raise InvalidInput("options.taskBudget", f"must be {MIN_TASK_BUDGET} or more, not {options.task_budget}.")
    sequences = options.stop_sequences or []
    if len(sequences) > MAX_SEQUENCES:
        raise InvalidInput("options.stopSequences", f"must have at most {MAX_SEQUENCES} texts, not {len(sequences)}.")
    for index, sequence in enumerate(sequences):
        field = f"options.stopSequences[{index}]"
        if not check_text(field, sequence, MAX_SEQUENCE).strip():
            raise blank_error(field)


def _check_budget(thinking: Thinking, max_tokens: int | None) -> None:
    field, budget = "options.thinking.budgetTokens", thinking.budget_tokens or 0
    if not thinking.enabled:
        raise InvalidInput(field, "must not be set if thinking is not enabled.")
    if budget < MIN_BUDGET_TOKENS or budget >= (max_tokens or budget + 1):
        raise InvalidInput(field, f"must be {MIN_BUDGET_TOKENS} or more, and less than `maxTokens`.")


def _check_thinking(thinking: Json, model: str, forms: frozenset[str]) -> None:
    if not thinking["enabled"] and not forms & {"disabled", "between_tools"}:
        raise InvalidInput("options.thinking.enabled", f"must be true: the model {model} always thinks.")
    if thinking["enabled"] and not forms & {"adaptive", "enabled"}:
        raise InvalidInput("options.thinking.enabled", f"must be false: the model {model} does not support thinking.")
    if thinking.get("budget_tokens") is not None and "enabled" not in forms:
        raise InvalidInput(
            "options.thinking.budgetTokens", f"must not be set: the model {model} does not support a budget."
        )


def conversation_options(root: AnyConversation) -> GenerationOptions:
    """The options for answers. Requests for answers can override each of them."""
    options = root.options
    thinking = options.get("thinking")
    return GenerationOptions(
        max_tokens=options.get("max_tokens"),
        effort=Effort(options["effort"]) if options.get("effort") else None,
        thinking=Thinking(thinking["enabled"], thinking.get("budget_tokens")) if thinking else None,
        output_schema=options.get("output_schema"),
        tool_choice=stored_tool_choice(options.get("tool_choice")),
        continue_interrupted=options.get("continue_interrupted"),
        stop_sequences=options.get("stop_sequences"),
        task_budget=options.get("task_budget"),
    )
