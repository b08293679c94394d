"""Accounts with passwords: registration, sign-in, refresh and sign-out, each with an entry in the audit log."""

import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from tertulia.db import accounts, guests
from tertulia.db.credentials import LONGEST_USER_AGENT, PERSONAL, digest_of
from tertulia.db.database import AsyncSession, Database
from tertulia.db.identities import Action
from tertulia.db.names import skeleton
from tertulia.db.tables import User, now
from tertulia.json import clean_text
from tertulia.ratelimit.limits import Rate, Rates
from tertulia.resolvers.context import StoredViewer
from tertulia.server.auth.authenticator import Authenticator
from tertulia.server.auth.guests import Guests, new_guest
from tertulia.server.auth.jwt import (
    ACCESS,
    ACCESS_LIFETIME,
    REFRESH,
    REFRESH_LIFETIME,
    BadToken,
    Claims,
    Tokens,
)
from tertulia.server.auth.passwords import Passwords, Unfit, check_password, name_of, outdated
from tertulia.server.auth.providers import PasswordAuth, Unauthenticated, bearer, expired, viewer_of
from tertulia.server.auth.throttle import SignInThrottle, network_of

RemoveUser = Callable[[UUID], Awaitable[dict[str, int] | None]]

RESERVED = {skeleton("local")}
"""The user of the mode `local`: another user with this name would get its conversations."""
TRIES_OF_ADDRESS = Rate("sign-in from an address", "60/minute")
GUESTS_OF_ADDRESS = Rate("guests from an address", "20/hour")
REFRESH_GRACE = timedelta(seconds=60)
"""How long a used refresh token returns the same successor: a client may have lost the response (RFC 9700)."""

logger = logging.getLogger("tertulia.audit")


class BadGrant(Exception):
    """A refusal, with an error code of OAuth (RFC 6749, section 5.2)."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


class TooManyTries(Exception):
    """Too many attempts. The next one is possible after `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = math.ceil(seconds)
        super().__init__(f"Too many attempts. Try again in {self.seconds} seconds.")


@dataclass(frozen=True, slots=True)
class SignInTokens:
    """A signed-in user and their tokens."""

    user: User
    access: str
    refresh: str
    lasts_seconds: int = int(ACCESS_LIFETIME.total_seconds())


class SignIns:
    """Registration and sign-in with passwords."""

    def __init__(
        self,
        database: Database,
        tokens: Tokens,
        rates: Rates,
        throttle: SignInThrottle,
        authenticator: Authenticator,
        remove_user: RemoveUser,
        guests: Guests,
        *,
        open_to_all: bool,
    ) -> None:
        """Create the service.

        Args:
            database: The database of the accounts.
            tokens: Signs and verifies the tokens.
            rates: Counts attempts by address.
            throttle: Delays attempts after failed ones.
            authenticator: Closes the connections of users who have signed out.
            remove_user: Deletes a user and all their data. Returns the numbers of deleted items; None for no such user.
            guests: Moves the conversations of guests to accounts.
            open_to_all: Whether anyone may register.
        """
        self._database = database
        self._tokens = tokens
        self._rates = rates
        self._throttle = throttle
        self._authenticator = authenticator
        self._remove_user = remove_user
        self._guests = guests
        self._open = open_to_all
        self._passwords = Passwords()

    async def enter_as_guest(self, address: str, user_agent: str | None = None) -> SignInTokens:
        """Add a guest, and sign in. Raise TooManyTries if the address has had too many guests."""
        await self._check_rate(GUESTS_OF_ADDRESS, address)
        user = new_guest()
        async with self._database.write() as session:
            await accounts.add(session, user)
            await accounts.audit(session, Action.REGISTERED, user.id, address, issuer=str(user.issuer))
        return await self._start_sign_in(user, address, user_agent)

    async def register(
        self,
        name: str,
        password: str,
        address: str,
        guest_token: str | None = None,
        user_agent: str | None = None,
    ) -> SignInTokens:
        """Add an account, and sign in. With the token of a guest, the guest becomes the account.

        Raises:
            NotAGuest: The guest's token is not valid.
            Unfit: The name or the password is not allowed.
            BadGrant: Registration is closed, or the name is taken or looks like one that is.
            TooManyTries: The address has made more than 60 attempts in a minute.
        """
        if not self._open:
            raise BadGrant(
                "access_denied", "Registration is closed. Ask the operator of this server for an account.", 403
            )
        await self._check_rate(TRIES_OF_ADDRESS, address)
        name = name_of(name)
        check_password(password, name)
        skeleton_of_name = skeleton(name)
        guest = None if guest_token is None else await self._guests.of(guest_token)
        user = User(name=name, name_skeleton=skeleton_of_name, password_hash=await self._passwords.hash(password))
        if guest is not None:
            user.id = guest
        async with self._database.write() as session:
            if skeleton_of_name in RESERVED or not await _add(session, user, guest):
                raise BadGrant(
                    "invalid_request",
                    "`username` is taken, or looks like a name that is taken. Choose another one.",
                    409,
                )
            await accounts.audit(session, Action.REGISTERED, user.id, address)
        if guest is not None:
            self._authenticator.notify(viewer_of(user))
        return await self._start_sign_in(user, address, user_agent)

    async def sign_in(
        self,
        name: str,
        password: str,
        address: str,
        guest_token: str | None = None,
        user_agent: str | None = None,
    ) -> SignInTokens:
        """Sign in with a password. With the token of a guest, the account gets the guest's conversations.

        Raises:
            NotAGuest: The guest's token is not valid.
            BadGrant: The name or the password is wrong, and the error does not tell which; or the account is disabled.
            TooManyTries: Too many attempts have failed.
        """
        await self._check_rate(TRIES_OF_ADDRESS, address)
        try:
            canonical = name_of(name)
        except Unfit:
            raise _wrong_credentials() from None
        async with self._database.read() as session:
            user = await accounts.by_written_name(session, name)
        if not await self._verify(canonical, password, user, address) or user is None:
            await self._failed(user, address)
            raise _wrong_credentials()
        if user.password_hash is not None and outdated(user.password_hash):
            hashed = await self._passwords.hash(password)
            async with self._database.write() as session:
                await accounts.set_password(session, user.id, hashed)
        if user.disabled_at is not None:
            raise BadGrant("access_denied", "The account is disabled. Ask the operator of this server.", 403)
        guest = None if guest_token is None else await self._guests.of(guest_token, account=user.id)
        if guest is not None:
            await self._guests.claim(guest, user, address)
            self._authenticator.notify(StoredViewer(str(guest), "", user_id=guest, user_name=""))
        return await self._start_sign_in(user, address, user_agent)

    async def refresh(self, token: str, address: str) -> SignInTokens:
        """Exchange a refresh token. A reused one revokes the whole sign-in, because it may have been stolen.

        Raises:
            BadGrant: The token is invalid, has expired, or was used before.
        """
        claims = self._read(token, REFRESH)
        async with self._database.write() as session:
            expires_at = now() + REFRESH_LIFETIME
            newest = await accounts.rotate(session, claims.sign_in_id, claims.rotation, expires_at, REFRESH_GRACE)
            user = await accounts.signed_in(session, claims.sign_in_id)
            reused = user is not None and not newest
            if reused:
                await accounts.revoke(session, sign_in_id=claims.sign_in_id)
                await accounts.audit(session, Action.REFRESH_REUSED, claims.user_id, address)
        if user is None or reused:
            if user is not None:
                logger.warning("A refresh token of user %s was used twice, so its sign-in was revoked", user.id)
                self._authenticator.notify(viewer_of(user))
            raise _bad_refresh_token()
        return self._issue_tokens(user, claims.sign_in_id, claims.rotation + 1)

    async def revoke(self, token: str, address: str) -> None:
        """Revoke the sign-in of a token, and close its sockets (RFC 7009: an unknown token is no error)."""
        if token.startswith(PERSONAL):
            await self._revoke_personal(token, address)
            return
        claims = self._claims_or_none(token, REFRESH) or self._claims_or_none(token, ACCESS)
        if claims is None:
            return
        async with self._database.write() as session:
            user = await accounts.signed_in(session, claims.sign_in_id)
            if user is None or not await accounts.revoke(session, sign_in_id=claims.sign_in_id):
                return
            await accounts.audit(session, Action.SIGNED_OUT, user.id, address)
        self._authenticator.notify(viewer_of(user))

    async def change_password(
        self, authorization: str, password: str, new_password: str, address: str, user_agent: str | None = None
    ) -> SignInTokens:
        """Change the password, revoke all sign-ins, and sign in.

        Args:
            authorization: The `Authorization` header, with an access token.
            password: The current password.
            new_password: The new one.
            address: The address of the client.
            user_agent: The `User-Agent` of the client.

        Raises:
            Unauthenticated: The access token is invalid or has expired.
            BadGrant: The current password is wrong.
            Unfit: The new password is not allowed.
            TooManyTries: Too many attempts have failed.
        """
        user = await self._reauthenticate(authorization, password, address)
        try:
            check_password(new_password, user.name)
        except Unfit as unfit:
            raise Unfit("new_password", unfit.rule) from None
        hashed = await self._passwords.hash(new_password)
        async with self._database.write() as session:
            await accounts.set_password(session, user.id, hashed)
            await accounts.revoke(session, owner=user.id)
            await accounts.audit(session, Action.PASSWORD_CHANGED, user.id, address)
        self._authenticator.notify(viewer_of(user))
        return await self._start_sign_in(user, address, user_agent)

    async def delete(self, authorization: str, password: str, address: str) -> dict[str, int]:
        """Delete the account and all its data.

        Returns:
            The number of deleted items of each kind.

        Raises:
            Unauthenticated: The access token is invalid or has expired.
            BadGrant: The password is wrong.
            TooManyTries: Too many attempts have failed.
        """
        user = await self._reauthenticate(authorization, password, address)
        counts = await self._remove_user(user.id)
        if counts is None:
            raise expired()
        self._authenticator.notify(viewer_of(user))
        return counts

    async def _reauthenticate(self, authorization: str, password: str, address: str) -> User:
        """Return the user of a request that needs an access token and the current password."""
        if bearer(authorization).startswith(PERSONAL):
            raise Unauthenticated("A personal access token does not allow this. Use an access token.", token_sent=True)
        viewer = (await PasswordAuth(self._database, self._tokens).of_header(authorization)).viewer
        await self._check_rate(TRIES_OF_ADDRESS, address)
        async with self._database.read() as session:
            user = await accounts.by_id(session, viewer.user_id)
        if user is None:
            raise expired()
        if not await self._verify(user.name, password, user, address):
            raise BadGrant("invalid_grant", "`password` must be the current password.")
        return user

    async def _verify(self, name: str, password: str, user: User | None, address: str) -> bool:
        """Return whether the password is correct, after a delay that grows with failures. Raise TooManyTries."""
        seconds = await self._throttle.wait(name, address)
        if seconds > 0:
            raise TooManyTries(seconds)
        await self._throttle.delay(name)
        is_correct = await self._passwords.verify(password, user.password_hash if user else None)
        if is_correct:
            await self._throttle.succeeded(name, address)
        else:
            await self._throttle.failed(name, address)
        return is_correct

    async def _start_sign_in(self, user: User, address: str, user_agent: str | None) -> SignInTokens:
        device = user_agent and clean_text(user_agent)[:LONGEST_USER_AGENT]
        async with self._database.write() as session:
            sign_in = await accounts.begin_sign_in(session, user.id, now() + REFRESH_LIFETIME, device)
            await accounts.forget_ended(session, now() - REFRESH_LIFETIME)
            await accounts.audit(session, Action.SIGNED_IN, user.id, address)
        return self._issue_tokens(user, sign_in.id, sign_in.rotation)

    def _issue_tokens(self, user: User, sign_in_id: UUID, rotation: int) -> SignInTokens:
        tokens = self._tokens
        return SignInTokens(user, tokens.access(user.id, sign_in_id), tokens.refresh(user.id, sign_in_id, rotation))

    async def _failed(self, user: User | None, address: str) -> None:
        logger.warning("A sign-in from %s failed: wrong username or password", address)
        async with self._database.write() as session:
            await accounts.audit(session, Action.SIGN_IN_FAILED, user.id if user else None, address)

    async def _revoke_personal(self, token: str, address: str) -> None:
        async with self._database.write() as session:
            owner = await accounts.remove_digest(session, digest_of(token))
            if owner is None:
                return
            await accounts.audit(session, Action.TOKEN_REVOKED, owner.id, address)
        self._authenticator.notify(viewer_of(owner))

    async def _check_rate(self, rate: Rate, key: str) -> None:
        seconds = await self._rates.hit(rate, network_of(key))
        if seconds is not None:
            raise TooManyTries(seconds)

    def _claims_or_none(self, token: str, kind: str) -> Claims | None:
        try:
            return self._tokens.read(token, kind)
        except BadToken:
            return None

    def _read(self, token: str, kind: str) -> Claims:
        claims = self._claims_or_none(token, kind)
        if claims is None:
            raise _bad_refresh_token()
        return claims


async def _add(session: AsyncSession, user: User, guest: UUID | None) -> bool:
    """Add an account, or turn a guest into it. Return False if the name is taken."""
    if guest is None:
        return await accounts.add(session, user)
    if not await guests.convert(session, guest, user):
        return False
    await accounts.revoke(session, owner=guest)
    return True


def _wrong_credentials() -> BadGrant:
    return BadGrant("invalid_grant", "The username or the password is wrong.")


def _bad_refresh_token() -> BadGrant:
    return BadGrant("invalid_grant", "The refresh token is invalid or has expired. Sign in again.")
