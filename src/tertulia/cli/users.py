"""`tertulia user` and `tertulia token`: manage users and tokens directly in the database."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from uuid import UUID, uuid4

from tertulia.attachments.files import Files
from tertulia.db import accounts
from tertulia.db.blobs import Blobs
from tertulia.db.credentials import digest_of, new_personal_token
from tertulia.db.database import Database
from tertulia.db.guests import ISSUER as GUEST
from tertulia.db.identities import Action, PersonalToken
from tertulia.db.names import skeleton
from tertulia.db.tables import User, now
from tertulia.generation.retention import ResourceDeleter
from tertulia.json import clean_text
from tertulia.ratelimit.plans import DEFAULT
from tertulia.resolvers.credentials import SIGNED_OUT
from tertulia.server.auth.authenticator import EVERYBODY
from tertulia.server.auth.passwords import Passwords, Unfit, check_password, name_of
from tertulia.server.auth.token_uses import MAX_GROUP
from tertulia.server.opening import connect, open_log
from tertulia.server.outbox.opening import open_database
from tertulia.server.plan_file import check_plans
from tertulia.server.settings import Settings


class CommandError(Exception):
    """A command failed. The message is the reason, in one line."""


async def add(settings: Settings, name: str, password: str | None) -> str:
    """Add an account, or set the password of a user who has none.

    Args:
        settings: The settings of the server.
        name: The name that the user signs in with.
        password: The password; if None or empty, one is generated and is part of the result.

    Returns:
        A message for the operator.

    Raises:
        CommandError: If the name or the password is not acceptable, or the name is taken.
    """
    name, new_password = _require_account(name, password)
    hashed = await Passwords().hash(new_password)
    async with open_users(settings) as database, database.write() as session:
        user = User(name=name, name_skeleton=skeleton(name), password_hash=hashed)
        if not await accounts.add(session, user):
            existing = await accounts.by_name(session, name)
            if existing is None:
                raise CommandError(f"NAME: {name} looks like the name of another user; see `tertulia user list`.")
            if existing.password_hash is not None:
                raise CommandError(
                    f"NAME: the user {name} already exists. To change the password, use `tertulia user password`."
                )
            # The user of the mode `local` keeps their data when the server changes to the mode `password`.
            await accounts.set_password(session, existing.id, hashed)
            user = existing
        await accounts.audit(session, Action.REGISTERED, user.id)
    return f"Added {name}." + ("" if password else f" The password is {new_password}")


async def change_password(settings: Settings, name: str, password: str | None) -> str:
    """Set a user's password, and revoke all their sign-ins."""
    async with open_users(settings) as database:
        user = await _user(database, name)
        new_password = _require_password(user.name, password)
        hashed = await Passwords().hash(new_password)
        async with database.write() as session:
            await accounts.set_password(session, user.id, hashed)
            await accounts.revoke(session, owner=user.id)
            await accounts.audit(session, Action.PASSWORD_CHANGED, user.id)
    await notify_servers(settings, user.id)
    return f"Changed the password of {user.name}." + ("" if password else f" It is {new_password}")


async def describe_users(settings: Settings) -> str:
    """Return a line for each user: id, name, sign-in method, assigned plan and role, and whether it is disabled."""
    async with open_users(settings) as database, database.read() as session:
        users = await accounts.all_users(session)
    lines = [f"{user.id}  {user.name}  {_sign_in_method(user)}{_state(user)}" for user in users]
    return "\n".join(lines) or "There are no users."


async def describe_plan(settings: Settings, name: str) -> str:
    """Return the plan that is assigned to a user."""
    async with open_users(settings) as database:
        user = await _user(database, name)
    return f"{user.name} has the plan {user.plan}." if user.plan else f"{user.name} has no assigned plan."


async def set_plan(settings: Settings, name: str, plan: str | None) -> str:
    """Assign a plan to a user; None for that of their claims, or the default one."""
    names = [DEFAULT, *check_plans(settings)]
    if plan is not None and settings.plans is None:
        raise CommandError("PLAN: there are no plans. Set TERTULIA_PLANS to a file of plans.")
    if plan is not None and plan not in names:
        raise CommandError(f"PLAN: must be one of {', '.join(dict.fromkeys(names))}, not {plan!r}.")
    async with open_users(settings) as database:
        user = await _user(database, name)
        async with database.write() as session:
            await accounts.set_plan(session, user.id, plan)
            await accounts.audit(session, Action.PLAN_CHANGED, user.id, plan=plan or "")
    await notify_servers(settings, user.id)
    return f"{user.name} now has the plan {plan}." if plan else f"{user.name} now has no assigned plan."


async def set_group(settings: Settings, name: str, group: str | None) -> str:
    """Set the group of a user in reports of usage, or remove it if `group` is None."""
    group = None if group is None else clean_text(group).strip()
    if group is not None and not 1 <= len(group) <= MAX_GROUP:
        raise CommandError(f"GROUP: must have 1 to {MAX_GROUP} characters.")
    async with open_users(settings) as database:
        user = await _user(database, name)
        async with database.write() as session:
            await accounts.set_usage_group(session, user.id, group)
    return f"{user.name} now has the group {group}." if group else f"{user.name} now has no group."


async def set_role(settings: Settings, name: str, role: str | None) -> str:
    """Assign the role of operators to a user, or remove it if `role` is None."""
    async with open_users(settings) as database:
        user = await _user(database, name)
        if role is not None and user.issuer == GUEST:
            raise CommandError(f"NAME: {user.name} is a guest, and guests have no roles.")
        async with database.write() as session:
            await accounts.set_role(session, user.id, role)
            await accounts.audit(session, Action.ROLE_CHANGED, user.id, role=role or "")
    await notify_servers(settings, user.id)
    return f"{user.name} now has the role {role}." if role else f"{user.name} now has no assigned role."


async def set_disabled(settings: Settings, name: str, *, disabled: bool) -> str:
    """Disable a user, whose sign-ins end and whose tokens stop working; or enable a user again."""
    if settings.auth == "local":
        raise CommandError("NAME: with TERTULIA_AUTH=local there is only one user, who cannot be disabled.")
    async with open_users(settings) as database:
        user = await _user(database, name)
        async with database.write() as session:
            await accounts.set_disabled(session, user.id, disabled=disabled)
            await accounts.audit(session, Action.USER_DISABLED if disabled else Action.USER_ENABLED, user.id)
    await notify_servers(settings, user.id)
    return f"{user.name} is disabled." if disabled else f"{user.name} is enabled."


async def remove(settings: Settings, name: str) -> str:
    """Delete a user with all their data, in the database and outside of it."""
    async with open_users(settings) as database:
        user = await _user(database, name)
        counts = await _remove_user(settings, database, user.id)
        if counts is None:
            raise CommandError(f"NAME: {name} has already been deleted.")
    await notify_servers(settings, user.id)
    return f"Deleted {user.name} and all their data: {describe_counts(counts)}."


async def _remove_user(settings: Settings, database: Database, user_id: UUID) -> dict[str, int] | None:
    async with AsyncExitStack() as stack:
        log, _, _ = await open_log(settings, uuid4(), stack, alone=False)
        claude = await connect(settings, stack)
        blobs = Blobs(settings.attachments_place)
        files = Files(database, blobs, claude, files_api=settings.files_api and not settings.simulated)
        return await ResourceDeleter(database, log, files).remove_user(user_id)


def describe_counts(counts: dict[str, int]) -> str:
    """Return the numbers of deleted items as text: `2 messages, 1 calls`."""
    return ", ".join(f"{number} {name}" for name, number in counts.items())


async def make_token(settings: Settings, name: str, label: str, days: float | None) -> str:
    """Create a personal access token and return it.

    Args:
        settings: The settings of the server.
        name: The name of the user.
        label: A note about the purpose of the token; cut to 100 characters.
        days: The days until the token expires, or None if it does not expire.
    """
    token = new_personal_token()
    async with open_users(settings) as database:
        user = await _user(database, name)
        expires_at = None if days is None else now() + timedelta(days=days)
        row = PersonalToken(owner_id=user.id, label=label[:100], digest=digest_of(token), expires_at=expires_at)
        async with database.write() as session:
            await accounts.add_token(session, row)
            await accounts.audit(session, Action.TOKEN_CREATED, user.id, token=str(row.id))
    return token


async def list_tokens(settings: Settings, name: str) -> str:
    """Return a line for each token of a user: id, label, creation and expiry."""
    async with open_users(settings) as database:
        user = await _user(database, name)
        async with database.read() as session:
            tokens = await accounts.tokens_of(session, user.id)
    lines = [f"{token.id}  {token.label}  created {token.created_at:%Y-%m-%d}  {_expiry(token)}" for token in tokens]
    return "\n".join(lines) or f"{user.name} has no tokens."


async def revoke_token(settings: Settings, name: str, id: str) -> str:
    """Revoke a token, and close the WebSockets that were opened with it."""
    async with open_users(settings) as database:
        user = await _user(database, name)
        async with database.write() as session:
            if not await accounts.remove_token(session, user.id, _uuid(id)):
                raise CommandError(f"--revoke: {user.name} has no token with the id {id}. List them with --list.")
            await accounts.audit(session, Action.TOKEN_REVOKED, user.id, token=id)
    await notify_servers(settings, user.id)
    return "Revoked."


async def revoke_everything(settings: Settings, name: str | None) -> str:
    """Revoke all sign-ins and personal access tokens of a user, or of all users if `name` is None."""
    async with open_users(settings) as database:
        owner = None if name is None else (await _user(database, name)).id
        async with database.write() as session:
            revoked = await accounts.revoke_everything(session, owner)
            detail = {"sign_ins": str(revoked.sign_ins), "tokens": str(revoked.tokens)}
            await accounts.audit(session, Action.EVERYTHING_REVOKED, owner, **detail)
    await notify_servers(settings, owner or EVERYBODY)
    text = f"Revoked {revoked.sign_ins} sign-ins and {revoked.tokens} personal access tokens of {name or 'all users'}."
    if settings.auth == "oidc":
        text += " Tokens of the identity provider that were issued before are refused; the provider may issue new ones."
    if settings.auth != "local" and settings.redis_url is None:
        text += " Open WebSockets are closed within a minute."
    return text


@asynccontextmanager
async def open_users(settings: Settings) -> AsyncGenerator[Database]:
    """Open the database of the settings."""
    database = open_database(settings)
    try:
        yield database
    finally:
        await database.close()


async def _user(database: Database, name: str) -> User:
    async with database.read() as session:
        user = await accounts.by_written_name(session, name)
    if user is None:
        raise CommandError(f"NAME: there is no user named {name!r}; see `tertulia user list`.")
    return user


async def notify_servers(settings: Settings, user_id: UUID) -> None:
    """Make running servers check the user's WebSockets again. Without Redis, they do so within a minute."""
    if settings.redis_url is not None:
        from tertulia.streams.redis.log import RedisLog

        log = RedisLog(settings.redis_url, uuid4())
        await log.start()
        log.send(SIGNED_OUT, user_id)
        await log.close()


def _require_account(name: str, password: str | None) -> tuple[str, str]:
    try:
        name = name_of(name)
    except Unfit as error:
        raise CommandError(str(error)) from None
    return name, _require_password(name, password)


def _require_password(name: str, password: str | None) -> str:
    password = password or secrets.token_urlsafe(12)
    try:
        check_password(password, name)
    except Unfit as error:
        raise CommandError(str(error)) from None
    return password


def _sign_in_method(user: User) -> str:
    if user.password_hash is not None:
        return "password"
    return f"from {user.issuer}" if user.issuer else "no password"


def _state(user: User) -> str:
    plan, role = (f"  {name} {value}" if value else "" for name, value in (("plan", user.plan), ("role", user.role)))
    return plan + role + ("  disabled" if user.disabled_at else "")


def _expiry(token: PersonalToken) -> str:
    return "does not expire" if token.expires_at is None else f"expires {token.expires_at:%Y-%m-%d}"


def _uuid(id: str) -> UUID:
    try:
        return UUID(id)
    except ValueError:
        raise CommandError(f"--revoke: {id!r} is not the id of a token. List them with --list.") from None
