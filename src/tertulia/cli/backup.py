"""`tertulia backup` and `tertulia restore`: what a server on SQLite keeps, in a folder to serve from."""

import asyncio
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from tertulia.cli.users import CommandError
from tertulia.db.copies import BadCopy, copy, inspect_backup
from tertulia.db.migrate import unsupported_reason
from tertulia.server.settings import Settings, database_file

DATABASE, SECRET, FILES = "tertulia.db", "tertulia.db-secret", "tertulia-attachments"
"""The names in a backup are those that a server in that folder would use."""
OF_POSTGRESQL = "DATABASE_URL: names PostgreSQL, whose own tools are pg_dump and pg_restore: see docs/backup.md."
BLOB = re.compile(r"[0-9a-f]{32}")


async def back_up(settings: Settings, folder: Path) -> str:
    """Copy database, attachments and secret into a new folder, whoever writes meanwhile; say what was copied."""
    return await asyncio.to_thread(_tried, _back_up, settings, folder)


async def restore(settings: Settings, folder: Path) -> str:
    """Put a backup where the settings say that things are; nothing that is there is overwritten."""
    return await asyncio.to_thread(_tried, _restore, settings, folder)


def _tried(work: Callable[[Settings, Path, Path], str], settings: Settings, folder: Path) -> str:
    file = database_file(settings.database_url)
    if file is None:
        raise CommandError(OF_POSTGRESQL)
    try:
        return work(settings, file, folder)
    except BadCopy as bad:
        raise CommandError(f"{bad}.") from bad
    except OSError as error:
        raise CommandError(f"FOLDER: {error.filename or folder}: {error.strerror or error}.") from error


def _back_up(settings: Settings, file: Path, folder: Path) -> str:
    if folder.exists():
        raise CommandError(f"FOLDER: {folder} is there already; a backup is a folder of its own.")
    if not file.is_file():
        raise CommandError(f"DATABASE_URL: there is no database at {file}.")
    # Under another name until it is whole.
    making = folder.with_name(folder.name + ".making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700, parents=True)
    attachments = _folder_of(settings)
    if attachments is not None:
        # Now, what is deleted while the database is copied; behind it, what has come meanwhile.
        _copy_blobs(attachments, making / FILES)
    copy(file, making / DATABASE)
    found = inspect_backup(making / DATABASE)
    told = f"attachments are in {settings.attachments}, which is not copied"
    if attachments is not None:
        _copy_blobs(attachments, making / FILES, found.blobs)
        there = _forget_others(making / FILES, found.blobs)
        told = f"{len(there)} files of attachments"
        if lost := len(found.shown - there):
            told += f"; {lost} more have no file in {attachments}"
    secret = file.with_name(file.name + "-secret")
    if secret.exists():
        shutil.copy2(secret, making / SECRET)
    # A backup that is said to be there outlives a power cut.
    os.sync()
    making.rename(folder)
    return f"Backed up {found.conversations} conversations (schema {found.schema}) to {folder}; {told}."


def _restore(settings: Settings, file: Path, folder: Path) -> str:
    if not (folder / DATABASE).is_file():
        raise CommandError(f"FOLDER: {folder} is no backup: there is no {DATABASE} in it.")
    found = inspect_backup(folder / DATABASE)
    if reason := unsupported_reason(found.schema):
        raise CommandError(f"FOLDER: cannot restore {folder}: {reason}.")
    attachments = _folder_of(settings)
    for taken in _in_the_way(file, attachments):
        raise CommandError(f"{taken} is there already, and nothing is overwritten: move it away first.")
    file.absolute().parent.mkdir(parents=True, exist_ok=True)
    if attachments is not None and (folder / FILES).is_dir():
        _copy_blobs(folder / FILES, attachments)
    if (folder / SECRET).exists():
        shutil.copy2(folder / SECRET, file.with_name(file.name + "-secret"))
    # The database comes last and at once: where it stands, all of it was put back.
    coming = file.with_name(file.name + ".restoring")
    shutil.copyfile(folder / DATABASE, coming)
    os.sync()
    coming.rename(file)
    return f"Restored {found.conversations} conversations (schema {found.schema}) to {file}."


def _in_the_way(file: Path, attachments: Path | None) -> list[Path]:
    beside = [file.with_name(file.name + suffix) for suffix in ("", "-wal", "-shm", "-secret")]
    # What the answers of another database have shown must not become those of this one.
    beside += file.with_name(file.name + "-answers").glob("*.jsonl")
    beside += attachments.glob("??/*") if attachments is not None else ()
    return [one for one in beside if one.exists()]


def _folder_of(settings: Settings) -> Path | None:
    """Give the folder of the attachments; None where they are in an object store, which keeps its own copies."""
    return None if "://" in settings.attachments_place else Path(settings.attachments_place)


def _copy_blobs(source: Path, target: Path, wanted: frozenset[str] | None = None) -> None:
    """Copy the files that are not there yet: of those ids, or all of them. What is deleted meanwhile is left out."""
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in source.glob("??/*"):
        copied = target / file.parent.name / file.name
        if not BLOB.fullmatch(file.name) or copied.exists() or (wanted is not None and file.name not in wanted):
            continue
        copied.parent.mkdir(exist_ok=True)
        coming = copied.with_suffix(".coming")
        try:
            shutil.copyfile(file, coming)
        except FileNotFoundError:
            continue
        coming.rename(copied)


def _forget_others(folder: Path, kept: frozenset[str]) -> frozenset[str]:
    """Delete the files that the copy of the database does not know; give the ids of those that stay."""
    found = {file.name: file for file in folder.glob("??/*")}
    for name in found.keys() - kept:
        found[name].unlink()
    return frozenset(found.keys() & kept)
