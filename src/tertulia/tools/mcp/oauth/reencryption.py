"""Encrypt what is stored about the connections of users with the newest key."""

from dataclasses import dataclass

from tertulia.db import tool_connections as rows
from tertulia.db.database import Database
from tertulia.tools.mcp.oauth.encryption import Encryption

BATCH = 100


@dataclass(slots=True)
class Reencryption:
    """The numbers of stored values: those that were encrypted again, and those that no key can decrypt."""

    total: int = 0
    changed: int = 0
    unreadable: int = 0


async def reencrypt(database: Database, encryption: Encryption) -> Reencryption:
    """Encrypt all stored values with the first key of `encryption`. Servers may be running."""
    done = Reencryption()
    for table in rows.WITH_SECRETS:
        last = None
        while True:
            async with database.read() as session:
                batch = await rows.encrypted(session, table, last, BATCH)
            if not batch:
                break
            last = batch[-1].id
            for row in batch:
                await _reencrypt(database, encryption, table, row, done)
    return done


async def _reencrypt(
    database: Database, encryption: Encryption, table: rows.WithSecrets, row: rows.Encrypted, done: Reencryption
) -> None:
    done.total += 1
    text = encryption.reencrypt(row.secrets)
    if text is None:
        done.unreadable += 1
    elif text != row.secrets:
        # One transaction for each, which locks one row and so cannot deadlock with a deletion. A value that a
        # server has replaced meanwhile is encrypted with the first key already.
        async with database.write() as session:
            done.changed += await rows.replace_encrypted(session, table, row, text)
