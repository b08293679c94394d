"""Guests: users without an account. Registering or signing in with a guest's token keeps the conversations."""

import secrets
from collections.abc import Awaitable, Callable
from uuid import UUID

from tertulia.db import accounts, generations, guests
from tertulia.db.database import Database
from tertulia.db.identities import Action
from tertulia.db.tables import User, new_id
from tertulia.server.auth.jwt import ACCESS, REFRESH, BadToken, Claims, Tokens

Stop = Callable[[UUID], Awaitable[None]]


class NotAGuest(Exception):
    """The token is not that of a guest, or is no longer valid."""


def new_guest() -> User:
    """Return a new guest, whose plan is `guest`."""
    id = new_id()
    name = f"guest-{secrets.token_hex(8)}"
    return User(id=id, name=name, issuer=guests.ISSUER, subject=str(id), plan=guests.PLAN)


class Guests:
    """Finds the guests of tokens, and moves their conversations to accounts."""

    def __init__(self, database: Database, tokens: Tokens, stop: Stop) -> None:
        """Initialize. `stop` stops a generation."""
        self._database = database
        self._tokens = tokens
        self._stop = stop

    async def of(self, token: str, *, account: UUID | None = None) -> UUID | None:
        """Return the guest of an access or refresh token.

        Args:
            token: The token.
            account: The account that claims the guest.

        Returns:
            The guest's id. None if there is nothing left to move, because the account has claimed the guest before.

        Raises:
            NotAGuest: The token is invalid, has expired or is not that of a guest.
        """
        claims = self._claims(token)
        async with self._database.read() as session:
            user = await accounts.signed_in(session, claims.sign_in_id)
            if user is not None and user.id == claims.user_id and user.issuer == guests.ISSUER:
                return user.id
            is_claimed = claims.user_id == account or (
                await guests.is_guest(session, claims.user_id)
                and not await accounts.conversations_of(session, claims.user_id)
            )
        if account is not None and is_claimed:
            return None
        raise NotAGuest

    async def claim(self, guest: UUID, account: User, address: str) -> None:
        """Move everything of a guest to an account, and sign the guest out. Running answers are stopped first."""
        async with self._database.write() as session:
            await accounts.revoke(session, owner=guest)
            running = await generations.unfinished_of_owner(session, guest)
        # In reverse order, so that a queued generation does not start when the one before it is stopped.
        for generation_id in reversed(running):
            await self._stop(generation_id)
        async with self._database.write() as session:
            moved = await guests.move(session, guest, account.id)
            if moved:
                await accounts.audit(session, Action.GUEST_CLAIMED, account.id, address, conversations=str(len(moved)))

    def _claims(self, token: str) -> Claims:
        for kind in (ACCESS, REFRESH):
            try:
                return self._tokens.read(token, kind)
            except BadToken:
                continue
        raise NotAGuest
