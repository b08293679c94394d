"""A conversation with Claude through Tertulia, in the terminal: `python conversation.py "Hello"`.

The answer is printed as it is written. It belongs to the conversation, not to a connection: one that is lost is opened
again, and what was missed comes behind the last number seen. Ctrl+C stops the answer, wherever the server writes it.
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
"""What the server closes a socket with whose token it does not take."""

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
    """Make a connection; over a socket the token goes into its first message."""
    signed = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}
    return Client(transport=WebsocketsTransport(URL.replace("http", "ws", 1) + "/graphql", init_payload=signed))


async def rest(attempt: int, lost: Exception) -> None:
    """Wait before another attempt, longer each time; raise where the server said no, or after too many."""
    closed = lost.__cause__.rcvd if isinstance(lost.__cause__, ConnectionClosed) else None
    if isinstance(lost, TransportQueryError) or (closed and closed.code == FORBIDDEN) or attempt > ATTEMPTS:
        raise lost
    await asyncio.sleep(min(0.25 * 2**attempt, 5))


async def ask(document: GraphQLRequest, **variables: Any) -> dict[str, Any]:
    """Execute a query or a mutation, again where the connection is lost: what is sent here may arrive twice."""
    attempt = 0
    while True:
        try:
            async with connected() as session:
                return await session.execute(GraphQLRequest(document, variable_values=variables))
        except (TransportError, OSError) as lost:
            await rest(attempt := attempt + 1, lost)


async def follow(generation: str) -> AsyncIterator[State]:
    """Give the state of an answer behind each of its events, to its end, over as many connections as it takes."""
    state, attempt = initial, 0
    while True:
        try:
            async with connected() as session:
                after = {"id": generation, "after": state.sequence}
                async for result in session.subscribe(GraphQLRequest(FOLLOW, variable_values=after)):
                    state, attempt = apply(state, result["generationEvents"]), 0
                    yield state
                return
        except (TransportError, OSError) as lost:
            await rest(attempt := attempt + 1, lost)


async def converse(said: str, conversation: str | None) -> None:
    """Send a message, and print the answer while it is written."""
    # The key makes a message that is sent twice count once.
    wanted = {"text": said, "conversationId": conversation, "idempotencyKey": str(uuid4())}
    sent = (await ask(SEND, input=wanted))["sendMessage"]
    if "generation" not in sent:
        sys.exit(sent["message"])
    state, shown = initial, ""
    try:
        async for state in follow(sent["generation"]["id"]):
            print(text(state)[len(shown) :], end="", flush=True)
            shown = max(shown, text(state), key=len)
            if state.waits:
                calls = ", ".join(call["name"] for call in state.waits["toolUses"])
                print(f"\n(Claude waits for {calls}: say yes or no in another client)", file=sys.stderr)
    except asyncio.CancelledError:
        await ask(STOP, id=sent["generation"]["id"])
        print("\n(stopped)", end="")
    print(f'\n\nGo on with: python conversation.py --conversation {sent["conversation"]["id"]} "..."')
    if state.error:
        sys.exit(state.error["message"])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Talk to Claude through Tertulia.")
    parser.add_argument("message")
    parser.add_argument("--conversation", help="go on with this one; a new one if left out")
    given = parser.parse_args()
    # Where the terminal cannot show a character, the answer goes on.
    sys.stdout.reconfigure(errors="replace")
    try:
        asyncio.run(converse(given.message, given.conversation))
    except (TransportError, OSError) as lost:
        sys.exit(f"{URL}: {lost.__cause__ or lost}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
