"""The keys that sign tokens and encrypt the connections of users. docs/rotation.md describes how they are changed."""

import os
import secrets

from tertulia.server.environment import WrongSetting
from tertulia.server.setting_values import SECRET_NEEDED, keys_of
from tertulia.server.settings import Settings, database_file


def signing_keys(settings: Settings) -> list[str]:
    """Return the key that signs tokens, and then `TERTULIA_SECRET_KEY_FALLBACK`, whose tokens are accepted as well.

    They are two settings, and not a list, because a key may contain commas.

    Raises:
        WrongSetting: `TERTULIA_SECRET_KEY` is not set, and the database is not SQLite.
    """
    fallback = settings.secret_key_fallback
    return [_secret_of(settings), *([] if fallback is None else [fallback.get_secret_value()])]


def encryption_keys(settings: Settings) -> list[str]:
    """Return the keys of the connections of users, the one that encrypts first: by default the keys that sign.

    Raises:
        WrongSetting: Neither key is set, and the database is not SQLite.
    """
    key = settings.encryption_key
    return signing_keys(settings) if key is None else keys_of(key)


def _secret_of(settings: Settings) -> str:
    """Return `TERTULIA_SECRET_KEY`, or a generated key that is stored next to the SQLite file."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    file = database_file(settings.database_url)
    if file is None:
        raise WrongSetting(SECRET_NEEDED)
    secret_file = file.with_name(file.name + "-secret")
    try:
        # Created with owner-only permissions. Another process that starts at the same time reads this file.
        with os.fdopen(os.open(secret_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
            output.write(secrets.token_urlsafe(48))
    except FileExistsError:
        pass
    return secret_file.read_text(encoding="ascii")
