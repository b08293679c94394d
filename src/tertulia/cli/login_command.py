"""The commands `tertulia login` and `tertulia logout`. They import the client and its libraries when they run."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from tertulia.cli.terminal.sign_in import DeviceCode, SignInStore, StoredSignIn

Url = Annotated[str, typer.Option(help="The address of a running server.")]
Result = TypeVar("Result")
LOCAL = "http://127.0.0.1:8000"


def login(url: Url = LOCAL) -> None:
    """Sign in to a server, for `tertulia chat`.

    With an identity provider, you enter a code in a browser, on this or another device. A server with accounts asks for
    name and password. The sign-in is stored in ~/.config/tertulia, which only you can read. It is refreshed
    automatically.
    """
    name = _run(url, _login)
    typer.echo(f"Signed in to {url} as {name}.")


def logout(url: Url = LOCAL) -> None:
    """Sign out of a server: revoke the sign-in of `tertulia login`, and forget it."""
    from tertulia.cli.terminal.sign_in import sign_out

    was_signed_in = _run(url, sign_out)
    typer.echo(f"Signed out of {url}." if was_signed_in else f"You are not signed in to {url}.")


async def _login(store: "SignInStore", url: str) -> str:
    """Sign in, store the sign-in, and return the name of the user."""
    from tertulia.cli.terminal.operations import WELCOME
    from tertulia.cli.terminal.server import Server

    sign_in = await _sign_in(url)
    viewer = (await Server(url, sign_in.access).execute(WELCOME))["viewer"]
    store.put(url, sign_in)
    return str(viewer["name"])


async def _sign_in(url: str) -> "StoredSignIn":
    from tertulia.cli.terminal.sign_in import (
        SignInError,
        authentication_of,
        sign_in_with_code,
        sign_in_with_password,
    )

    match await authentication_of(url):
        case "password", _:
            name = str(typer.prompt("Name", err=True))
            return await sign_in_with_password(url, name, str(typer.prompt("Password", hide_input=True, err=True)))
        case "oidc", True:
            return await sign_in_with_code(url, _show)
        case "local", _:
            raise SignInError("This server requires no sign-in.")
        case _:
            raise SignInError(
                "This server offers no sign-in for terminals. Pass a token to `tertulia chat` with TERTULIA_TOKEN or "
                "--token-file."
            )


def _show(device: "DeviceCode") -> None:
    typer.echo(f"Open {device.verification_uri} in a browser, and enter the code {device.user_code}", err=True)
    if device.verification_uri_complete:
        typer.echo(f"or open {device.verification_uri_complete}", err=True)
    typer.echo("Waiting until you have allowed the sign-in. Ctrl+C cancels.", err=True)


def _run(url: str, work: "Callable[[SignInStore, str], Coroutine[Any, Any, Result]]") -> Result:
    """Run a command with the store; exit with one line if it fails."""
    from tertulia.extras import MissingExtraError, require_extra

    try:
        require_extra("chat", "`tertulia login`")
    except MissingExtraError as error:
        _refuse(str(error))
    from tertulia.cli.terminal.server import LOST, RefusedError
    from tertulia.cli.terminal.sign_in import SignInError, open_store

    store = open_store()
    try:
        return asyncio.run(work(store, url))
    except (SignInError, RefusedError) as error:
        _refuse(str(error))
    except KeyboardInterrupt:
        _refuse("Cancelled.")
    except LOST as error:
        if isinstance(error, OSError) and error.filename is not None:
            _refuse(f"Cannot store the sign-in in {error.filename}: {error.strerror}.")
        _refuse(f"Cannot connect to {url}. Start a server with `tertulia serve`, or pass its address with --url.")


def _refuse(message: str) -> NoReturn:
    typer.echo(message, err=True)
    sys.exit(1)
