"""The command `tertulia chat`. It imports the client and its libraries when it runs."""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer


def chat(  # noqa: PLR0913 - one parameter for each option
    message: Annotated[
        str | None,
        typer.Argument(help="One message: print its answer, and exit. `-` reads the message from standard input."),
    ] = None,
    url: Annotated[str, typer.Option(help="The address of a running server.")] = "http://127.0.0.1:8000",
    conversation: Annotated[str | None, typer.Option(help="The id of the conversation to continue.")] = None,
    model: Annotated[
        str | None, typer.Option(help="The id of a model; by default the conversation's or the server's default.")
    ] = None,
    assistant: Annotated[
        str | None, typer.Option(help="The id of the assistant of a new conversation; by default the server's default.")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="TERTULIA_TOKEN",
            help="A token, if the server requires sign-in; see `tertulia token`. Other users of this machine can see "
            "it, so TERTULIA_TOKEN, --token-file, and being asked for it are safer.",
        ),
    ] = None,
    token_file: Annotated[Path | None, typer.Option(help="A file that contains the token.")] = None,
    *,
    history: Annotated[bool, typer.Option(help="Store what you write, for the arrow keys.")] = True,
    list_assistants: Annotated[bool, typer.Option("--list-assistants", help="List the assistants, and exit.")] = False,
) -> None:
    """Talk to Claude in the terminal, or send one message from a script.

    /help lists the commands and keys. Without a terminal, each line of standard input is a message, and the exit status
    is that of the last one: 0 if it was answered.
    """
    from tertulia.extras import MissingExtraError, require_extra

    try:
        require_extra("chat", "`tertulia chat`")
    except MissingExtraError as error:
        _refuse(str(error))
    from tertulia.cli.terminal.conversation import Choices
    from tertulia.cli.terminal.server import Server
    from tertulia.cli.terminal.session import Session
    from tertulia.cli.terminal.sign_in import open_store

    server = Server(url, token if token_file is None else _read_token(token_file), open_store())
    session = Session(server, Choices(model=model, assistant=assistant), keeps_history=history)
    if list_assistants:
        sys.exit(session.list_assistants())
    sys.exit(session.talk(conversation, _read_message() if message == "-" else message))


def _read_message() -> str:
    text = sys.stdin.read()
    # A file that begins with a slash is not a command.
    return f"/{text}" if text.startswith("/") else text


def _read_token(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        _refuse(f"--token-file: cannot read {file}: {getattr(error, 'strerror', None) or error}.")


def _refuse(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(2)
