"""`tertulia user disable --from-file`: disable the users of a list, such as those who have left a company."""

import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from tertulia.cli.users import CommandError, notify_servers, open_users
from tertulia.db import accounts
from tertulia.db.database import AsyncSession
from tertulia.db.identities import Action
from tertulia.db.tables import User
from tertulia.json import clean_text
from tertulia.server.settings import Settings


def read_list(file: Path) -> list[str]:
    """Return the lines of a file, or of standard input for `-`, without empty ones and comments. Raise CommandError."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not encoded in UTF-8"
        raise CommandError(f"--from-file: cannot read {file}: {reason}.") from None
    lines = dict.fromkeys(clean_text(line).strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


async def disable_listed(settings: Settings, listed: Sequence[str]) -> str:
    """Disable users, and return how many were disabled, were disabled before, and are not known.

    Args:
        settings: The settings of the server.
        listed: A name, an id at the identity provider or an id of this server for each user.
    """
    if settings.auth == "local":
        raise CommandError("--from-file: with TERTULIA_AUTH=local there is only one user, who cannot be disabled.")
    disabled, known = list[User](), 0
    async with open_users(settings) as database:
        for entry in listed:
            async with database.write() as session:
                user = await _find(session, entry, settings.oidc_issuer)
                known += user is not None
                if user is not None and user.disabled_at is None:
                    await accounts.set_disabled(session, user.id, disabled=True)
                    await accounts.audit(session, Action.USER_DISABLED, user.id)
                    disabled.append(user)
    for user in disabled:
        await notify_servers(settings, user.id)
    names = "".join(f"\n  {user.name}" for user in disabled)
    before, unknown = known - len(disabled), len(listed) - known
    return f"Disabled {len(disabled)} users; {before} were disabled before, and {unknown} are not users here.{names}"


async def _find(session: AsyncSession, entry: str, issuer: str | None) -> User | None:
    # The id at the provider comes first: users can choose their names.
    user = None if issuer is None else await accounts.by_subject(session, issuer, entry)
    if user is not None:
        return user
    try:
        user = await accounts.by_id(session, UUID(entry))
    except ValueError:
        user = None
    return user or await accounts.by_written_name(session, entry)
