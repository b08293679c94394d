"""The users of the server, and what operators can do to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated
from uuid import UUID

from strawberry import ID

from tertulia.billing.budget import BudgetStatus
from tertulia.db import credentials, ledger
from tertulia.db.admin import users as rows
from tertulia.db.admin.users import Activity, UserFilter
from tertulia.db.guests import ISSUER as GUEST
from tertulia.db.identities import PersonalToken, SignIn
from tertulia.db.ledger import UsageSum
from tertulia.db.paging import Connection, Edge, Page
from tertulia.db.tables import User, now
from tertulia.resolvers.arguments import After, Before, First, Last, argument
from tertulia.resolvers.context import Context, Info, as_uuid
from tertulia.resolvers.loading import Loader

NO_ACTIVITY = Activity(0, None)


@dataclass
class AdminUserFilter:
    """Selects users. All fields that are not null must match."""

    search: str | None = None
    """A part of the name, in upper or lower case; or a whole id, or a whole subject of the identity provider."""
    plan: str | None = None
    """The assigned plan."""
    role: str | None = None
    """The assigned role, such as `operator`."""
    disabled: bool | None = None
    """Whether the user is disabled."""
    guests: bool | None = None
    """True for guests only, false for all other users."""


class SignInMethod(StrEnum):
    """How a user signs in."""

    PASSWORD = "password"  # noqa: S105 - the name of a method
    PROVIDER = "provider"
    GUEST = "guest"
    NONE = "none"


class AccountLoaders:
    """Loads what operators see of users, for all users of a list together."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @cached_property
    def activity(self) -> Loader[UUID, Activity]:
        """The activity of users by id."""
        return Loader(self._read_activity)

    @cached_property
    def usage(self) -> Loader[UUID, UsageSum]:
        """The usage of users in this month, by id."""
        return Loader(self._read_usage)

    async def _read_activity(self, ids: Sequence[UUID]) -> dict[UUID, Activity]:
        async with self._context.read() as session:
            return await rows.activity(session, ids)

    async def _read_usage(self, ids: Sequence[UUID]) -> dict[UUID, UsageSum]:
        async with self._context.read() as session:
            return await ledger.usage_of_owners(session, ids, ledger.Period(ledger.month_of(now())[0]))


@dataclass(frozen=True, slots=True)
class Account:
    """A user as operators see them. It exists only in the results of operators."""

    row: User
    loaders: AccountLoaders

    @property
    def id(self) -> UUID:
        """The user's id."""
        return self.row.id

    @property
    def name(self) -> str:
        """The user's name."""
        return self.row.name

    @property
    def plan(self) -> str | None:
        """The assigned plan."""
        return self.row.plan

    @property
    def role(self) -> str | None:
        """The assigned role."""
        return self.row.role

    @property
    def issuer(self) -> str | None:
        """The identity provider."""
        return self.row.issuer

    @property
    def subject(self) -> str | None:
        """The user's id at the identity provider."""
        return self.row.subject

    @property
    def created_at(self) -> datetime:
        """When the user was added."""
        return self.row.created_at

    @property
    def disabled_at(self) -> datetime | None:
        """When the user was disabled."""
        return self.row.disabled_at


def accounts_of(context: Context, found: Connection[User]) -> Connection[Account]:
    """Return a page of users as operators see them."""
    loaders = AccountLoaders(context)
    edges = [Edge(edge.cursor, Account(edge.node, loaders)) for edge in found.edges]
    return Connection(edges, found.page_info)


async def users(
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
    filter: Annotated[AdminUserFilter | None, argument("The users to list. Null lists all.")] = None,
) -> Connection[Account]:
    """The users of the server, newest first. A page has at most 100 users, and 50 by default."""
    selected = AdminUserFilter() if filter is None else filter
    filters = UserFilter(selected.search, selected.plan, selected.role, selected.disabled, selected.guests)
    async with info.context.read() as session:
        return accounts_of(info.context, await rows.page(session, Page(first, after, last, before), filters))


async def user(info: Info, id: Annotated[ID, argument("The id of the user.")]) -> Account | None:
    """The user with this id. Null if there is none."""
    user_id = as_uuid(id)
    if user_id is None:
        return None
    async with info.context.read() as session:
        found = (await rows.by_ids(session, [user_id])).get(user_id)
    return None if found is None else Account(found, AccountLoaders(info.context))


def sign_in_method(root: Account) -> SignInMethod:
    """How the user signs in."""
    if root.row.password_hash is not None:
        return SignInMethod.PASSWORD
    if root.issuer == GUEST:
        return SignInMethod.GUEST
    return SignInMethod.NONE if root.issuer is None else SignInMethod.PROVIDER


def is_viewer(info: Info, root: Account) -> bool:
    """Whether the user is the viewer, who cannot disable or delete their own account here."""
    return root.id == info.context.viewer.user_id


async def last_active_at(root: Account) -> datetime | None:
    """When a conversation of the user was last used, in UTC. Null if the user has none."""
    return (await root.loaders.activity.load(root.id) or NO_ACTIVITY).last_active_at


async def conversation_count(root: Account) -> int:
    """The number of the user's conversations, including temporary ones."""
    return (await root.loaders.activity.load(root.id) or NO_ACTIVITY).conversations


async def usage(root: Account) -> UsageSum:
    """The user's usage in this calendar month in UTC, including deleted conversations and generated titles."""
    return await root.loaders.usage.load(root.id) or UsageSum()


async def budget(info: Info, root: Account) -> BudgetStatus | None:
    """The monthly budget of the user's assigned plan, or of the default plan. Null if there is none.

    The plan that a token names is not known here.
    """
    services = info.context.services
    async with info.context.read() as session:
        return await services.budget.status(session, root.id, services.plans.of_viewer(root.plan, {}))


async def sign_ins(info: Info, root: Account) -> Sequence[SignIn]:
    """The devices on which the user is signed in, newest sign-in first, at most 100."""
    async with info.context.read() as session:
        return await credentials.sign_ins_of(session, root.id)


async def personal_tokens(info: Info, root: Account) -> Sequence[PersonalToken]:
    """The user's personal access tokens that have not expired, newest first, without their secrets."""
    async with info.context.read() as session:
        return await credentials.valid_tokens_of(session, root.id)
