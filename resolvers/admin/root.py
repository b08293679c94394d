"""The field `Query.admin`."""

from dataclasses import dataclass

from tertulia.resolvers.context import Info


@dataclass(frozen=True, slots=True)
class Admin:
    """The root of all fields for operators. It exists only in the results of operators."""


ADMIN = Admin()


def plans(info: Info) -> list[str]:
    """The names of the plans that `adminSetUserPlan` accepts. Empty on a server without plans."""
    return info.context.services.plans.names


def admin(info: Info) -> Admin | None:
    """The data of the whole server, for its operators. Null for viewers without the role `operator`.

    Personal access tokens and guests never have the role. No field returns text of users:
    `adminReadConversation` does, if the server allows it.
    """
    return ADMIN if info.context.viewer.is_operator else None


def roles(info: Info) -> list[str]:
    """The viewer's roles. `operator` gives access to `Query.admin`; there are no others yet."""
    return sorted(info.context.viewer.roles)
