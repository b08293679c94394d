"""The checks of the viewer's plan when an answer is requested."""

from tertulia.billing.budget import BudgetSpent, PriceUnknown
from tertulia.db import generations
from tertulia.db.database import AsyncSession
from tertulia.generation.input import GenerationInput
from tertulia.ratelimit.errors import RateLimited
from tertulia.resolvers.context import Context
from tertulia.resolvers.errors import BudgetExceeded, InvalidInput

FINISHING_SECONDS = 5.0
"""The `retryAfterSeconds` of the limit on concurrent generations: one of them may have ended by then."""


def check_plan(context: Context, model_id: str) -> None:
    """Raise InvalidInput if the viewer's plan does not have the model, which may be that of an older conversation."""
    if not context.models.in_plan(model_id):
        allowed_ids = ", ".join(context.plan.models or ())
        raise InvalidInput("options.model", f"must be one of {allowed_ids}, because your plan lacks {model_id}.")


async def check_running(session: AsyncSession, context: Context) -> None:
    """Raise RateLimited if as many answers of the viewer are being written as the plan allows."""
    max_generations = context.limits.generations
    if (
        max_generations is not None
        and await generations.count_running(session, context.viewer.user_id) >= max_generations
    ):
        context.limits.on_refused("generations", context.viewer.user_id)
        raise RateLimited(
            FINISHING_SECONDS,
            f"At most {max_generations:,} answers can be written at the same time. Wait for one to end, or stop one.",
        )


async def reserve(session: AsyncSession, context: Context, work: GenerationInput) -> int | None:
    """Return the cost to reserve for an answer; raise BudgetExceeded or InvalidInput."""
    model = context.models.known(work.model)
    try:
        return await context.services.budget.reserve(session, context.viewer.user_id, work, model, context.plan.name)
    except BudgetSpent as spent:
        context.limits.on_refused("budget", context.viewer.user_id)
        raise BudgetExceeded(spent.resets_at, str(spent)) from None
    except PriceUnknown:
        raise InvalidInput(
            "options.model", f"must be a model with a known price, because a budget is set. {model.id} has none."
        ) from None
