"""The `tertulia` command. Commands import what they need when they run, so that `--help` is fast."""

import asyncio
import gc
import socket
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tertulia.server.settings import Settings


app = typer.Typer(
    help="A self-hosted GraphQL conversational API for Claude.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

users = typer.Typer(help="Accounts of the mode `password`.", no_args_is_help=True)
app.add_typer(users, name="user")

Password = Annotated[str | None, typer.Option(help="Others on this machine may see it; better leave it out.")]
Host = Annotated[str, typer.Option(help="The address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes a free one.")]


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
    # A collection after every 700 new objects takes a tenth of the start, and modules create no garbage.
    gc.set_threshold(50_000)
    app()


@app.command()
def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes; more than one need Redis.")] = 1,
) -> None:
    """Serve the API and its pages; migrates the database first."""
    from tertulia.server.http.middleware import is_loopback

    settings = _settings()
    if settings.auth == "local" and not is_loopback(host):
        _refuse(f"--host: {host} can be reached by others, and TERTULIA_AUTH=local lets everybody in; use 127.0.0.1.")
    if workers > 1 and settings.redis_url is None:
        _refuse(f"--workers: {workers} processes need REDIS_URL, through which they share answers; it is not set.")
    listening = _listen(host, port)
    _migrate(settings)
    _check(settings)
    from tertulia.server.run import run

    run(settings, listening, workers)


@app.command()
def chat(
    url: Annotated[str, typer.Option(help="A running server.")] = "http://127.0.0.1:8000",
    conversation: Annotated[str | None, typer.Option(help="Go on with the conversation of this id.")] = None,
    model: Annotated[str | None, typer.Option(help="A model's id; else the conversation's or the default one.")] = None,
    token: Annotated[
        str | None,
        typer.Option(envvar="TERTULIA_TOKEN", help="Who you are, where there are many: see `tertulia token`."),
    ] = None,
) -> None:
    """Talk to Claude in the terminal. Ctrl+C stops an answer; at the prompt it leaves."""
    from tertulia.extras import MissingExtraError, require_extra

    try:
        require_extra("chat", "`tertulia chat`")
    except MissingExtraError as missing:
        _refuse(str(missing))
    from tertulia.cli.chat import Terminal

    sys.exit(Terminal(url, conversation, model, token).talk())


@app.command()
def simulator(
    host: Host = "127.0.0.1",
    port: Port = 8001,
    pace: Annotated[float, typer.Option(min=0, max=100, help="1 as a person reads, 0 at once.")] = 1.0,
) -> None:
    """Serve the simulated Claude alone: a Messages API server for anybody's tests."""
    listening = _listen(host, port)
    from tertulia.server.run import run_simulator
    from tertulia.simulator.app import create_simulator

    run_simulator(create_simulator(pace=pace), listening)


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    settings = _settings()
    _migrate(settings)
    typer.echo("The database is up to date.")


@app.command("export-schema")
def export_schema(
    output: Annotated[Path | None, typer.Option(help="A file to write; else it is printed.")] = None,
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
    user: Annotated[str, typer.Argument(help="Whose conversations: a user's name; `local` where there is one user.")],
    *,
    output: Annotated[Path | None, typer.Option(help="A file to write; else they are printed.")] = None,
    markdown: Annotated[bool, typer.Option(help="To read, and not to put in again.")] = False,
) -> None:
    """Write all conversations of a user, as lines of JSON that can be put in again."""
    settings = _settings()
    _migrate(settings)
    from tertulia.cli.export import write_export

    problem = asyncio.run(write_export(settings, user, output, markdown=markdown))
    if problem is not None:
        _refuse(problem)


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="A folder that is not there yet.")],
) -> None:
    """Copy database, attachments and secret of a server on SQLite, which may go on meanwhile."""
    from tertulia.cli.backup import back_up

    _do(back_up(_settings(), folder))


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="What `tertulia backup` made.")],
) -> None:
    """Put a backup where the settings say, while no server runs; nothing is overwritten."""
    from tertulia.cli.backup import restore as put_back

    _do(put_back(_settings(), folder))


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="A user's name, or `revoke` with --all or a user's name after it.")],
    user: Annotated[str | None, typer.Argument(help="After `revoke`: whose tokens and sign-ins to end.")] = None,
    label: Annotated[str, typer.Option(help="What it is for.")] = "command line",
    days: Annotated[float | None, typer.Option(min=0, help="How long it is good; for good if left out.")] = None,
    *,
    show: Annotated[bool, typer.Option("--list", help="List the user's tokens.")] = False,
    revoke: Annotated[str | None, typer.Option(help="The id of a token to end.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="After `revoke`: those of everybody.")] = False,
) -> None:
    """Make a personal access token, which is shown once; list them, or end one.

    `tertulia token revoke NAME` ends all tokens and sign-ins of a user, `tertulia token revoke --all` everybody's.
    """
    from tertulia.cli.users import list_tokens, make_token, revoke_everything, revoke_token

    if (user is not None or everybody) and (name != "revoke" or (user is not None and everybody)):
        _refuse("token: takes NAME, or `revoke --all`, or `revoke NAME`.")
    settings = _settings()
    _migrate(settings)
    if everybody or user is not None:
        _do(revoke_everything(settings, user))
    elif show:
        _do(list_tokens(settings, name))
    elif revoke is not None:
        _do(revoke_token(settings, name, revoke))
    else:
        _do(make_token(settings, name, label, days))


@users.command("add")
def add_user(
    name: Annotated[str, typer.Argument(help="The name to sign in with.")],
    password: Password = None,
) -> None:
    """Make an account. The password is asked for, or read from standard input; with neither, one is made and shown."""
    from tertulia.cli.users import add

    settings = _settings()
    _migrate(settings)
    _do(add(settings, name, password or _asked_password()))


@users.command("password")
def set_password(
    name: Annotated[str, typer.Argument(help="A user's name.")],
    password: Password = None,
) -> None:
    """Set a user's password, and sign them out everywhere."""
    from tertulia.cli.users import change

    settings = _settings()
    _migrate(settings)
    _do(change(settings, name, password or _asked_password()))


@users.command("list")
def list_users() -> None:
    """List all users."""
    from tertulia.cli.users import everybody

    settings = _settings()
    _migrate(settings)
    _do(everybody(settings))


@users.command("remove")
def remove_user(
    name: Annotated[str, typer.Argument(help="A user's name.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a user with all that is theirs, for good."""
    from tertulia.cli.users import remove

    settings = _settings()
    _migrate(settings)
    if not yes:
        typer.confirm(f"Delete {name}, and every conversation, file and bill of theirs?", abort=True)
    _do(remove(settings, name))


@app.command()
def doctor() -> None:
    """Check settings, database, Redis and Claude; say what is wrong in one line each."""
    from tertulia.cli.doctor import examine

    sys.exit(asyncio.run(examine()))


def _do(work: "Coroutine[None, None, str]") -> None:
    """Run an operator's command, and print its result."""
    from tertulia.cli.users import CommandError

    try:
        typer.echo(asyncio.run(work))
    except CommandError as impossible:
        _refuse(str(impossible))


def _asked_password() -> str | None:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\n") or None


def _settings() -> "Settings":
    from tertulia.server.environment import WrongSetting
    from tertulia.server.settings import load_settings

    try:
        return load_settings()
    except WrongSetting as wrong:
        _refuse(str(wrong))


def _check(settings: "Settings") -> None:
    from tertulia.server.environment import WrongSetting
    from tertulia.server.start_checks import check_start

    try:
        asyncio.run(check_start(settings))
    except WrongSetting as wrong:
        _refuse(str(wrong))


def _migrate(settings: "Settings") -> None:
    from tertulia.db.errors import DatabaseUnavailable
    from tertulia.db.migrate import migrate as run_migrations

    try:
        asyncio.run(run_migrations(settings.database_url))
    except DatabaseUnavailable as unavailable:
        _refuse(str(unavailable))


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        _refuse(f"--port: cannot listen on {host}:{port}: {error.strerror or error}. Is another server running there?")
    return listening


def _refuse(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(2)
