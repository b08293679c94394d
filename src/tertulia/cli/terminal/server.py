"""The connection to the server: GraphQL over a WebSocket, and uploads over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportError, TransportQueryError
from gql.transport.websockets import WebsocketsTransport
from websockets.exceptions import ConnectionClosed

from tertulia.backoff import Backoff
from tertulia.cli.terminal.operations import FOLLOW
from tertulia.cli.terminal.sign_in import SignInStore, current_token

ATTEMPTS = 8
FIRST_WAIT, LONGEST_WAIT = 1.0, 10.0
FORBIDDEN = 4403
LOST = (TransportError, OSError, EOFError, aiohttp.ClientError)
"""The errors of a connection that cannot be opened or was lost. `RefusedError` is the server's."""

Event = dict[str, Any]
TERMINAL = ("GenerationCompleted", "GenerationStopped", "GenerationFailed")
RECONNECTING: Event = {"__typename": "Reconnecting"}
"""An event that is not the server's."""


class RefusedError(Exception):
    """The server refused a request. The message is the server's, and `result` is the GraphQL error, if it is one."""

    def __init__(self, message: str, result: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.result = result or {}


class Server:
    """A running server, with the token of the user."""

    def __init__(self, url: str, token: str | None, sign_ins: SignInStore | None = None) -> None:
        """Prepare requests, without connecting.

        Args:
            url: The address of the server.
            token: An access token or a personal access token; None if the server requires none.
            sign_ins: Where the sign-in of `tertulia login` is stored, which is used if `token` is None.
        """
        self.url = url.rstrip("/")
        self.token = token
        self._sign_ins = sign_ins if token is None else None

    def use_token(self, token: str) -> None:
        """Use another token from now on, instead of a stored sign-in."""
        self.token, self._sign_ins = token, None

    async def execute(self, document: GraphQLRequest, **variables: Any) -> dict[str, Any]:
        """Return the data of a query or a mutation.

        Raises:
            RefusedError: The server refused the operation.
            TransportError, OSError, EOFError: The server cannot be reached.
        """
        try:
            await self._refresh()
            async with self._client() as session:
                result: dict[str, Any] = await session.execute(_with_variables(document, variables))
        except TransportQueryError as error:
            raise _refused(error) from error
        return result

    async def mutate(self, document: GraphQLRequest, **variables: Any) -> dict[str, Any]:
        """Return the payload of a mutation with one field; raise RefusedError if it is one of the schema's errors."""
        (payload,) = (await self.execute(document, **variables)).values()
        if "message" in payload:
            raise RefusedError(payload["message"], payload)
        return dict(payload)

    async def events(self, generation_id: str) -> AsyncIterator[Event]:
        """Yield the events of an answer to its end, and `RECONNECTING` whenever the connection is lost.

        The server continues the answer. The next subscription continues after the last event.

        Raises:
            RefusedError: The user has no such answer.
            TransportError, OSError, EOFError: The server could not be reached for a minute.
        """
        after: int | None = None
        attempt, backoff = 0, Backoff(FIRST_WAIT, LONGEST_WAIT)
        while True:
            problem: BaseException = EOFError("The server ended the stream.")
            try:
                await self._refresh()
                async with self._client() as session:
                    request = _with_variables(FOLLOW, {"id": generation_id, "after": after})
                    async for result in session.subscribe(request):
                        event: Event = result["generationEvents"]
                        after, attempt = event["sequence"], 0
                        backoff.reset()
                        yield event
                        if event["__typename"] in TERMINAL:
                            return
            except TransportQueryError as error:
                raise _refused(error) from error
            except LOST as error:
                problem = error
            attempt += 1
            if attempt > ATTEMPTS or is_forbidden(problem):
                raise problem
            yield RECONNECTING
            await asyncio.sleep(backoff.next())

    async def upload(self, path: str) -> dict[str, Any]:
        """Upload a file, whose path may begin with `~`, and return the attachment with its `id` and `filename`.

        Raises:
            RefusedError: The file cannot be read, or the server does not accept it.
            ClientError, OSError: The server cannot be reached.
        """
        content = await asyncio.to_thread(_read, path)
        await self._refresh()
        form = aiohttp.FormData(quote_fields=False)
        name = Path(path).name
        form.add_field("file", content, filename=name)
        async with (
            aiohttp.ClientSession(headers=self._authorization()) as session,
            session.post(f"{self.url}/attachments", data=form) as response,
        ):
            body = await response.json(content_type=None)
            if response.status == HTTPStatus.CREATED:
                return dict(body)
            match body:
                case {"error": {"message": str(message)}}:
                    raise RefusedError(f"{name}: {message}")
                case _:
                    raise RefusedError(f"{name}: the server refused it with the status {response.status}.")

    async def _refresh(self) -> None:
        if self._sign_ins is not None:
            self.token = await current_token(self._sign_ins, self.url)

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def _client(self) -> Any:
        subprotocols: Any = [WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL]
        address = self.url.replace("http", "ws", 1) + "/graphql"
        return Client(
            transport=WebsocketsTransport(address, subprotocols=subprotocols, init_payload=self._authorization())
        )


def _with_variables(document: GraphQLRequest, variables: dict[str, Any]) -> GraphQLRequest:
    return GraphQLRequest(document, variable_values=variables)


def _read(path: str) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except (OSError, RuntimeError) as error:
        raise RefusedError(f"Cannot read {path}: {getattr(error, 'strerror', None) or error}.") from error


def _refused(error: TransportQueryError) -> RefusedError:
    messages = [str(reason.get("message", reason)) for reason in error.errors or ()]
    return RefusedError(" ".join(messages) or str(error))


def is_forbidden(error: BaseException | None) -> bool:
    """Return whether the server closed with 4403, in any cause of the library's exception."""
    while error is not None:
        if isinstance(error, ConnectionClosed) and error.rcvd is not None and error.rcvd.code == FORBIDDEN:
            return True
        error = error.__cause__ or error.__context__
    return False


def connection_problem(error: BaseException, url: str) -> str:
    """Return why there is no connection, and what to do."""
    if is_forbidden(error):
        return (
            f"Not signed in. Run `tertulia login --url {url}`, or run `tertulia token NAME` on the server and pass the "
            "result with TERTULIA_TOKEN or --token-file."
        )
    return f"Cannot connect to {url}. Start a server with `tertulia serve`, or pass its address with --url."
