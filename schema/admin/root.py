"""The GraphQL type of `Query.admin`."""

from tertulia.resolvers.admin import root
from tertulia.resolvers.admin import users as accounts
from tertulia.schema.admin.users import AdminUser, AdminUserConnection
from tertulia.schema.declare import field, graphql_type


@graphql_type(root.Admin)
class Admin:
    """The data of the whole server for its operators. No field returns text of users."""

    users: AdminUserConnection = field(accounts.users)
    user: AdminUser | None = field(accounts.user)
    plans: list[str] = field(root.plans)
