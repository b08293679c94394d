"""A conversation with Claude through Tertulia, in the terminal: `python conversation.py "Hello"`.

The answer is printed while it is written. After a lost connection the program reconnects and receives the events after
the last one that it has seen. Ctrl+C stops the answer, also on the server.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

from gql import Client, GraphQLRequest, gql
from gql.transport.exceptions import TransportError, TransportQueryError
from gql.transport.websockets import WebsocketsTransport
from tertulia_stream import State, apply, initial, text
from websockets.exceptions import ConnectionClosed

URL = os.environ.get("TERTULIA_URL", "http://127.0.0.1:8000")
TOKEN = os.environ.get("TERTULIA_TOKEN")
ATTEMPTS = 8
FORBIDDEN = 4403
"""The code with which the server closes a socket whose token is missing or not valid."""

SEND = gql("""
    mutation Send($input: SendMessageInput!) {
      sendMessage(input: $input) {
        ... on SendMessagePayload { conversation { id } generation { id } }
        ... on Error { message }
      }
    }
""")
FOLLOW = gql("""
    subscription Follow($id: ID!, $after: Int) {
      generationEvents(generationId: $id, after: $after) {
        __typename
        sequence
        ... on MessageSnapshot { message { content { __typename index ... on TextBlock { text } } } }
        ... on TextDelta { index offset text }
        ... on ToolResultsRequired { toolUses { name } }
        ... on GenerationFailed { error { message } }
      }
    }
""")
STOP = gql("mutation Stop($id: ID!) { stopGeneration(id: $id) { __typename } }")


def connected() -> Client:
    """Return a client. Over a WebSocket the token is sent in the first message."""
    headers = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}
    return Client(transport=WebsocketsTransport(URL.replace("http", "ws", 1) + "/graphql", init_payload=headers))


async def wait_to_retry(attempt: int, error: Exception) -> None:
    """Wait before another attempt, longer each time. Raise the error if the server refused, or after 8 attempts."""
    closed = error.__cause__.rcvd if isinstance(error.__cause__, ConnectionClosed) else None
    if isinstance(error, TransportQueryError) or (closed and closed.code == FORBIDDEN) or attempt > ATTEMPTS:
        raise error
    await asyncio.sleep(min(0.25 * 2**attempt, 5))


async def ask(document: GraphQLRequest, **variables: Any) -> dict[str, Any]:
    """Execute a query or a mutation. After a lost connection it is sent again, so it may arrive twice."""
    attempt = 0
    while True:
        try:
            async with connected() as session:
                return await session.execute(GraphQLRequest(document, variable_values=variables))
        except (TransportError, OSError) as error:
            await wait_to_retry(attempt := attempt + 1, error)


async def follow(generation: str) -> AsyncIterator[State]:
    """Yield the state of an answer after each of its events until it ends. Reconnects after a lost connection."""
    state, attempt = initial, 0
    while True:
        try:
            async with connected() as session:
                variables = {"id": generation, "after": state.sequence}
                async for result in session.subscribe(GraphQLRequest(FOLLOW, variable_values=variables)):
                    state, attempt = apply(state, result["generationEvents"]), 0
                    yield state
                return
        except (TransportError, OSError) as error:
            await wait_to_retry(attempt := attempt + 1, error)


async def converse(message: str, conversation: str | None) -> None:
    """Send a message, and print the answer while it is written."""
    # A message that is sent twice with the same key is stored once.
    send_input = {"text": message, "conversationId": conversation, "idempotencyKey": str(uuid4())}
    sent = (await ask(SEND, input=send_input))["sendMessage"]
    if "generation" not in sent:
        sys.exit(sent["message"])
    state, shown = initial, ""
    try:
        async for state in follow(sent["generation"]["id"]):
            print(text(state)[len(shown) :], end="", flush=True)
            shown = max(shown, text(state), key=len)
            if state.waits:
                calls = ", ".join(call["name"] for call in state.waits["toolUses"])
                print(f"\n(Claude is waiting for {calls}. Answer the call in another client.)", file=sys.stderr)
    except asyncio.CancelledError:
        await ask(STOP, id=sent["generation"]["id"])
        print("\n(stopped)", end="")
    print(f'\n\nContinue with: python conversation.py --conversation {sent["conversation"]["id"]} "..."')
    if state.error:
        sys.exit(state.error["message"])


def main() -> None:
    """Parse the command line, and run the conversation."""
    parser = argparse.ArgumentParser(description="Talk to Claude through Tertulia.")
    parser.add_argument("message")
    parser.add_argument("--conversation", help="the id of the conversation to continue; by default a new one")
    arguments = parser.parse_args()
    # A character that the terminal cannot show must not end the program.
    sys.stdout.reconfigure(errors="replace")
    try:
        asyncio.run(converse(arguments.message, arguments.conversation))
    except (TransportError, OSError) as error:
        sys.exit(f"{URL}: {error.__cause__ or error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
