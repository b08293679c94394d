"""`tertulia backup` and `tertulia restore`: copy the data of a server on SQLite to a folder, and back."""

import asyncio
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from tertulia.cli.users import CommandError
from tertulia.db.blobs import CONVERTED
from tertulia.db.copies import BadCopy, copy, inspect_backup
from tertulia.db.migrate import unsupported_reason
from tertulia.server.settings import Settings, database_file

DATABASE, SECRET, FILES = "tertulia.db", "tertulia.db-secret", "tertulia-attachments"
"""The file names in a backup, which are those of a server that runs in the folder."""
POSTGRESQL_REFUSED = "DATABASE_URL: this is a PostgreSQL database. Use pg_dump and pg_restore; see docs/backup.md."
BLOB = re.compile(rf"([0-9a-f]{{32}})({re.escape(CONVERTED)})?")
"""The names of a blob and of its converted content."""


async def back_up(settings: Settings, folder: Path) -> str:
    """Copy the database, the attachments and the secret to a new folder. A server may be running.

    Returns:
        A summary of what was copied, in one line.

    Raises:
        CommandError: If the database is not an SQLite file, the folder exists, or a file cannot be copied.
    """
    return await asyncio.to_thread(_with_command_errors, _back_up, settings, folder)


async def restore(settings: Settings, folder: Path) -> str:
    """Restore a backup to the locations in the settings, without overwriting anything.

    Returns:
        A summary of what was restored, in one line.

    Raises:
        CommandError: If the backup is damaged, its schema is not supported, or a target file already exists.
    """
    return await asyncio.to_thread(_with_command_errors, _restore, settings, folder)


def _with_command_errors(copy_data: Callable[[Settings, Path, Path], str], settings: Settings, folder: Path) -> str:
    file = database_file(settings.database_url)
    if file is None:
        raise CommandError(POSTGRESQL_REFUSED)
    try:
        return copy_data(settings, file, folder)
    except BadCopy as error:
        raise CommandError(f"{error}.") from error
    except OSError as error:
        raise CommandError(f"FOLDER: {error.filename or folder}: {error.strerror or error}.") from error


def _back_up(settings: Settings, file: Path, folder: Path) -> str:
    if folder.exists():
        raise CommandError(f"FOLDER: {folder} already exists. Each backup needs a new folder.")
    if not file.is_file():
        raise CommandError(f"DATABASE_URL: there is no database at {file}.")
    # The folder has a temporary name until the backup is complete.
    temporary = folder.with_name(folder.name + ".making")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(mode=0o700, parents=True)
    attachments = _attachments_folder(settings)
    if attachments is not None:
        # Files are copied twice: before the database, because a file may be deleted while the database is copied, and
        # after it, because files may have been added meanwhile.
        _copy_blobs(attachments, temporary / FILES)
    copy(file, temporary / DATABASE)
    backup = inspect_backup(temporary / DATABASE)
    summary = f"the attachments in {settings.attachments} are not copied"
    if attachments is not None:
        _copy_blobs(attachments, temporary / FILES, backup.blobs)
        blob_ids = _delete_other_blobs(temporary / FILES, backup.blobs)
        summary = f"{len(blob_ids)} attachment files"
        if missing_count := len(backup.attached_blobs - blob_ids):
            summary += f"; {missing_count} more are missing in {attachments}"
    secret = file.with_name(file.name + "-secret")
    if secret.exists():
        shutil.copy2(secret, temporary / SECRET)
    # A backup that is reported as complete must survive a power cut.
    os.sync()
    temporary.rename(folder)
    return f"Backed up {backup.conversations} conversations (schema {backup.schema}) to {folder}; {summary}."


def _restore(settings: Settings, file: Path, folder: Path) -> str:
    if not (folder / DATABASE).is_file():
        raise CommandError(f"FOLDER: {folder} is not a backup: it has no {DATABASE}.")
    backup = inspect_backup(folder / DATABASE)
    if reason := unsupported_reason(backup.schema):
        raise CommandError(f"FOLDER: cannot restore {folder}: {reason}.")
    attachments = _attachments_folder(settings)
    for existing in _existing_files(file, attachments):
        raise CommandError(f"{existing} already exists, and `restore` overwrites nothing. Move it away first.")
    file.absolute().parent.mkdir(parents=True, exist_ok=True)
    if attachments is not None and (folder / FILES).is_dir():
        _copy_blobs(folder / FILES, attachments)
    if (folder / SECRET).exists():
        shutil.copy2(folder / SECRET, file.with_name(file.name + "-secret"))
    # The database is renamed last, so that once it exists, everything else has been restored.
    temporary = file.with_name(file.name + ".restoring")
    shutil.copyfile(folder / DATABASE, temporary)
    os.sync()
    temporary.rename(file)
    return f"Restored {backup.conversations} conversations (schema {backup.schema}) to {file}."


def _existing_files(file: Path, attachments: Path | None) -> list[Path]:
    paths = [file.with_name(file.name + suffix) for suffix in ("", "-wal", "-shm", "-secret")]
    # Event journals of another database's answers must not be replayed for this one.
    paths += file.with_name(file.name + "-answers").glob("*.jsonl")
    paths += attachments.glob("??/*") if attachments is not None else ()
    return [path for path in paths if path.exists()]


def _attachments_folder(settings: Settings) -> Path | None:
    """Return the folder of the attachments, or None if they are in an object store, which has its own backups."""
    return None if "://" in settings.attachments_place else Path(settings.attachments_place)


def _copy_blobs(source: Path, target: Path, blob_ids: frozenset[str] | None = None) -> None:
    """Copy the files that `target` lacks, or those of `blob_ids` only. Files that are deleted meanwhile are skipped."""
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in source.glob("??/*"):
        copy_path = target / file.parent.name / file.name
        match = BLOB.fullmatch(file.name)
        if match is None or copy_path.exists() or (blob_ids is not None and match[1] not in blob_ids):
            continue
        copy_path.parent.mkdir(exist_ok=True)
        temporary = copy_path.with_name(f"{file.name}.partial")
        try:
            shutil.copyfile(file, temporary)
        except FileNotFoundError:
            continue
        temporary.rename(copy_path)


def _delete_other_blobs(folder: Path, blob_ids: frozenset[str]) -> frozenset[str]:
    """Delete the files that are not in `blob_ids`; return the ids of the remaining ones."""
    files = {file.name: file for file in folder.glob("??/*")}
    for name, file in files.items():
        if name.removesuffix(CONVERTED) not in blob_ids:
            file.unlink()
    return frozenset(files.keys() & blob_ids)
