"""`tertulia import`: import conversations of a user directly into the database."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tertulia.cli.running import prepare_database, print_result, read_settings

if TYPE_CHECKING:
    from tertulia.server.settings import Settings
    from tertulia.transfer.importer import Contents, Imported


def import_conversations(
    user: Annotated[str, typer.Argument(help="The name of a user; `local` with TERTULIA_AUTH=local.")],
    file: Annotated[Path, typer.Argument(help="An export of Tertulia, or Claude's data export.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the whole file, but store nothing.")] = False,
) -> None:
    """Import conversations and memories for a user: all of the file, or nothing if a part of it is invalid.

    Conversations that the user has already are skipped, so an import that was interrupted can be repeated.
    """
    settings = read_settings()
    prepare_database(settings, migrates=False)
    print_result(_import(settings, user, file, dry_run=dry_run))


async def _import(settings: "Settings", user: str, file: Path, *, dry_run: bool) -> str:
    from contextlib import AsyncExitStack

    from tertulia.cli.users import CommandError
    from tertulia.db import accounts
    from tertulia.resolvers.context import Context
    from tertulia.resolvers.errors import InvalidInput
    from tertulia.server.auth.providers import viewer_of
    from tertulia.server.environment import WrongSetting
    from tertulia.server.services import Host, open_services
    from tertulia.server.telemetry.metrics import Metrics
    from tertulia.transfer.importer import check_file, import_file

    _check_readable(file)
    async with AsyncExitStack() as stack:
        try:
            services, _ = await open_services(settings, Metrics(), stack, Host(), serves=False)
        except WrongSetting as error:
            raise CommandError(str(error)) from None
        async with services.database.read() as session:
            owner = await accounts.by_written_name(session, user)
        if owner is None:
            raise CommandError(f"USER: there is no user named {user!r}; see `tertulia user list`.")
        context = Context(services, viewer_of(owner))
        try:
            if dry_run:
                return _describe_contents(await check_file(context, file))
            return _describe(await import_file(context, file, skips_existing=True))
        except InvalidInput as error:
            raise CommandError(f"FILE: {file}: {error.message}") from None


def _check_readable(file: Path) -> None:
    from tertulia.cli.users import CommandError

    try:
        file.open("rb").close()
    except OSError as error:
        raise CommandError(f"FILE: cannot read {file}: {error.strerror}.") from None


def _describe_contents(contents: "Contents") -> str:
    counts = _counts(contents.conversations, contents.messages, contents.attachments, contents.memories)
    return f"The file is valid. It contains {counts}. Nothing was stored."


def _describe(imported: "Imported") -> str:
    counts = _counts(len(imported.conversation_ids), imported.messages, imported.attachments, imported.memories)
    sentences = [f"Imported {counts}."]
    if imported.skipped:
        sentences.append(f"Skipped {imported.skipped:,} conversations that the user has already.")
    if imported.blocks_left_out:
        sentences.append(f"Left out {imported.blocks_left_out:,} content blocks that exist only in the other service.")
    return " ".join(sentences)


def _counts(conversations: int, messages: int, attachments: int, memories: int) -> str:
    return (
        f"{conversations:,} conversations with {messages:,} messages and {attachments:,} attachments, "
        f"and {memories:,} memories"
    )
