"""The viewer's credentials: the devices on which the viewer has signed in, and personal access tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from strawberry import ID

from tertulia.db import accounts, credentials, guests, leases
from tertulia.db.identities import Action, PersonalToken, SignIn
from tertulia.db.inserting import insert
from tertulia.db.tables import now
from tertulia.resolvers.arguments import argument
from tertulia.resolvers.context import Context, Info, as_uuid
from tertulia.resolvers.errors import InvalidInput, NotFound
from tertulia.resolvers.inputs import blank_error, check_text

SIGNED_OUT = "signed_out"
"""The signal that sign-ins or tokens of a user, or of all users (`authenticator.EVERYBODY`), were revoked."""
MAX_TOKENS = 50
"""The maximum number of valid personal access tokens of a user."""
MAX_LABEL = 100
"""The maximum length of the label of a token, in characters."""


@dataclass(frozen=True, slots=True)
class CreatePersonalTokenPayload:
    """The new token, and its secret, which is not stored."""

    personal_token: PersonalToken
    token: str


@dataclass(frozen=True, slots=True)
class RevokedPersonalToken:
    """The revoked token."""

    revoked_id: str


@dataclass(frozen=True, slots=True)
class RevokedSignIn:
    """The revoked sign-in."""

    revoked_id: str


async def sign_ins_of_viewer(info: Info) -> Sequence[SignIn]:
    """The devices on which the viewer is signed in, newest sign-in first, at most 100.

    Empty unless this server checks passwords (`TERTULIA_AUTH=password`): an identity provider lists its own sign-ins.
    """
    async with info.context.read() as session:
        return await credentials.sign_ins_of(session, info.context.viewer.user_id)


async def personal_tokens_of_viewer(info: Info) -> Sequence[PersonalToken]:
    """The viewer's personal access tokens that have not expired, newest first."""
    async with info.context.read() as session:
        return await credentials.valid_tokens_of(session, info.context.viewer.user_id)


def is_current(info: Info, root: SignIn) -> bool:
    """Whether the request was sent with a token of this sign-in."""
    return root.id == info.context.viewer.sign_in_id


async def create_personal_token(
    info: Info,
    label: Annotated[str, argument("A note about the purpose of the token, 1 to 100 characters.")],
    expires_at: Annotated[
        datetime | None,
        argument(
            "When the token stops working: a time in the future. Null for no expiry. If the server limits the lifetime "
            "of tokens, null and later times become the latest allowed time."
        ),
    ] = None,
) -> CreatePersonalTokenPayload:
    """Create a personal access token, which scripts send instead of an access token.

    The result contains the token, which cannot be read again later. A repeated request creates another token.

    - `InvalidInput`: The label is blank or too long, `expiresAt` is not in the future, the viewer already has 50
      tokens, or the viewer may not create tokens: guests, users of a server that requires no sign-in, and requests
      with a personal access token.
    - `RateLimited`: The viewer has sent too many messages. Creating a token counts as one.
    """
    context = info.context
    label = check_text("label", label.strip(), MAX_LABEL)
    if not label:
        raise blank_error("label")
    if expires_at is not None and expires_at <= now():
        raise InvalidInput("expiresAt", "must be in the future.")
    if not context.viewer.signed_in:
        raise InvalidInput("label", "needs a sign-in: a personal access token cannot create tokens.")
    days = context.services.personal_token_days
    if days is not None:
        latest = now() + timedelta(days=days)
        expires_at = latest if expires_at is None else min(expires_at, latest)
    await context.limits.check_send(context.viewer.user_id)
    token = credentials.new_personal_token()
    return CreatePersonalTokenPayload(await _store(context, token, label, expires_at), token)


async def revoke_personal_token(
    info: Info, id: Annotated[ID, argument("The id of the personal access token, not the token itself.")]
) -> RevokedPersonalToken:
    """Revoke a personal access token. It stops working at once, and its sockets are closed.

    - `NotFound`: The token does not exist, or has already been revoked.
    """
    context, owner, token_id = info.context, info.context.viewer.user_id, as_uuid(id)
    async with context.database.write() as session:
        if token_id is None or not await accounts.remove_token(session, owner, token_id):
            raise NotFound(id, "personal access token")
        await accounts.audit(session, Action.TOKEN_REVOKED, owner, context.address, token=str(token_id))
    context.services.signals.send(SIGNED_OUT, owner)
    return RevokedPersonalToken(str(token_id))


async def revoke_sign_in(
    info: Info, id: Annotated[ID, argument("The id of the sign-in, from `Viewer.signIns`.")]
) -> RevokedSignIn:
    """Sign the viewer out on a device. Its tokens stop working at once, and its sockets are closed.

    - `NotFound`: The sign-in does not exist, or has already ended.
    """
    context, owner, sign_in_id = info.context, info.context.viewer.user_id, as_uuid(id)
    async with context.database.write() as session:
        if sign_in_id is None or not await credentials.revoke_sign_in(session, owner, sign_in_id):
            raise NotFound(id, "sign-in")
        await accounts.audit(session, Action.SIGNED_OUT, owner, context.address, sign_in=str(sign_in_id))
    context.services.signals.send(SIGNED_OUT, owner)
    return RevokedSignIn(str(sign_in_id))


async def _store(context: Context, token: str, label: str, expires_at: datetime | None) -> PersonalToken:
    """Store a token; raise InvalidInput if the viewer is a guest or has too many tokens."""
    owner = context.viewer.user_id
    row = PersonalToken(owner_id=owner, label=label, digest=credentials.digest_of(token), expires_at=expires_at)
    async with context.database.write() as session:
        await leases.lock_owner(session, owner)
        if await guests.is_guest(session, owner):
            raise InvalidInput("label", "needs an account: guests cannot create tokens.")
        if await credentials.count_valid_tokens(session, owner) >= MAX_TOKENS:
            raise InvalidInput("label", f"is refused: a user can have at most {MAX_TOKENS} tokens. Revoke one first.")
        await insert(session, [row])
        await accounts.audit(session, Action.TOKEN_CREATED, owner, context.address, token=str(row.id))
    return row
