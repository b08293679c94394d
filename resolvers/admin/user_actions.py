"""The mutations with which operators change, sign out and delete users."""

from dataclasses import dataclass
from typing import Annotated

from strawberry import ID

from tertulia.db import accounts, generations
from tertulia.db.database import AsyncSession
from tertulia.db.identities import Action
from tertulia.db.tables import User
from tertulia.generation.retention import ResourceDeleter
from tertulia.resolvers.admin.access import audit, find_user, operator_details, require_operator
from tertulia.resolvers.admin.users import Account, AccountLoaders
from tertulia.resolvers.arguments import argument
from tertulia.resolvers.context import Context, Info
from tertulia.resolvers.credentials import SIGNED_OUT
from tertulia.resolvers.errors import InvalidInput, NotFound

UserId = Annotated[ID, argument("The id of the user.")]
NOT_OWN = "must not be your own id: another operator, or the command `tertulia user`, can do this."


@dataclass(frozen=True, slots=True)
class AdminUserPayload:
    """The changed user."""

    user: Account


@dataclass(frozen=True, slots=True)
class AdminSignedOutUser:
    """The user, and what was revoked."""

    user: Account
    sign_in_count: int
    token_count: int


@dataclass(frozen=True, slots=True)
class AdminDeletedUser:
    """The deleted user."""

    deleted_id: str


async def admin_set_user_plan(
    info: Info,
    id: UserId,
    plan: Annotated[
        str | None,
        argument("The name of a plan from `Admin.plans`. Null for that of the user's token, or the default."),
    ] = None,
) -> AdminUserPayload:
    """Assign a plan to a user. Open sockets have its limits at once.

    - `InvalidInput`: The server has no plan with this name.
    - `NotFound`: There is no such user.
    - `Forbidden`: The viewer is not an operator.
    """
    context = require_operator(info)
    names = context.services.plans.names
    if plan is not None and plan not in names:
        accepted = f"must be one of {', '.join(names)}." if names else "is not accepted: the server has no plans."
        raise InvalidInput("plan", accepted)
    async with context.database.write() as session:
        user = await find_user(session, id)
        await accounts.set_plan(session, user.id, plan)
        await audit(session, context, Action.PLAN_CHANGED, user, plan=plan or "")
    return await _changed(context, user)


async def admin_disable_user(info: Info, id: UserId) -> AdminUserPayload:
    """Disable a user: their sign-ins end, their sockets are closed, their running answers are stopped, and all of their
    tokens are refused until `adminEnableUser`. Nothing is deleted.

    - `InvalidInput`: The user is the viewer.
    - `NotFound`: There is no such user.
    - `Forbidden`: The viewer is not an operator.
    """
    context = require_operator(info)
    async with context.database.write() as session:
        user = await _find_other(session, context, id)
        if user.disabled_at is None:
            await accounts.set_disabled(session, user.id, disabled=True)
            await audit(session, context, Action.USER_DISABLED, user)
        running = await generations.unfinished_of_owner(session, user.id)
    payload = await _changed(context, user)
    # In reverse order, so that a queued generation does not start when the one before it is stopped.
    for generation_id in reversed(running):
        await context.generation_manager.stop(generation_id)
    return payload


async def admin_enable_user(info: Info, id: UserId) -> AdminUserPayload:
    """Enable a user who was disabled. They can sign in again, and their personal access tokens work again.

    - `NotFound`: There is no such user.
    - `Forbidden`: The viewer is not an operator.
    """
    context = require_operator(info)
    async with context.database.write() as session:
        user = await find_user(session, id)
        if user.disabled_at is not None:
            await accounts.set_disabled(session, user.id, disabled=False)
            await audit(session, context, Action.USER_ENABLED, user)
    return await _changed(context, user)


async def admin_sign_out_user(
    info: Info,
    id: UserId,
    *,
    tokens: Annotated[bool, argument("Whether to revoke the user's personal access tokens too.")] = False,
) -> AdminSignedOutUser:
    """Sign a user out on all devices. Their sockets are closed. Answers that are running are completed.

    Tokens that an identity provider has issued before are refused, but the provider may issue new ones: disable the
    user to refuse all.

    - `NotFound`: There is no such user.
    - `Forbidden`: The viewer is not an operator.
    """
    context = require_operator(info)
    async with context.database.write() as session:
        user = await find_user(session, id)
        revoked = await accounts.revoke_everything(session, user.id, tokens=tokens)
        counts = {"sign_ins": str(revoked.sign_ins), "tokens": str(revoked.tokens)}
        await audit(session, context, Action.EVERYTHING_REVOKED, user, **counts)
    payload = await _changed(context, user)
    return AdminSignedOutUser(payload.user, revoked.sign_ins, revoked.tokens)


async def admin_delete_user(info: Info, id: UserId) -> AdminDeletedUser:
    """Delete a user with all conversations, files, memories, tokens and bills. This cannot be undone.

    The spending still counts towards the budget of the server.

    - `InvalidInput`: The user is the viewer.
    - `NotFound`: There is no such user.
    - `Forbidden`: The viewer is not an operator.
    """
    context, services = require_operator(info), info.context.services
    async with context.read() as session:
        user = await _find_other(session, context, id)
    deleter = ResourceDeleter(services.database, services.log, services.files, context.generation_manager.stop)
    if await deleter.remove_user(user.id, context.address, **operator_details(context)) is None:
        raise NotFound(id, "user")
    services.signals.send(SIGNED_OUT, user.id)
    return AdminDeletedUser(str(user.id))


async def _find_other(session: AsyncSession, context: Context, id: str) -> User:
    """Return a user who is not the viewer."""
    user = await find_user(session, id)
    if user.id == context.viewer.user_id:
        raise InvalidInput("id", NOT_OWN)
    return user


async def _changed(context: Context, user: User) -> AdminUserPayload:
    """Make all processes check the user's connections again, and return the user as stored now."""
    context.services.signals.send(SIGNED_OUT, user.id)
    async with context.database.read() as session:
        stored = await find_user(session, str(user.id))
    return AdminUserPayload(Account(stored, AccountLoaders(context)))
