"""The subcommands of `tertulia`. Each imports its modules when it runs, so that `--help` is fast."""

import asyncio
import gc
import socket
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from tertulia.cli.chat_command import chat
from tertulia.cli.conformance_command import conformance
from tertulia.cli.login_command import login, logout

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tertulia.server.settings import Settings


app = typer.Typer(
    help="A self-hosted GraphQL conversational API for Claude.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

users = typer.Typer(help="Manage accounts, for TERTULIA_AUTH=password.", no_args_is_help=True)
app.add_typer(users, name="user")

webhooks = typer.Typer(help="Manage the endpoints of TERTULIA_WEBHOOKS.", no_args_is_help=True)
app.add_typer(webhooks, name="webhooks")

Password = Annotated[
    str | None,
    typer.Option(help="The password. Other users of this machine can see it, so it is safer to be asked for it."),
]
Host = Annotated[str, typer.Option(help="The address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 selects a free one.")]


def _print_version(requested: bool) -> None:  # noqa: FBT001 - Typer passes the option by position
    if requested:
        typer.echo(version("tertulia"))
        raise typer.Exit


@app.callback()
def options(
    *,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
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

    settings = _settings()
    if settings.auth == "local" and not is_loopback(host):
        _refuse(f"--host: {host} is reachable by others, and TERTULIA_AUTH=local requires no sign-in. Use 127.0.0.1.")
    if workers > 1 and settings.redis_url is None:
        _refuse(f"--workers: {workers} processes need Redis to share answers. Set REDIS_URL, or use one worker.")
    server_socket = _listen(host, port)
    _migrate(settings)
    _check(settings)
    from tertulia.server.run import run

    run(settings, server_socket, workers)


app.command()(chat)
app.command()(login)
app.command()(logout)
app.command()(conformance)


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
    settings = _settings()
    _migrate(settings)
    typer.echo("The database is up to date.")


@app.command("export-schema")
def export_schema(
    output: Annotated[Path | None, typer.Option(help="The file to write; by default the schema is printed.")] = None,
) -> None:
    """Print the GraphQL schema."""
    from tertulia.schema.root import schema

    text = schema.as_str() + "\n"
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        _refuse(f"--output: cannot write {output}: {error.strerror}.")
    typer.echo(f"Wrote {output}.")


@app.command()
def export(
    user: Annotated[str, typer.Argument(help="The name of a user; `local` with TERTULIA_AUTH=local.")],
    *,
    output: Annotated[Path | None, typer.Option(help="The file to write; by default standard output.")] = None,
    markdown: Annotated[bool, typer.Option(help="Write Markdown for readers; it cannot be imported.")] = False,
) -> None:
    """Export all conversations of a user as JSON Lines, which can be imported again."""
    settings = _settings()
    _migrate(settings)
    from tertulia.cli.export import write_export

    problem = asyncio.run(write_export(settings, user, output, markdown=markdown))
    if problem is not None:
        _refuse(problem)


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder; it must not exist yet.")],
) -> None:
    """Back up the database, attachments and secret of a server on SQLite. The server can keep running."""
    from tertulia.cli.backup import back_up

    _print_result(back_up(_settings(), folder))


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="A folder that `tertulia backup` has written.")],
) -> None:
    """Restore a backup to the locations in the settings. Stop the server first. Nothing is overwritten."""
    from tertulia.cli.backup import restore as restore_backup

    _print_result(restore_backup(_settings(), folder))


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
        _refuse("token: expected NAME, `revoke NAME` or `revoke --all`.")
    settings = _settings()
    _migrate(settings)
    if all_users or user is not None:
        _print_result(revoke_everything(settings, user))
    elif show:
        _print_result(list_tokens(settings, name))
    elif revoke is not None:
        _print_result(revoke_token(settings, name, revoke))
    else:
        _print_result(make_token(settings, name, label, days))


@users.command("add")
def add_user(
    name: Annotated[str, typer.Argument(help="The name that the user signs in with.")],
    password: Password = None,
) -> None:
    """Add an account. The password is asked for, or read from standard input. If it is empty, one is generated."""
    from tertulia.cli.users import add

    settings = _settings()
    _migrate(settings)
    _print_result(add(settings, name, password or _read_password()))


@users.command("password")
def set_password(
    name: Annotated[str, typer.Argument(help="A user's name.")],
    password: Password = None,
) -> None:
    """Set a user's password, and end all their sign-ins."""
    from tertulia.cli.users import change_password

    settings = _settings()
    _migrate(settings)
    _print_result(change_password(settings, name, password or _read_password()))


@users.command("list")
def list_users() -> None:
    """List all users."""
    from tertulia.cli.users import describe_users

    settings = _settings()
    _migrate(settings)
    _print_result(describe_users(settings))


@users.command("plan")
def plan_of_user(
    name: Annotated[str, typer.Argument(help="A user's name; `local` with TERTULIA_AUTH=local.")],
    plan: Annotated[str | None, typer.Argument(help="The name of a plan of TERTULIA_PLANS.")] = None,
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the assigned plan.")] = False,
) -> None:
    """Assign a plan to a user, instead of the plan of their token or the default plan. Without a plan, print it."""
    from tertulia.cli.users import describe_plan, set_plan

    if plan is not None and remove:
        raise typer.BadParameter("cannot be used with a plan.", param_hint="--remove")
    settings = _settings()
    _migrate(settings)
    _print_result(describe_plan(settings, name) if plan is None and not remove else set_plan(settings, name, plan))


@users.command("remove")
def remove_user(
    name: Annotated[str, typer.Argument(help="A user's name.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete a user and all their data permanently."""
    from tertulia.cli.users import remove

    settings = _settings()
    _migrate(settings)
    if not yes:
        typer.confirm(f"Delete {name} with all their conversations, files and bills?", abort=True)
    _print_result(remove(settings, name))


@webhooks.command("list")
def list_webhooks() -> None:
    """List the endpoints with the numbers of their events, and the last events that were not delivered."""
    from tertulia.cli.webhooks import list_webhooks as describe_webhooks

    settings = _settings()
    _migrate(settings)
    _print_result(describe_webhooks(settings))


@webhooks.command("retry")
def retry_webhooks(
    name: Annotated[str | None, typer.Argument(help="The name of an endpoint; by default all.")] = None,
    event: Annotated[str | None, typer.Option(help="The id of one event; by default all.")] = None,
) -> None:
    """Deliver events again that have failed, and those that wait for an attempt. Endpoints are enabled again."""
    from tertulia.cli.webhooks import retry_webhooks as retry

    settings = _settings()
    _migrate(settings)
    _print_result(retry(settings, name, event))


@webhooks.command("test")
def send_test(
    name: Annotated[
        str | None, typer.Argument(help="The name of an endpoint; not needed if there is only one.")
    ] = None,
) -> None:
    """Send the event `webhook.test` to an endpoint, and print its response."""
    from tertulia.cli.webhooks import send_test as send

    _print_result(send(_settings(), name))


@app.command()
def doctor() -> None:
    """Check the settings, database, Redis, tools and Claude, and print one line for each finding."""
    from tertulia.cli.doctor import examine

    sys.exit(asyncio.run(examine()))


def _print_result(work: "Coroutine[None, None, str]") -> None:
    """Run a command and print its result; exit with 2 if it fails."""
    from tertulia.cli.users import CommandError

    try:
        typer.echo(asyncio.run(work))
    except CommandError as error:
        _refuse(str(error))


def _read_password() -> str | None:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\n") or None


def _settings() -> "Settings":
    from tertulia.server.environment import WrongSetting
    from tertulia.server.settings import load_settings

    try:
        return load_settings()
    except WrongSetting as error:
        _refuse(str(error))


def _check(settings: "Settings") -> None:
    from tertulia.server.environment import WrongSetting
    from tertulia.server.start_checks import check_start

    try:
        asyncio.run(check_start(settings))
    except WrongSetting as error:
        _refuse(str(error))


def _migrate(settings: "Settings") -> None:
    from tertulia.db.errors import DatabaseUnavailable
    from tertulia.db.migrate import migrate as run_migrations

    try:
        asyncio.run(run_migrations(settings.database_url))
    except DatabaseUnavailable as error:
        _refuse(str(error))


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server_socket = socket.socket(family, socket.SOCK_STREAM)
    server_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server_socket.bind((host, port))
        server_socket.listen(2048)
    except OSError as error:
        server_socket.close()
        _refuse(
            f"--port: cannot listen on {host}:{port}: {error.strerror or error}. Another program may use this port."
        )
    return server_socket


def _refuse(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(2)
