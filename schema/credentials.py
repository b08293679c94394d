"""The GraphQL types of sign-ins and personal access tokens."""

from datetime import datetime

import strawberry

from tertulia.db import identities
from tertulia.resolvers import credentials
from tertulia.schema.declare import field, graphql_type


@graphql_type(identities.SignIn)
class SignIn:
    """A device on which the viewer is signed in."""

    id: strawberry.ID
    """The id, for `revokeSignIn`. `Query.node` does not accept it."""
    user_agent: str | None
    """The `User-Agent` of the browser or program that signed in. Null for sign-ins of earlier versions."""
    current: bool = field(credentials.is_current)
    created_at: datetime
    """When the viewer signed in, in UTC."""
    last_used_at: datetime
    """When the device last refreshed its token, in UTC. A device in use does so every ten minutes."""
    expires_at: datetime
    """When the sign-in ends if the device is not used before, in UTC."""


@graphql_type(identities.PersonalToken)
class PersonalToken:
    """A personal access token, without its secret."""

    id: strawberry.ID
    """The id, for `revokePersonalToken`. It is not the token, and `Query.node` does not accept it."""
    label: str
    """The note about its purpose."""
    created_at: datetime
    """When it was created, in UTC."""
    last_used_at: datetime | None
    """When it was last used, in UTC; stored at most once an hour. Null if it has not been used yet."""
    expires_at: datetime | None
    """When it stops working, in UTC. Null for no expiry."""


@graphql_type(credentials.CreatePersonalTokenPayload)
class CreatePersonalTokenPayload:
    """A new personal access token. It cannot be read again later: the server stores only a hash of it."""

    personal_token: PersonalToken
    """The token's settings."""
    token: str
    """The secret, for the `Authorization` header. Everybody who has it can act as the viewer."""


@graphql_type(credentials.RevokedPersonalToken)
class RevokedPersonalToken:
    """A personal access token that was revoked."""

    revoked_id: strawberry.ID
    """The id of the revoked token."""


@graphql_type(credentials.RevokedSignIn)
class RevokedSignIn:
    """A sign-in that was ended."""

    revoked_id: strawberry.ID
    """The id of the sign-in."""
