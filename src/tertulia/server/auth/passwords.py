"""Rules for user names and passwords, and the hashing of passwords.

Sources: RFC 8265 for names, NIST SP 800-63B for passwords, RFC 9106 for Argon2id and its parameters.
"""

import asyncio
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tertulia.db.names import NAME, canonical_name

MIN_PASSWORD, MAX_PASSWORD = 8, 1000
"""The lengths of a password in characters."""
AT_ONCE = 2
"""Concurrent hashes in one process. Each uses 64 MB."""

HASHER = PasswordHasher()


class Unfit(Exception):
    """An invalid name or password. The message begins with the field; `rule` is the rest of it."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"`{field}` {rule}")
        self.rule = rule


def name_of(text: str) -> str:
    """Return the canonical form of a name; raise Unfit for an invalid one."""
    name = canonical_name(text)
    if not NAME.fullmatch(name):
        raise Unfit("username", "must be 1 to 100 letters, digits or . _ @ + -, and begin with a letter or digit.")
    return name


def check_password(password: str, name: str) -> None:
    """Raise Unfit for a password that is too short, too long or too easy to guess."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise Unfit("password", f"must have {MIN_PASSWORD} to {MAX_PASSWORD:,} characters.")
    if password.lower() == name or len(set(password)) == 1:
        raise Unfit("password", "must not be the username, or one character repeated: both are easy to guess.")


class Passwords:
    """Hashes and verifies passwords in threads, a few at a time."""

    def __init__(self) -> None:
        self._semaphore = asyncio.Semaphore(AT_ONCE)

    async def hash(self, password: str) -> str:
        """Return the hash of a password."""
        async with self._semaphore:
            return await asyncio.to_thread(HASHER.hash, _bytes(password))

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Return whether the password matches the hash. Without a hash, return False after the same time."""
        async with self._semaphore:
            return await asyncio.to_thread(_verify, password[: MAX_PASSWORD + 1], password_hash)


def outdated(password_hash: str) -> bool:
    """Return whether a hash was made with weaker parameters than the current ones."""
    return HASHER.check_needs_rehash(password_hash)


def _verify(password: str, password_hash: str | None) -> bool:
    try:
        HASHER.verify(password_hash or _placeholder_hash(), _bytes(password))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def _placeholder_hash() -> str:
    """Return a hash to verify against if there is no such user, so that both cases take the same time."""
    cost = f"m={HASHER.memory_cost},t={HASHER.time_cost},p={HASHER.parallelism}"
    return f"$argon2id$v=19${cost}$c29tZXNhbHRzb21lc2FsdA$her0ALxvuU44qgAzvQtOZXRbphc34l0+CaEi9F9cuLE"


def _bytes(password: str) -> bytes:
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
