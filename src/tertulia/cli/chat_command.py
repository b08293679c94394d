"""The command `tertulia chat`. It imports the client and its libraries when it runs."""

import sys
from typing import Annotated

import typer


def chat(
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
        typer.Option(envvar="TERTULIA_TOKEN", help="A token, if the server requires sign-in; see `tertulia token`."),
    ] = None,
    *,
    list_assistants: Annotated[bool, typer.Option("--list-assistants", help="List the assistants, and exit.")] = False,
) -> None:
    """Talk to Claude in the terminal. Ctrl+C stops an answer. At the prompt, it exits."""
    from tertulia.extras import MissingExtraError, require_extra

    try:
        require_extra("chat", "`tertulia chat`")
    except MissingExtraError as error:
        typer.echo(error, err=True)
        raise typer.Exit(2) from None
    from tertulia.cli.chat import Terminal

    terminal = Terminal(url, conversation, model, token, assistant)
    sys.exit(terminal.list_assistants() if list_assistants else terminal.talk())
