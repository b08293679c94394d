"""The GraphQL types of users, as operators see them."""

from datetime import datetime

import strawberry

from tertulia.db import paging
from tertulia.resolvers.admin import users
from tertulia.schema.credentials import PersonalToken, SignIn
from tertulia.schema.declare import field, graphql_enum, graphql_input, graphql_type
from tertulia.schema.models import Usage
from tertulia.schema.relay import PageInfo
from tertulia.schema.viewer import Budget

graphql_input(users.AdminUserFilter, "AdminUserFilter")
graphql_enum(
    users.SignInMethod,
    "AdminSignInMethod",
    "How a user signs in.",
    PASSWORD="With a password of this server.",  # noqa: S106 - a description
    PROVIDER="At an identity provider, or in the application that embeds this server.",
    GUEST="Without an account.",
    NONE="Not at all: the user of the mode `local`.",
)


@graphql_type(users.Account)
class AdminUser:
    """A user, as operators see them."""

    id: strawberry.ID
    """The user's id, a UUID. `Query.node` does not accept it."""
    name: str
    """The name with which the user signs in, or the name that the identity provider reported first."""
    created_at: datetime
    """When the user was added, in UTC."""
    disabled_at: datetime | None
    """When an operator disabled the user, in UTC. Null for users who may sign in."""
    role: str | None
    """The role that `tertulia user role` has assigned. Null for none. Roles of tokens are not stored."""
    plan: str | None
    """The assigned plan. Null for that of the user's token, or the default plan."""
    sign_in_method: users.SignInMethod = field(users.sign_in_method)
    issuer: str | None
    """The identity provider. Null for users with a password. `guest` for guests, and `host` for users of the
    application that embeds this server.
    """
    subject: str | None
    """The user's id at the identity provider or in the application. Null if there is none."""
    is_viewer: bool = field(users.is_viewer)
    last_active_at: datetime | None = field(users.last_active_at)
    conversation_count: int = field(users.conversation_count)
    usage: Usage = field(users.usage)
    budget: Budget | None = field(users.budget)
    sign_ins: list[SignIn] = field(users.sign_ins)
    personal_tokens: list[PersonalToken] = field(users.personal_tokens)


@graphql_type(paging.Edge)
class AdminUserEdge:
    """A user in a list."""

    cursor: str
    """The position of the user in the list, for `after` and `before`."""
    node: AdminUser
    """The user."""


@graphql_type(paging.Connection)
class AdminUserConnection:
    """A page of users."""

    edges: list[AdminUserEdge]
    """The users, newest first."""
    page_info: PageInfo
    """The position of the page in the list."""
