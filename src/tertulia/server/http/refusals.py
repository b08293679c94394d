"""The responses of routes that send messages to requests that are refused."""

from collections.abc import Mapping

from fastapi.responses import JSONResponse

from tertulia.json import Json
from tertulia.ratelimit.errors import RateLimited
from tertulia.resolvers.errors import (
    BudgetExceeded,
    ConversationBusy,
    ExpectedError,
    InvalidInput,
    NotFound,
    SendRefused,
)
from tertulia.server.http.problems import problem, too_many_requests


def refused(error: ExpectedError | RateLimited, fields: Mapping[str, str]) -> JSONResponse:
    """Return the response to a request that is refused.

    Args:
        error: Why it is refused.
        fields: The names of fields in the request, by those of `sendMessage`.
    """
    match error:
        case InvalidInput():
            response = JSONResponse({"detail": [_detail(error, fields)]}, 422)
        case NotFound():
            response = problem(404, "NOT_FOUND", error.message)
        case ConversationBusy():
            response = problem(409, "CONVERSATION_BUSY", error.message, generation_id=str(error.generation.id))
        case BudgetExceeded():
            response = problem(402, "BUDGET_EXCEEDED", error.message, resets_at=error.resets_at.isoformat())
        case SendRefused():
            response = problem(403, "SEND_REFUSED", error.message, reason=error.code)
        case RateLimited():
            response = too_many_requests(error)
        case _:
            response = problem(400, "REFUSED", error.message)
    return response


def _detail(error: InvalidInput, fields: Mapping[str, str]) -> Json:
    name, rule = error.field, error.predicate
    for field, own_name in fields.items():
        is_part = name == field or name.startswith((f"{field}[", f"{field}."))
        name = own_name + name.removeprefix(field) if is_part else name
        rule = rule.replace(f"`{field}`", f"`{own_name}`")
    path = name.replace("[", ".").replace("]", "").split(".")
    loc = ["body", *(int(part) if part.isdecimal() else part for part in path)]
    return {"loc": loc, "msg": f"`{name}` {rule}", "type": "value_error"}
