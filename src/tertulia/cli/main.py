"""The subcommands of `tertulia`. Each imports its modules when it runs, so that `--help` is fast."""

import asyncio
import gc
import os
import socket
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tertulia.cli.account_commands import users, webhooks
from tertulia.cli.chat_command import chat
from tertulia.cli.conformance_command import conformance
from tertulia.cli.import_command import import_conversations
from tertulia.cli.login_command import login, logout
from tertulia.cli.reencrypt_command import reencrypt
from tertulia.cli.running import migrate_database, prepare_database, print_result, read_settings, refuse
from tertulia.cli.usage_command import usage

if TYPE_CHECKING:
    from tertulia.server.settings import Settings


app = typer.Typer(
    help="A self-hosted GraphQL conversational API for Claude.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(users, name="user")
app.add_typer(webhooks, name="webhooks")

Host = Annotated[str, typer.Option(help="The address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 selects a free one.")]


def _print_version(requested: bool) -> None:  # noqa: FBT001 - Typer passes the option by position
    if requested:
        typer.echo(version("tertulia"))
        raise typer.Exit


def _use_env_file(file: Path | None) -> None:
    if file is not None:
        from tertulia.server.environment import ENV_FILE_VARIABLE

        # In the environment, because the workers of `serve` read the settings again.
        os.environ[ENV_FILE_VARIABLE] = str(file)


@app.callback()
def options(
    *,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    env_file: Annotated[
        Path | None,
        typer.Option(callback=_use_env_file, help="The file of settings, instead of `.env` in the working directory."),
    ] = None,
) -> None:
    """A self-hosted GraphQL conversational API for Claude."""


def main() -> None:
    """Run the command."""
    # By default, garbage is collected after every 700 new objects. That takes a tenth of the start-up time, and imports
    # create no garbage.
    gc.set_threshold(50_000)
    app()


@app.command()
def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes; more than one requires Redis.")] = 1,
) -> None:
    """Migrate the database, then serve the API and its pages."""
    from tertulia.server.http.middleware import is_loopback

    settings = read_settings()
    if settings.auth == "local" and not is_loopback(host):
        refuse(f"--host: {host} is reachable by others, and TERTULIA_AUTH=local requires no sign-in. Use 127.0.0.1.")
    if workers > 1 and settings.redis_url is None:
        refuse(f"--workers: {workers} processes need Redis to share answers. Set REDIS_URL, or use one worker.")
    server_socket = _listen(host, port)
    migrate_database(settings)
    _check(settings)
    from tertulia.server.run import run

    run(settings, server_socket, workers)


app.command()(chat)
app.command()(login)
app.command()(logout)
app.command()(conformance)
app.command("import")(import_conversations)
app.command()(reencrypt)
app.command()(usage)


@app.command()
def simulator(
    host: Host = "127.0.0.1",
    port: Port = 8001,
    pace: Annotated[
        float, typer.Option(min=0, max=100, help="Delay between words: 1 is reading speed, 0 is none.")
    ] = 1.0,
) -> None:
    """Serve only the simulated Claude: a Messages API server for tests of any program."""
    server_socket = _listen(host, port)
    from tertulia.server.run import run_simulator
    from tertulia.simulator.app import create_simulator

    run_simulator(create_simulator(pace=pace), server_socket)


@app.command()
def migrate() -> None:
    """Migrate the database to the newest schema."""
    settings = read_settings()
    prepare_database(settings, create=True)
    typer.echo("The database is up to date.")


@app.command("export-schema")
def export_schema(
    output: Annotated[Path | None, typer.Option(help="The file to write; by default the schema is printed.")] = None,
    *,
    federation: Annotated[bool, typer.Option("--federation", help="Print the schema of a subgraph.")] = False,
) -> None:
    """Print the GraphQL schema."""
    from tertulia.schema.federation import subgraph_sdl
    from tertulia.schema.root import schema

    text = subgraph_sdl(schema) if federation else schema.as_str() + "\n"
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        refuse(f"--output: cannot write {output}: {error.strerror}.")
    typer.echo(f"Wrote {output}.")


@app.command()
def export(
    user: Annotated[str, typer.Argument(help="The name of a user; `local` with TERTULIA_AUTH=local.")],
    *,
    output: Annotated[Path | None, typer.Option(help="The file to write; by default standard output.")] = None,
    markdown: Annotated[bool, typer.Option(help="Write Markdown for readers; it cannot be imported.")] = False,
) -> None:
    """Export all conversations of a user as JSON Lines, which can be imported again."""
    settings = read_settings()
    prepare_database(settings, migrates=False)
    from tertulia.cli.export import write_export

    problem = asyncio.run(write_export(settings, user, output, markdown=markdown))
    if problem is not None:
        refuse(problem)


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder; it must not exist yet.")],
) -> None:
    """Back up the database, attachments and secret of a server on SQLite. The server can keep running."""
    from tertulia.cli.backup import back_up

    print_result(back_up(read_settings(), folder))


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="A folder that `tertulia backup` has written.")],
) -> None:
    """Restore a backup to the locations in the settings. Stop the server first. Nothing is overwritten."""
    from tertulia.cli.backup import restore as restore_backup

    print_result(restore_backup(read_settings(), folder))


@app.command()
def move(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The DATABASE_URL of the database with the data.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The DATABASE_URL of an empty database.")],
    *,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Copy and compare everything, but leave the target as it was.")
    ] = False,
) -> None:
    """Move all data from one database to another, between SQLite and PostgreSQL. Stop the server first.

    A move that was interrupted continues when it is started again. At the end, the counts and sums of all tables are
    compared. The files of attachments stay where they are.
    """
    from tertulia.cli.move import move as move_database

    print_result(move_database(source, target, rehearse=rehearse))


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="The name of a user; or `revoke`, followed by a user's name or --all.")],
    user: Annotated[
        str | None, typer.Argument(help="After `revoke`: the user whose tokens and sign-ins to revoke.")
    ] = None,
    label: Annotated[str, typer.Option(help="A note about the purpose of the token.")] = "command line",
    days: Annotated[float | None, typer.Option(min=0, help="Days until the token expires; by default never.")] = None,
    *,
    show: Annotated[bool, typer.Option("--list", help="List the user's tokens.")] = False,
    revoke: Annotated[str | None, typer.Option(help="The id of a token to revoke.")] = None,
    all_users: Annotated[
        bool, typer.Option("--all", help="After `revoke`: revoke the tokens and sign-ins of all users.")
    ] = False,
) -> None:
    """Create a personal access token and print it, list the tokens of a user, or revoke them.

    A token is only shown when it is created. `tertulia token revoke NAME` revokes all tokens and sign-ins of a user,
    `tertulia token revoke --all` those of all users.
    """
    from tertulia.cli.users import list_tokens, make_token, revoke_everything, revoke_token

    if (user is not None or all_users) and (name != "revoke" or (user is not None and all_users)):
        refuse("token: expected NAME, `revoke NAME` or `revoke --all`.")
    settings = read_settings()
    prepare_database(settings)
    if all_users or user is not None:
        print_result(revoke_everything(settings, user))
    elif show:
        print_result(list_tokens(settings, name))
    elif revoke is not None:
        print_result(revoke_token(settings, name, revoke))
    else:
        print_result(make_token(settings, name, label, days))


@app.command()
def doctor() -> None:
    """Check the settings, database, Redis, tools and Claude, and print one line for each finding."""
    from tertulia.cli.doctor import examine

    sys.exit(asyncio.run(examine()))


def _check(settings: "Settings") -> None:
    from tertulia.server.environment import WrongSetting
    from tertulia.server.start_checks import check_start

    try:
        asyncio.run(check_start(settings))
    except WrongSetting as error:
        refuse(str(error))


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server_socket = socket.socket(family, socket.SOCK_STREAM)
    server_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server_socket.bind((host, port))
        server_socket.listen(2048)
    except OSError as error:
        server_socket.close()
        refuse(f"--port: cannot listen on {host}:{port}: {error.strerror or error}. Another program may use this port.")
    return server_socket
