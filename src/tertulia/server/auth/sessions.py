"""Accounts with passwords: registering, signing in, going on, signing out; each with its line in the audit log."""

import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from tertulia.db import accounts
from tertulia.db.database import Database
from tertulia.db.identities import Action
from tertulia.db.names import skeleton
from tertulia.db.tables import User, now
from tertulia.ratelimit.limits import Rate, Rates
from tertulia.server.auth.authenticator import Authenticator
from tertulia.server.auth.jwt import (
    ACCESS,
    ACCESS_LIFETIME,
    PERSONAL,
    REFRESH,
    REFRESH_LIFETIME,
    BadToken,
    Claims,
    Tokens,
    digest_of,
)
from tertulia.server.auth.passwords import Passwords, Unfit, check_password, name_of, outdated
from tertulia.server.auth.providers import PasswordAuth, Unauthenticated, bearer, expired, viewer_of
from tertulia.server.auth.throttle import SignInThrottle, network_of

RemoveUser = Callable[[UUID], Awaitable[dict[str, int] | None]]

RESERVED = {skeleton("local")}
"""The user of the mode `local`: whoever took the name would read what is there."""
TRIES_OF_ADDRESS = Rate("sign-in from an address", "60/minute")
REFRESH_GRACE = timedelta(seconds=60)
"""How long a refresh token is good for the same successor again: a phone may have lost the response (RFC 9700)."""

logger = logging.getLogger("tertulia.audit")


class BadGrant(Exception):
    """A sign-in that is refused, in OAuth's words (RFC 6749, section 5.2)."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        """Take the code, a sentence, and the status."""
        super().__init__(message)
        self.code, self.status = code, status


class TooManyTries(Exception):
    """Somebody guesses."""

    def __init__(self, seconds: float) -> None:
        """Say when to try again."""
        super().__init__("Too many tries; wait a little.")
        self.seconds = math.ceil(seconds)


@dataclass(frozen=True, slots=True)
class Signed:
    """Who has signed in, and the tokens of it."""

    user: User
    access: str
    refresh: str
    lasts_seconds: int = int(ACCESS_LIFETIME.total_seconds())


class SignIns:
    """Lets people with passwords in."""

    def __init__(
        self,
        database: Database,
        tokens: Tokens,
        rates: Rates,
        throttle: SignInThrottle,
        authenticator: Authenticator,
        remove_user: RemoveUser,
        *,
        open_to_all: bool,
    ) -> None:
        """Take the parts, and what removes a user with everything; `open_to_all`: anybody may register."""
        self._database = database
        self._tokens = tokens
        self._rates = rates
        self._throttle = throttle
        self._authenticator = authenticator
        self._remove_user = remove_user
        self._open = open_to_all
        self._passwords = Passwords()

    async def register(self, name: str, password: str, address: str) -> Signed:
        """Make an account and sign in; raise Unfit, BadGrant where that is closed or the name is taken."""
        if not self._open:
            raise BadGrant("access_denied", "Registration is closed here: ask who runs this server.", 403)
        await self._slow_down(TRIES_OF_ADDRESS, address)
        name = name_of(name)
        check_password(password, name)
        look = skeleton(name)
        user = User(name=name, name_skeleton=look, password_hash=await self._passwords.hash(password))
        async with self._database.write() as session:
            if look in RESERVED or not await accounts.add(session, user):
                raise BadGrant("invalid_request", "username: is taken, or looks like a name that is.", 409)
            await accounts.audit(session, Action.REGISTERED, user.id, address)
        return await self._begin(user, address)

    async def sign_in(self, name: str, password: str, address: str) -> Signed:
        """Sign in; raise BadGrant, which says as much of an unknown name as of a wrong password."""
        await self._slow_down(TRIES_OF_ADDRESS, address)
        try:
            canonical = name_of(name)
        except Unfit:
            raise _wrong() from None
        async with self._database.read() as session:
            user = await accounts.by_written_name(session, name)
        if not await self._verify(canonical, password, user, address) or user is None:
            await self._failed(user, address)
            raise _wrong()
        if user.password_hash is not None and outdated(user.password_hash):
            hashed = await self._passwords.hash(password)
            async with self._database.write() as session:
                await accounts.set_password(session, user.id, hashed)
        return await self._begin(user, address)

    async def refresh(self, token: str, address: str) -> Signed:
        """Exchange a refresh token; one that was exchanged before ends the whole sign-in, as it may be stolen."""
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
                logger.warning("A refresh token of user %s was used twice; its sign-in is ended", user.id)
                self._authenticator.notify(viewer_of(user))
            raise BadGrant("invalid_grant", "The refresh token is not good, or no longer: sign in again.")
        return self._signed(user, claims.sign_in_id, claims.rotation + 1)

    async def revoke(self, token: str, address: str) -> None:
        """End what a token belongs to, if anything, and close its sockets (RFC 7009: an unknown token is no error)."""
        if token.startswith(PERSONAL):
            await self._revoke_personal(token, address)
            return
        claims = next((found for kind in (REFRESH, ACCESS) if (found := self._known(token, kind))), None)
        if claims is None:
            return
        async with self._database.write() as session:
            user = await accounts.signed_in(session, claims.sign_in_id)
            if user is None or not await accounts.revoke(session, sign_in_id=claims.sign_in_id):
                return
            await accounts.audit(session, Action.SIGNED_OUT, user.id, address)
        self._authenticator.notify(viewer_of(user))

    async def change_password(self, authorization: str, password: str, new: str, address: str) -> Signed:
        """Change it, end all sign-ins, and begin a new one; raise Unauthenticated, BadGrant, Unfit."""
        user = await self._again(authorization, password, address)
        try:
            check_password(new, user.name)
        except Unfit as unfit:
            raise Unfit("new_password", str(unfit).partition(": ")[2]) from None
        hashed = await self._passwords.hash(new)
        async with self._database.write() as session:
            await accounts.set_password(session, user.id, hashed)
            await accounts.revoke(session, owner=user.id)
            await accounts.audit(session, Action.PASSWORD_CHANGED, user.id, address)
        self._authenticator.notify(viewer_of(user))
        return await self._begin(user, address)

    async def delete(self, authorization: str, password: str, address: str) -> dict[str, int]:
        """Delete the account with all that is theirs, and say how much that was; raise Unauthenticated, BadGrant."""
        user = await self._again(authorization, password, address)
        counted = await self._remove_user(user.id)
        if counted is None:
            raise expired()
        self._authenticator.notify(viewer_of(user))
        return counted

    async def _again(self, authorization: str, password: str, address: str) -> User:
        """Give who asks for what needs their password once more."""
        if bearer(authorization).startswith(PERSONAL):
            raise Unauthenticated("A personal access token cannot do that: sign in.", given=True)
        viewer = (await PasswordAuth(self._database, self._tokens).of_header(authorization)).viewer
        await self._slow_down(TRIES_OF_ADDRESS, address)
        async with self._database.read() as session:
            user = await accounts.by_id(session, viewer.user_id)
        if user is None:
            raise expired()
        if not await self._verify(user.name, password, user, address):
            raise BadGrant("invalid_grant", "password: is not the present one.")
        return user

    async def _verify(self, name: str, password: str, user: User | None, address: str) -> bool:
        """Return whether the password is the user's; the more often a name fails, the later. Raise TooManyTries."""
        seconds = await self._throttle.wait(name, address)
        if seconds > 0:
            raise TooManyTries(seconds)
        await self._throttle.delay(name)
        right = await self._passwords.verify(password, user.password_hash if user else None)
        if right:
            await self._throttle.succeeded(name, address)
        else:
            await self._throttle.failed(name, address)
        return right

    async def _begin(self, user: User, address: str) -> Signed:
        async with self._database.write() as session:
            begun = await accounts.begin_sign_in(session, user.id, now() + REFRESH_LIFETIME)
            await accounts.forget_ended(session, now() - REFRESH_LIFETIME)
            await accounts.audit(session, Action.SIGNED_IN, user.id, address)
        return self._signed(user, begun.id, begun.rotation)

    def _signed(self, user: User, sign_in_id: UUID, rotation: int) -> Signed:
        tokens = self._tokens
        return Signed(user, tokens.access(user.id, sign_in_id), tokens.refresh(user.id, sign_in_id, rotation))

    async def _failed(self, user: User | None, address: str) -> None:
        logger.warning("A sign-in failed, from %s", address)
        async with self._database.write() as session:
            await accounts.audit(session, Action.SIGN_IN_FAILED, user.id if user else None, address)

    async def _revoke_personal(self, token: str, address: str) -> None:
        async with self._database.write() as session:
            owner = await accounts.remove_digest(session, digest_of(token))
            if owner is None:
                return
            await accounts.audit(session, Action.TOKEN_REVOKED, owner.id, address)
        self._authenticator.notify(viewer_of(owner))

    async def _slow_down(self, rate: Rate, key: str) -> None:
        seconds = await self._rates.hit(rate, network_of(key))
        if seconds is not None:
            raise TooManyTries(seconds)

    def _known(self, token: str, kind: str) -> Claims | None:
        try:
            return self._tokens.read(token, kind)
        except BadToken:
            return None

    def _read(self, token: str, kind: str) -> Claims:
        claims = self._known(token, kind)
        if claims is None:
            raise BadGrant("invalid_grant", "The refresh token is not good, or no longer: sign in again.")
        return claims


def _wrong() -> BadGrant:
    return BadGrant("invalid_grant", "The username or the password is wrong.")
