"""The access of operators: who is one, and the audit log of what they do."""

from asgi_correlation_id import correlation_id

from tertulia.db import accounts
from tertulia.db.database import AsyncSession
from tertulia.db.identities import Action
from tertulia.db.tables import User
from tertulia.resolvers.context import Context, Info, as_uuid
from tertulia.resolvers.errors import Forbidden, NotFound


def require_operator(info: Info) -> Context:
    """Return the context of a viewer who is an operator; raise Forbidden for all others."""
    if not info.context.viewer.is_operator:
        raise Forbidden("Only viewers with the role `operator` may do this.")
    return info.context


async def find_user(session: AsyncSession, id: str) -> User:
    """Return the user with an id; raise NotFound if there is none."""
    user_id = as_uuid(id)
    user = None if user_id is None else await accounts.by_id(session, user_id)
    if user is None:
        raise NotFound(id, "user")
    return user


async def audit(session: AsyncSession, context: Context, action: Action, user: User | None, **detail: str) -> None:
    """Write an entry of the audit log for what an operator does to a user, or to the server if `user` is None."""
    await accounts.audit(
        session, action, None if user is None else user.id, context.address, **operator_details(context), **detail
    )


def operator_details(context: Context) -> dict[str, str]:
    """Return the details of an entry of the audit log that name the operator and the request."""
    viewer, request_id = context.viewer, correlation_id.get()
    details = {"operator": str(viewer.user_id), "operator_name": viewer.user_name}
    return details | ({"request_id": request_id} if request_id else {})
