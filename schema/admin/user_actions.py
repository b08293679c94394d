"""The results of mutations with which operators change users."""

from typing import Annotated

import strawberry

from tertulia.resolvers.admin import user_actions
from tertulia.schema.admin.users import AdminUser
from tertulia.schema.declare import graphql_type
from tertulia.schema.errors import Forbidden, InvalidInput, NotFound


@graphql_type(user_actions.AdminUserPayload)
class AdminUserPayload:
    """A user who was changed."""

    user: AdminUser
    """The user in the current state."""


@graphql_type(user_actions.AdminSignedOutUser)
class AdminSignedOutUser:
    """A user who was signed out."""

    user: AdminUser
    """The user in the current state."""
    sign_in_count: int
    """The number of sign-ins that have ended."""
    token_count: int
    """The number of personal access tokens that were revoked."""


@graphql_type(user_actions.AdminDeletedUser)
class AdminDeletedUser:
    """A user who was deleted."""

    deleted_id: strawberry.ID
    """The id of the deleted user."""


AdminSetUserPlanResult = Annotated[
    AdminUserPayload | InvalidInput | NotFound | Forbidden,
    strawberry.union("AdminSetUserPlanResult", description="The user with the plan, or the error."),
]
AdminDisableUserResult = Annotated[
    AdminUserPayload | InvalidInput | NotFound | Forbidden,
    strawberry.union("AdminDisableUserResult", description="The disabled user, or the error."),
]
AdminEnableUserResult = Annotated[
    AdminUserPayload | NotFound | Forbidden,
    strawberry.union("AdminEnableUserResult", description="The enabled user, or the error."),
]
AdminSignOutUserResult = Annotated[
    AdminSignedOutUser | NotFound | Forbidden,
    strawberry.union("AdminSignOutUserResult", description="The user who was signed out, or the error."),
]
AdminDeleteUserResult = Annotated[
    AdminDeletedUser | InvalidInput | NotFound | Forbidden,
    strawberry.union("AdminDeleteUserResult", description="The deleted user, or the error."),
]
