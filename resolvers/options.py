"""The options of a send: checked against what the model takes, and kept with the generation."""

from dataclasses import asdict

from db.tables import Json
from resolvers.context import Context
from resolvers.conversations import check_model
from resolvers.errors import InvalidInput
from resolvers.inputs import GenerationOptions

MIN_BUDGET_TOKENS = 1024


async def check_options(context: Context, options: GenerationOptions | None) -> None:
    """Raise InvalidInput for the first option that cannot be taken."""
    if options is None:
        return
    if options.model is not None:
        await check_model(context, "options.model", options.model)
    if options.max_tokens is not None:
        model = await context.models.get(options.model or context.models.default_id)
        most = model.max_output_tokens
        if options.max_tokens < 1 or (most is not None and options.max_tokens > most):
            raise InvalidInput("options.maxTokens", f"takes 1 to {most or 'what the model takes'}.")
    if options.thinking is not None and options.thinking.budget_tokens is not None:
        budget = options.thinking.budget_tokens
        if not options.thinking.enabled:
            raise InvalidInput("options.thinking.budgetTokens", "makes no sense where thinking is not enabled.")
        if budget < MIN_BUDGET_TOKENS or budget >= (options.max_tokens or budget + 1):
            field = "options.thinking.budgetTokens"
            raise InvalidInput(field, f"takes {MIN_BUDGET_TOKENS} or more, and less than maxTokens.")


def stored(options: GenerationOptions | None) -> Json:
    """Give what is kept of them: what was given, under the names of columns."""
    if options is None:
        return {}
    given = {"max_tokens": options.max_tokens, "effort": options.effort}
    thinking = {"thinking": asdict(options.thinking)} if options.thinking else {}
    return {key: value for key, value in given.items() if value is not None} | thinking
