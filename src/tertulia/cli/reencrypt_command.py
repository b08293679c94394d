"""`tertulia reencrypt`: encrypt the stored tokens of tool servers with the newest key."""

from typing import TYPE_CHECKING

from tertulia.cli.running import prepare_database, print_result, read_settings

if TYPE_CHECKING:
    from tertulia.server.settings import Settings


def reencrypt() -> None:
    """Encrypt the stored tokens of MCP servers with OAuth with the newest key. Servers can keep running."""
    settings = read_settings()
    prepare_database(settings, migrates=False)
    print_result(_reencrypt(settings))


async def _reencrypt(settings: "Settings") -> str:
    from tertulia.cli.users import CommandError
    from tertulia.db.database import Database
    from tertulia.server.secret_keys import encryption_keys
    from tertulia.tools.mcp.oauth.encryption import Encryption
    from tertulia.tools.mcp.oauth.reencryption import reencrypt as reencrypt_all

    encryption = Encryption(encryption_keys(settings))
    database = Database(settings.database_url)
    try:
        done = await reencrypt_all(database, encryption)
    finally:
        await database.close()
    summary = f"Encrypted {done.changed} of {done.total} stored values with the newest key"
    if done.unreadable:
        # The former key is not among the keys: with only the newest one, these users must connect again.
        raise CommandError(f"{summary}. No key can decrypt {done.unreadable}; add the key that encrypted them.")
    return f"{summary}; the others already were."
