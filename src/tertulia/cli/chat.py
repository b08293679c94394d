"""`tertulia chat`: a client in the terminal, over the public GraphQL API like any other."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

from gql import Client, GraphQLRequest, gql
from gql.transport.exceptions import TransportError
from gql.transport.websockets import WebsocketsTransport
from rich.console import Console
from websockets.exceptions import ConnectionClosed

from tertulia.backoff import Backoff

SEND = gql("""
    mutation Send($input: SendMessageInput!) {
      sendMessage(input: $input) {
        ... on SendMessagePayload { conversation { id } generation { id model { displayName } } }
        ... on Error { message }
      }
    }
""")
STOP = gql("mutation Stop($id: ID!) { stopGeneration(id: $id) { __typename } }")
FOLLOW = gql("""
    subscription Follow($id: ID!, $after: Int) {
      generationEvents(generationId: $id, after: $after) {
        __typename
        sequence
        ... on MessageSnapshot {
          message { content { __typename index ... on TextBlock { text } ... on ThinkingBlock { text } } }
        }
        ... on TextDelta { index offset text }
        ... on ThinkingDelta { index offset text }
        ... on ContentBlockFinished { index block {
          ... on ToolUseBlock { name input }
          ... on ToolResultBlock { output isError }
        } }
        ... on ToolResultsRequired { toolUses { toolUseId name input } approvals { toolUseId } }
        ... on GenerationFailed { error { message } }
      }
    }
""")
SUBMIT = gql("""
    mutation Submit($input: SubmitToolResultsInput!) {
      submitToolResults(input: $input) { __typename ... on Error { message } }
    }
""")
ATTEMPTS = 8
FIRST_WAIT, LONGEST_WAIT = 1.0, 10.0
FORBIDDEN = 4403
YES = ("y", "yes")
LONGEST_RESULT = 500
"""Characters of a result that are shown."""
LOST = (TransportError, OSError, EOFError)
TERMINAL = ("GenerationCompleted", "GenerationStopped", "GenerationFailed")

Event = dict[str, Any]


class Refused(Exception):
    """The server said no; the message is its own."""


class Terminal:
    """One conversation: prompts, answers, and Ctrl+C."""

    def __init__(self, url: str, conversation: str | None, model: str | None, token: str | None) -> None:
        """Take the server's address, the conversation to go on with, the model, and whose token speaks."""
        self._url = url.rstrip("/").replace("http", "ws", 1) + "/graphql"
        self._shown_url = url
        self._conversation = conversation
        self._model = model
        self._signed = {"Authorization": f"Bearer {token}"} if token else {}
        self._console = Console(highlight=False, markup=False, soft_wrap=True)
        self._interactive = sys.stdin.isatty()

    def talk(self) -> int:
        """Ask and answer until the input ends; give the exit status."""
        if self._interactive:
            self._console.print("Ctrl+C stops an answer; at the prompt it leaves.", style="dim")
        with asyncio.Runner() as runner:
            try:
                while (said := self._prompt()) is not None:
                    if said.strip():
                        runner.run(self._turn(said))
            except KeyboardInterrupt:
                self._console.print()
            except Refused as refused:
                self._console.print(str(refused), style="red")
                return 1
            except LOST as lost:
                self._console.print(_why(lost, self._shown_url))
                return 1
        return 0

    def _prompt(self) -> str | None:
        try:
            return input("\n> ") if self._interactive else input()
        except EOFError:
            return None

    async def _turn(self, said: str) -> None:
        sent = await self._send(said)
        generation = sent["generation"]["id"]
        self._conversation = sent["conversation"]["id"]
        try:
            await self._follow(generation)
        except asyncio.CancelledError:
            # Ctrl+C cancels the turn, not the program: the answer is stopped, and the conversation goes on.
            async with self._connected() as session:
                await session.execute(_with(STOP, id=generation))
            self._console.print("\n(stopped)", style="dim")

    async def _send(self, said: str) -> dict[str, Any]:
        options = {"model": self._model} if self._model else None
        wanted = {"text": said, "conversationId": self._conversation, "options": options}
        asked = _with(SEND, input={**wanted, "idempotencyKey": str(uuid4())})
        async with self._connected() as session:
            with self._console.status("Sending …"):
                result = await session.execute(asked)
        payload: dict[str, Any] = result["sendMessage"]
        if "generation" not in payload:
            raise Refused(payload["message"])
        return payload

    async def _follow(self, generation: str) -> None:
        writer = Writer(self._console)
        status = self._console.status("Claude reads …")
        status.start()
        try:
            async for event in self._events(generation):
                status.stop()
                writer.write(event)
                if event["__typename"] == "ToolResultsRequired":
                    await self._answer_calls(generation, event)
        finally:
            status.stop()

    async def _answer_calls(self, generation: str, event: Event) -> None:
        """Ask for a yes or no where one is needed; tools of other clients cannot be run here."""
        asking = {call["toolUseId"] for call in event["approvals"]}
        results: list[dict[str, Any]] = []
        for call in event["toolUses"]:
            if call["toolUseId"] in asking:
                yes = await asyncio.to_thread(self._allowed, call["name"])
                results.append({"toolUseId": call["toolUseId"], "approved": yes})
            else:
                words = "The terminal has no such tool."
                results.append({"toolUseId": call["toolUseId"], "output": words, "isError": True})
        async with self._connected() as session:
            found = await session.execute(_with(SUBMIT, input={"generationId": generation, "results": results}))
        if "message" in found["submitToolResults"]:
            # Somebody else has answered, perhaps: the stream goes on as it does.
            self._console.print(found["submitToolResults"]["message"], style="dim")

    def _allowed(self, name: str) -> bool:
        self._console.print(f"\nMay Claude call {name}? [y/N] ", end="", style="bold")
        try:
            return input().strip().lower() in YES
        except EOFError:
            return False

    async def _events(self, generation: str) -> AsyncIterator[Event]:
        after: int | None = None
        attempt, backoff = 0, Backoff(FIRST_WAIT, LONGEST_WAIT)
        while True:
            try:
                async with self._connected() as session:
                    async for result in session.subscribe(_with(FOLLOW, id=generation, after=after)):
                        event: Event = result["generationEvents"]
                        after, attempt = event["sequence"], 0
                        backoff.reset()
                        yield event
            except LOST as lost:
                # The answer is written on; what was missed comes behind the last number seen.
                attempt += 1
                if attempt > ATTEMPTS or _is_forbidden(lost):
                    raise
                await asyncio.sleep(backoff.next())
            else:
                return

    def _connected(self) -> Any:
        subprotocols: Any = [WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL]
        return Client(transport=WebsocketsTransport(self._url, subprotocols=subprotocols, init_payload=self._signed))


def _with(document: GraphQLRequest, **variables: Any) -> GraphQLRequest:
    return GraphQLRequest(document, variable_values=variables)


def _is_forbidden(lost: BaseException | None) -> bool:
    """Say whether the server closed with 4403, somewhere behind what the library raised."""
    while lost is not None:
        if isinstance(lost, ConnectionClosed) and lost.rcvd is not None and lost.rcvd.code == FORBIDDEN:
            return True
        lost = lost.__cause__ or lost.__context__
    return False


def _why(lost: BaseException, url: str) -> str:
    if _is_forbidden(lost):
        return "The server does not know you: take a token, as of `tertulia token NAME`, in --token or TERTULIA_TOKEN."
    return f"No server answers at {url}. Start one with `tertulia serve`."


class Writer:
    """Prints what is new of an answer; text that a snapshot repeats is not printed again."""

    def __init__(self, console: Console) -> None:
        """Begin with nothing shown."""
        self._console = console
        self._shown: dict[int, str] = {}
        self._index: int | None = None
        self._ended = False

    def write(self, event: Event) -> None:
        """Print what an event adds; nothing after the terminal event, which may be sent again."""
        if self._ended:
            return
        self._ended = event["__typename"] in TERMINAL
        match event["__typename"]:
            case "MessageSnapshot":
                for block in event["message"]["content"]:
                    if "text" in block:
                        thinking = block["__typename"] == "ThinkingBlock"
                        self._show(block["index"], block["text"], thinking=thinking)
            case "TextDelta" | "ThinkingDelta":
                before = cut_utf16(self._shown.get(event["index"], ""), event["offset"])
                thinking = event["__typename"] == "ThinkingDelta"
                self._show(event["index"], before + event["text"], thinking=thinking)
            case "ContentBlockFinished" if "name" in event["block"]:
                given = json.dumps(event["block"]["input"], ensure_ascii=False)
                self._console.print(f"\n(tool: {event['block']['name']} {given})", style="dim")
            case "ContentBlockFinished" if "output" in event["block"]:
                word = "failed" if event["block"]["isError"] else "gave"
                output = event["block"]["output"]
                shown = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
                self._console.print(f"({word}: {shown[:LONGEST_RESULT]})", style="dim")
            case "GenerationFailed":
                self._console.print(f"\n{event['error']['message']}", style="red")
            case "GenerationCompleted":
                self._console.print()
            case _:
                pass

    def _show(self, index: int, text: str, *, thinking: bool) -> None:
        new = text[len(self._shown.get(index, "")) :]
        self._shown[index] = text
        if not new:
            return
        if self._index not in (None, index):
            self._console.print("\n")
        self._index = index
        self._console.print(new, end="", style="dim" if thinking else None)


def cut_utf16(text: str, units: int) -> str:
    """Give the first UTF-16 code units of a text."""
    return text if text.isascii() and units >= len(text) else text.encode("utf-16-le")[: 2 * units].decode("utf-16-le")
