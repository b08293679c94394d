"""What operators do with users and tokens, straight on the storage: `tertulia user` and `tertulia token`."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from uuid import UUID, uuid4

from tertulia.attachments.files import Files
from tertulia.db import accounts
from tertulia.db.blobs import Blobs
from tertulia.db.database import Database
from tertulia.db.identities import Action, PersonalToken
from tertulia.db.names import skeleton
from tertulia.db.tables import User, now
from tertulia.generation.retention import ResourceDeleter
from tertulia.server.auth.authenticator import EVERYBODY, SIGNED_OUT
from tertulia.server.auth.jwt import digest_of, new_personal_token
from tertulia.server.auth.passwords import Passwords, Unfit, check_password, name_of
from tertulia.server.opening import connect, open_log
from tertulia.server.settings import Settings


class CommandError(Exception):
    """What cannot be done, in one line."""


async def add(settings: Settings, name: str, password: str | None) -> str:
    """Make an account; a password is made where none is given. A user who has none yet gets it."""
    name, chosen = _checked(name, password)
    hashed = await Passwords().hash(chosen)
    async with _opened(settings) as database, database.write() as session:
        user = User(name=name, name_skeleton=skeleton(name), password_hash=hashed)
        if not await accounts.add(session, user):
            found = await accounts.by_name(session, name)
            if found is None:
                raise CommandError(f"NAME: {name} looks like the name of another user; see `tertulia user list`.")
            if found.password_hash is not None:
                raise CommandError(f"NAME: there is a user of the name {name} already; see `tertulia user password`.")
            # Whoever used the mode `local` goes on with what is there.
            await accounts.set_password(session, found.id, hashed)
            user = found
        await accounts.audit(session, Action.REGISTERED, user.id)
    return f"Added {name}." + ("" if password else f" The password is {chosen}")


async def change(settings: Settings, name: str, password: str | None) -> str:
    """Set a password, and end all sign-ins."""
    async with _opened(settings) as database:
        user = await _user(database, name)
        chosen = _checked_password(user.name, password)
        hashed = await Passwords().hash(chosen)
        async with database.write() as session:
            await accounts.set_password(session, user.id, hashed)
            await accounts.revoke(session, owner=user.id)
            await accounts.audit(session, Action.PASSWORD_CHANGED, user.id)
    await _ring(settings, user.id)
    return f"Changed the password of {user.name}." + ("" if password else f" It is {chosen}")


async def everybody(settings: Settings) -> str:
    """List all users: id, name, and how they come in."""
    async with _opened(settings) as database, database.read() as session:
        found = await accounts.everybody(session)
    return "\n".join(f"{one.id}  {one.name}  {_way_in(one)}" for one in found) or "There are no users."


async def remove(settings: Settings, name: str) -> str:
    """Delete a user with all that is theirs, also outside of the database."""
    async with _opened(settings) as database:
        user = await _user(database, name)
        counted = await _remove_user(settings, database, user.id)
        if counted is None:
            raise CommandError(f"NAME: {name} is gone already.")
    await _ring(settings, user.id)
    return f"Deleted {user.name} and all that was theirs: {told(counted)}."


async def _remove_user(settings: Settings, database: Database, user_id: UUID) -> dict[str, int] | None:
    async with AsyncExitStack() as stack:
        log, _, _ = await open_log(settings, uuid4(), stack, alone=False)
        claude = await connect(settings, stack)
        stack.push_async_callback(claude.close)
        blobs = Blobs(settings.attachments_place)
        files = Files(database, blobs, claude, files_api=settings.files_api and not settings.simulated)
        return await ResourceDeleter(database, log, files).remove_user(user_id)


def told(counted: dict[str, int]) -> str:
    """Say in words how much was removed."""
    return ", ".join(f"{number} {name}" for name, number in counted.items())


async def make_token(settings: Settings, name: str, label: str, days: float | None) -> str:
    """Make a personal access token, and give it."""
    made = new_personal_token()
    async with _opened(settings) as database:
        user = await _user(database, name)
        expires_at = None if days is None else now() + timedelta(days=days)
        token = PersonalToken(owner_id=user.id, label=label[:100], digest=digest_of(made), expires_at=expires_at)
        async with database.write() as session:
            await accounts.add_token(session, token)
            await accounts.audit(session, Action.TOKEN_CREATED, user.id, token=str(token.id))
    return made


async def list_tokens(settings: Settings, name: str) -> str:
    """List a user's tokens: id, label, when it was made and until when it is good."""
    async with _opened(settings) as database:
        user = await _user(database, name)
        async with database.read() as session:
            found = await accounts.tokens_of(session, user.id)
    lines = [f"{one.id}  {one.label}  made {one.created_at:%Y-%m-%d}  {_until(one)}" for one in found]
    return "\n".join(lines) or f"{user.name} has no tokens."


async def revoke_token(settings: Settings, name: str, id: str) -> str:
    """End a token, and close its sockets."""
    async with _opened(settings) as database:
        user = await _user(database, name)
        async with database.write() as session:
            if not await accounts.remove_token(session, user.id, _uuid(id)):
                raise CommandError(f"--revoke: {user.name} has no token {id}; see --list.")
            await accounts.audit(session, Action.TOKEN_REVOKED, user.id, token=id)
    await _ring(settings, user.id)
    return "Revoked."


async def revoke_everything(settings: Settings, name: str | None) -> str:
    """End all sign-ins and personal access tokens of a user, or of everybody where no name is given."""
    async with _opened(settings) as database:
        owner = None if name is None else (await _user(database, name)).id
        async with database.write() as session:
            ended = await accounts.revoke_everything(session, owner)
            detail = {"sign_ins": str(ended.sign_ins), "tokens": str(ended.tokens)}
            await accounts.audit(session, Action.EVERYTHING_REVOKED, owner, **detail)
    await _ring(settings, owner or EVERYBODY)
    text = f"Ended {ended.sign_ins} sign-ins and {ended.tokens} personal access tokens of {name or 'all users'}."
    if settings.auth == "oidc":
        text += " Tokens of the identity provider are good until they expire: end them there."
    if settings.auth != "local" and settings.redis_url is None:
        text += " Sockets that are open close within a minute."
    return text


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncGenerator[Database]:
    database = Database(settings.database_url)
    try:
        yield database
    finally:
        await database.close()


async def _user(database: Database, name: str) -> User:
    async with database.read() as session:
        found = await accounts.by_written_name(session, name)
    if found is None:
        raise CommandError(f"NAME: there is no user of the name {name!r}; see `tertulia user list`.")
    return found


async def _ring(settings: Settings, user_id: UUID) -> None:
    """Let running servers look again at the user's sockets; without Redis they do within a minute."""
    if settings.redis_url is not None:
        from tertulia.streams.redis.log import RedisLog

        log = RedisLog(settings.redis_url, uuid4())
        await log.start()
        log.send(SIGNED_OUT, user_id)
        await log.close()


def _checked(name: str, password: str | None) -> tuple[str, str]:
    try:
        name = name_of(name)
    except Unfit as unfit:
        raise CommandError(str(unfit)) from None
    return name, _checked_password(name, password)


def _checked_password(name: str, password: str | None) -> str:
    chosen = password or secrets.token_urlsafe(12)
    try:
        check_password(chosen, name)
    except Unfit as unfit:
        raise CommandError(str(unfit)) from None
    return chosen


def _way_in(user: User) -> str:
    if user.password_hash is not None:
        return "password"
    return f"from {user.issuer}" if user.issuer else "no password"


def _until(token: PersonalToken) -> str:
    return "for good" if token.expires_at is None else f"until {token.expires_at:%Y-%m-%d}"


def _uuid(id: str) -> UUID:
    try:
        return UUID(id)
    except ValueError:
        raise CommandError(f"--revoke: {id} is no id of a token; see --list.") from None
