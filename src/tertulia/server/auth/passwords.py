"""Names and passwords: what may be one, and how passwords are kept.

Sources: RFC 8265 for names, NIST SP 800-63B for passwords, RFC 9106 for Argon2id and its parameters.
"""

import asyncio
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tertulia.db.names import NAME, canonical_name

MIN_PASSWORD, MAX_PASSWORD = 8, 1000
"""Characters."""
AT_ONCE = 2
"""Hashes at once in one process: each takes 64 MB for a moment."""

HASHER = PasswordHasher()


class Unfit(Exception):
    """A name or password that cannot be taken: the field, and what it takes."""

    def __init__(self, field: str, message: str) -> None:
        """Name the field."""
        super().__init__(f"{field}: {message}")
        self.field = field


def name_of(given: str) -> str:
    """Give a name as it is kept, the same for all ways to write it; raise Unfit."""
    name = canonical_name(given)
    if not NAME.fullmatch(name):
        raise Unfit("username", "takes 1 to 100 letters, digits and . _ @ + -, the first a letter or digit.")
    return name


def check_password(password: str, name: str) -> None:
    """Raise Unfit for a password that anybody would try first, or that is too long to be one."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise Unfit("password", f"takes {MIN_PASSWORD} to {MAX_PASSWORD} characters.")
    if password.lower() == name or len(set(password)) == 1:
        raise Unfit("password", "is too easy to guess.")


class Passwords:
    """Hashes and verifies, a few at a time, beside the event loop."""

    def __init__(self) -> None:
        """Begin with none at work."""
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def hash(self, password: str) -> str:
        """Give the hash that is kept."""
        async with self._at_once:
            return await asyncio.to_thread(HASHER.hash, _bytes(password))

    async def verify(self, password: str, kept: str | None) -> bool:
        """Say whether it is the one; with nothing kept it takes as long, and is not."""
        async with self._at_once:
            return await asyncio.to_thread(_verify, password[: MAX_PASSWORD + 1], kept)


def outdated(kept: str) -> bool:
    """Say whether a hash was made with weaker parameters than today's."""
    return HASHER.check_needs_rehash(kept)


def _verify(password: str, kept: str | None) -> bool:
    try:
        HASHER.verify(kept or _nobodys_hash(), _bytes(password))
    except (VerificationError, InvalidHashError):
        return False
    return kept is not None


def _nobodys_hash() -> str:
    """Return what a password is compared with where there is no such user, so that both take the same time."""
    cost = f"m={HASHER.memory_cost},t={HASHER.time_cost},p={HASHER.parallelism}"
    return f"$argon2id$v=19${cost}$c29tZXNhbHRzb21lc2FsdA$her0ALxvuU44qgAzvQtOZXRbphc34l0+CaEi9F9cuLE"


def _bytes(password: str) -> bytes:
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
