"""A small client for the tests: GraphQL over real HTTP, and subscriptions over a real socket."""

import json
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Self, TypeVar
from uuid import uuid4

import httpx2
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

Json = dict[str, Any]
Found = TypeVar("Found")
WAIT = 60.0
REJECTED = "messages: this answer cannot be continued"
"""The error of an answer to `/simulate error 1 reject`: its continuation is refused."""

BLOCKS = """
  __typename index
  ... on TextBlock { text citations { citedText source startIndex endIndex } }
  ... on ThinkingBlock { text redacted }
  ... on ToolUseBlock { toolUseId name input partialJson }
  ... on ToolResultBlock { toolUseId output isError }
"""
GENERATION = "id status stopReason error { code message retryable requestId retryAfterSeconds }"
SEND = f"""
  mutation ($input: SendMessageInput!) {{ sendMessage(input: $input) {{
    __typename
    ... on SendMessagePayload {{
      replayed conversation {{ id title }} userMessage {{ id text role }} generation {{ {GENERATION} message {{ id }} }}
    }}
    ... on ConversationBusy {{ generation {{ id }} }}
    ... on InvalidInput {{ field }}
    ... on NotFound {{ id }}
    ... on Error {{ message }}
  }} }}
"""
FOLLOW = f"""
  subscription ($id: ID!, $after: Int) {{ generationEvents(generationId: $id, after: $after) {{
    __typename generationId sequence
    ... on MessageSnapshot {{ reason message {{ id text content {{ {BLOCKS} }} }} generation {{ status }} }}
    ... on ContentBlockStarted {{ index block {{ {BLOCKS} }} }}
    ... on TextDelta {{ index offset text }}
    ... on ThinkingDelta {{ index offset text }}
    ... on ToolInputDelta {{ index offset partialJson }}
    ... on ContentBlockFinished {{ index block {{ {BLOCKS} }} }}
    ... on GenerationCompleted {{ generation {{ {GENERATION} message {{ text }} }} }}
    ... on GenerationStopped {{ generation {{ {GENERATION} message {{ text }} }} }}
    ... on GenerationFailed {{ generation {{ {GENERATION} message {{ text }} }} error {{ code message }} }}
  }} }}
"""
STOP = f"""
  mutation ($id: ID!) {{ stopGeneration(id: $id) {{
    __typename
    ... on GenerationPayload {{ generation {{ {GENERATION} message {{ text }} }} }}
    ... on Error {{ message }}
  }} }}
"""
CONVERSATION = f"""
  query ($id: ID!) {{ conversation(id: $id) {{
    id title systemPrompt archived pinned createdAt updatedAt model {{ id }}
    activeGeneration {{ id status }}
    lastMessage {{ id text }}
    usage {{ inputTokens outputTokens cacheReadTokens cacheWriteTokens costUsd }}
    messages(first: 100) {{ edges {{ cursor node {{
      id role text content {{ {BLOCKS} }} parent {{ id }} siblings {{ id }} generation {{ {GENERATION} }}
    }} }} pageInfo {{ hasNextPage hasPreviousPage }} }}
  }} }}
"""
TERMINAL = ("GenerationCompleted", "GenerationStopped", "GenerationFailed")


def sleep_between_polls(seconds: float = 0.02) -> None:
    """Sleep, so that other threads and processes get the core before the next poll."""
    time.sleep(seconds)


def wait_until(find: Callable[[], Found], awaited: str = "a condition", seconds: float = WAIT) -> Found:
    """Call `find` until it returns something true, and return that. Fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (result := find()):
        assert time.monotonic() < deadline, f"waited for {awaited} for more than {seconds:g} seconds"
        sleep_between_polls()
    return result


class Api:
    """A frontend's calls to Tertulia."""

    def __init__(self, address: str, token: str | None = None) -> None:
        self.address = address
        self.signed = {"Authorization": f"Bearer {token}"} if token else {}
        self.http = httpx2.Client(base_url=address, timeout=WAIT, headers=self.signed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def post(self, query: str, variables: Json | None = None, **more: Any) -> httpx2.Response:
        headers = {"accept": "application/graphql-response+json"}
        return self.http.post("/graphql", json={"query": query, "variables": variables or {}} | more, headers=headers)

    def ask(self, query: str, **variables: Any) -> Json:
        """Return `data`. Any error in the response fails the test."""
        result: Json = self.post(query, variables).json()
        assert "errors" not in result, result
        data: Json = result["data"]
        return data

    def errors(self, query: str, **variables: Any) -> list[Json]:
        errors: list[Json] = self.post(query, variables).json()["errors"]
        return errors

    def try_send(self, text: str, **more: Any) -> Json:
        """Send a message and return the result, whichever member of the union it is."""
        sent: Json = self.ask(SEND, input={"text": text, **more})["sendMessage"]
        return sent

    def send(self, text: str, **more: Any) -> Json:
        sent = self.try_send(text, **more)
        assert sent["__typename"] == "SendMessagePayload", sent
        return sent

    def answer(self, text: str, **more: Any) -> Json:
        """Send a message, follow the answer to its end and return the terminal event."""
        return self.follow(self.send(text, **more)["generation"]["id"])[-1]

    def follow(self, generation: str, after: int | None = None) -> list[Json]:
        """Follow an answer to its end and return its events."""
        with self.socket() as socket:
            return list(socket.events(generation, after))

    def wait_for_text(self, generation: str, text: str) -> None:
        """Follow an answer until its text is exactly `text`."""
        with self.socket() as socket:
            seen: list[Json] = []
            for event in socket.events(generation):
                seen.append(event)
                if "".join(apply(seen)) == text:
                    return
        raise AssertionError(f"the answer's text was never {text!r}; it ended as {apply(seen)}")

    def wait_for_some(self, generation: str) -> None:
        """Follow an answer until its first text arrives."""
        with self.socket() as socket:
            next(event for event in socket.events(generation, 0) if event["__typename"] == "TextDelta")

    def stop(self, generation: str) -> Json:
        stopped: Json = self.ask(STOP, id=generation)["stopGeneration"]
        return stopped

    def conversation(self, id: str) -> Json:
        result: Json = self.ask(CONVERSATION, id=id)["conversation"]
        return result

    def messages(self, conversation: str) -> list[Json]:
        return [edge["node"] for edge in self.conversation(conversation)["messages"]["edges"]]

    @contextmanager
    def socket(self) -> Generator["Socket"]:
        """Open a socket and complete its handshake."""
        # With a limit, the connection would respond to no pings while many messages wait for the test.
        with raw_socket(self.address, max_queue=None) as connection:
            socket = Socket(connection)
            socket.send({"type": "connection_init"} | ({"payload": self.signed} if self.signed else {}))
            assert socket.receive() == {"type": "connection_ack"}
            yield socket


class Socket:
    """One graphql-transport-ws socket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def send(self, message: object) -> None:
        self.connection.send(message if isinstance(message, str) else json.dumps(message))

    def receive(self) -> Json:
        # The server sends pings as long as the socket is open. They do not extend the wait.
        deadline = time.monotonic() + WAIT
        while True:
            message: Json = json.loads(self.connection.recv(timeout=deadline - time.monotonic()))
            if message["type"] != "ping":
                return message

    def subscribe(self, query: str, variables: Json, id: str | None = None) -> str:
        id = id or str(uuid4())
        self.send({"type": "subscribe", "id": id, "payload": {"query": query, "variables": variables}})
        return id

    def events(self, generation: str, after: int | None = None) -> Generator[Json]:
        """Yield the events of an answer until the server completes the subscription."""
        id = self.subscribe(FOLLOW, {"id": generation, "after": after})
        while (message := self.receive())["type"] == "next":
            assert message["id"] == id
            assert "errors" not in message["payload"], message
            yield message["payload"]["data"]["generationEvents"]
        assert message == {"type": "complete", "id": id}


@contextmanager
def raw_socket(
    address: str, *, subprotocol: str | None = "graphql-transport-ws", **more: Any
) -> Generator[ClientConnection]:
    protocols = [Subprotocol(subprotocol)] if subprotocol else None
    url = address.replace("http", "ws", 1) + "/graphql"
    # Without pings: a test that does not read for a minute would lose its connection.
    limits: Json = {"open_timeout": WAIT, "close_timeout": 2, "max_size": None, "ping_interval": None}
    with connect(url, subprotocols=protocols, **limits, **more) as connection:
        yield connection


def apply(events: list[Json]) -> list[str]:
    """Apply events by the whole rule of a client, and return the text of each block."""
    blocks: dict[int, str] = {}
    for event in events:
        match event["__typename"]:
            case "MessageSnapshot":
                blocks = {block["index"]: _text(block) for block in event["message"]["content"]}
            case "ContentBlockStarted" | "ContentBlockFinished":
                blocks[event["index"]] = _text(event["block"])
            case "TextDelta" | "ThinkingDelta" | "ToolInputDelta":
                before = blocks[event["index"]].encode("utf-16-le")[: 2 * event["offset"]].decode("utf-16-le")
                blocks[event["index"]] = before + str(event.get("text", event.get("partialJson")))
            case _:
                pass
    return [blocks[index] for index in sorted(blocks)]


def _text(block: Json) -> str:
    if block["__typename"] == "ToolUseBlock":
        return str(block["partialJson"] or (json.dumps(block["input"]) if block["input"] else ""))
    return str(block.get("text", ""))
