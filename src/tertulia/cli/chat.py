"""`tertulia chat`: a terminal client of the public GraphQL API."""

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
ASSISTANTS = gql("query Assistants { assistants { id name description isDefault } }")
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
          ... on ToolUseBlock { name input partialJson }
          ... on ToolResultBlock { output isError }
        } }
        ... on ToolResultsRequired { toolUses { toolUseId name input } approvals { toolUseId } }
        ... on GenerationFailed { error { message } }
        ... on GenerationCompleted { generation { refusal { category explanation } } }
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
"""The maximum number of characters of a tool result to print."""
LOST = (TransportError, OSError, EOFError)
TERMINAL = ("GenerationCompleted", "GenerationStopped", "GenerationFailed")

Event = dict[str, Any]


class Refused(Exception):
    """The server refused a request; the message is the server's."""


class Terminal:
    """A conversation in the terminal: it reads prompts, prints answers, and stops an answer at Ctrl+C."""

    def __init__(
        self, url: str, conversation: str | None, model: str | None, token: str | None, assistant: str | None = None
    ) -> None:
        """Prepare a conversation, without connecting to the server.

        Args:
            url: The address of the server.
            conversation: The id of the conversation to continue, or None to start one.
            model: The id of a model, or None for the conversation's or the server's default.
            token: A personal access token, or None if the server does not require one.
            assistant: The id of the assistant of a new conversation, or None for the server's default.
        """
        self._url = url.rstrip("/").replace("http", "ws", 1) + "/graphql"
        self._server_url = url
        self._conversation = conversation
        self._model = model
        self._assistant = assistant
        self._init_payload = {"Authorization": f"Bearer {token}"} if token else {}
        self._console = Console(highlight=False, markup=False, soft_wrap=True)
        self._interactive = sys.stdin.isatty()

    def talk(self) -> int:
        """Run the conversation until the input ends, and return the exit status."""
        if self._interactive:
            self._console.print("Ctrl+C stops an answer. At the prompt, it exits.", style="dim")
        with asyncio.Runner() as runner:
            try:
                while (text := self._prompt()) is not None:
                    if text.strip():
                        runner.run(self._turn(text))
            except KeyboardInterrupt:
                self._console.print()
            except Refused as refused:
                self._console.print(str(refused), style="red")
                return 1
            except LOST as error:
                return self._report_lost(error)
        return 0

    def list_assistants(self) -> int:
        """Print the assistants that the user may choose, and return the exit status."""
        try:
            assistants = asyncio.run(self._assistants())
        except LOST as error:
            return self._report_lost(error)
        for assistant in assistants:
            name = f"{assistant['name']} (default)" if assistant["isDefault"] else assistant["name"]
            description = f": {assistant['description']}" if assistant["description"] else ""
            self._console.print(f"{assistant['id']}  {name}{description}")
        if not assistants:
            self._console.print("This server has no assistants that you may use.")
        return 0

    async def _assistants(self) -> list[dict[str, Any]]:
        async with self._connect() as session:
            result = await session.execute(ASSISTANTS)
        assistants: list[dict[str, Any]] = result["assistants"]
        return assistants

    def _report_lost(self, error: BaseException) -> int:
        self._console.print(_connection_problem(error, self._server_url))
        return 1

    def _prompt(self) -> str | None:
        try:
            return input("\n> ") if self._interactive else input()
        except EOFError:
            return None

    async def _turn(self, text: str) -> None:
        payload = await self._send(text)
        generation = payload["generation"]["id"]
        self._conversation = payload["conversation"]["id"]
        try:
            await self._follow(generation)
        except asyncio.CancelledError:
            # Ctrl+C cancels the turn, not the program: stop the answer and show the next prompt.
            async with self._connect() as session:
                await session.execute(_with_variables(STOP, id=generation))
            self._console.print("\n(stopped)", style="dim")

    async def _send(self, text: str) -> dict[str, Any]:
        options = {"model": self._model} if self._model else None
        message = {"text": text, "conversationId": self._conversation, "options": options}
        if self._assistant:
            message["assistantId"] = self._assistant
        request = _with_variables(SEND, input={**message, "idempotencyKey": str(uuid4())})
        async with self._connect() as session:
            with self._console.status("Sending …"):
                result = await session.execute(request)
        payload: dict[str, Any] = result["sendMessage"]
        if "generation" not in payload:
            raise Refused(payload["message"])
        # A conversation keeps its assistant, so only the first message names it.
        self._assistant = None
        return payload

    async def _follow(self, generation: str) -> None:
        writer = Writer(self._console)
        status = self._console.status("Waiting for Claude …")
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
        """Ask the user for approvals. Return an error result for client tools, which the terminal cannot run."""
        approval_ids = {call["toolUseId"] for call in event["approvals"]}
        results: list[dict[str, Any]] = []
        for call in event["toolUses"]:
            if call["toolUseId"] in approval_ids:
                approved = await asyncio.to_thread(self._ask_approval, call["name"])
                results.append({"toolUseId": call["toolUseId"], "approved": approved})
            else:
                message = "`tertulia chat` cannot run this tool."
                results.append({"toolUseId": call["toolUseId"], "output": message, "isError": True})
        async with self._connect() as session:
            response = await session.execute(
                _with_variables(SUBMIT, input={"generationId": generation, "results": results})
            )
        if "message" in response["submitToolResults"]:
            # Another client may have submitted the results already. The stream then continues.
            self._console.print(response["submitToolResults"]["message"], style="dim")

    def _ask_approval(self, name: str) -> bool:
        self._console.print(f"\nAllow Claude to call {name}? [y/N] ", end="", style="bold")
        try:
            return input().strip().lower() in YES
        except EOFError:
            return False

    async def _events(self, generation: str) -> AsyncIterator[Event]:
        after: int | None = None
        attempt, backoff = 0, Backoff(FIRST_WAIT, LONGEST_WAIT)
        while True:
            try:
                async with self._connect() as session:
                    async for result in session.subscribe(_with_variables(FOLLOW, id=generation, after=after)):
                        event: Event = result["generationEvents"]
                        after, attempt = event["sequence"], 0
                        backoff.reset()
                        yield event
            except LOST as error:
                # The server continues the answer; the next subscription resumes after the last sequence.
                attempt += 1
                if attempt > ATTEMPTS or _is_forbidden(error):
                    raise
                await asyncio.sleep(backoff.next())
            else:
                return

    def _connect(self) -> Any:
        subprotocols: Any = [WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL]
        return Client(
            transport=WebsocketsTransport(self._url, subprotocols=subprotocols, init_payload=self._init_payload)
        )


def _with_variables(document: GraphQLRequest, **variables: Any) -> GraphQLRequest:
    return GraphQLRequest(document, variable_values=variables)


def _is_forbidden(error: BaseException | None) -> bool:
    """Return whether the server closed with 4403, in any cause of the library's exception."""
    while error is not None:
        if isinstance(error, ConnectionClosed) and error.rcvd is not None and error.rcvd.code == FORBIDDEN:
            return True
        error = error.__cause__ or error.__context__
    return False


def _connection_problem(error: BaseException, url: str) -> str:
    if _is_forbidden(error):
        return "Not signed in. Run `tertulia token NAME` and pass the result with --token or TERTULIA_TOKEN."
    return f"Cannot connect to {url}. Start a server with `tertulia serve`, or pass its address with --url."


class Writer:
    """Prints an answer as its events arrive. Text that was printed before a snapshot is not printed again."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._printed: dict[int, str] = {}
        self._index: int | None = None
        self._open_text: int | None = None
        self._ended = self._continued = False

    def write(self, event: Event) -> None:
        """Print the text that an event adds. Events after the terminal event, which may be repeated, are ignored."""
        if self._ended:
            return
        self._ended = event["__typename"] in TERMINAL
        match event["__typename"]:
            case "MessageSnapshot":
                self._print_blocks(event["message"]["content"])
            case "TextDelta" | "ThinkingDelta":
                self._print_piece(event)
            case "ContentBlockFinished":
                self._print_finished(event["index"], event["block"])
            case "GenerationContinued":
                self._continued = True
            case "GenerationFailed":
                self._console.print(f"\n{event['error']['message']}", style="red")
            case "GenerationCompleted":
                note = "\n(interrupted and continued)" if self._continued else ""
                self._console.print(note, style="dim")
                if refusal := event.get("generation", {}).get("refusal"):
                    reason = ": ".join(filter(None, (refusal["category"], refusal["explanation"])))
                    self._console.print(f"Claude declined to answer ({reason or 'without a reason'}).", style="red")
            case _:
                pass

    def _print_blocks(self, blocks: list[dict[str, Any]]) -> None:
        for block in blocks:
            thinking = block["__typename"] == "ThinkingBlock"
            if "text" in block:
                self._print_new(block["index"], block["text"], thinking=thinking)
            if not thinking:
                self._open_text = block["index"] if "text" in block else None

    def _print_piece(self, event: Event) -> None:
        preceding = cut_utf16(self._printed.get(event["index"], ""), event["offset"])
        thinking = event["__typename"] == "ThinkingDelta"
        self._print_new(event["index"], preceding + event["text"], thinking=thinking)
        if not thinking:
            self._open_text = event["index"]

    def _print_finished(self, index: int, block: dict[str, Any]) -> None:
        if index == self._open_text:
            self._open_text = None
        if "name" in block:
            whole = block["partialJson"] is None
            input_text = json.dumps(block["input"], ensure_ascii=False) if whole else "interrupted"
            self._console.print(f"\n(tool: {block['name']} {input_text})", style="dim")
        elif "output" in block:
            label = "tool error" if block["isError"] else "tool result"
            output = block["output"]
            output_text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
            self._console.print(f"({label}: {output_text[:LONGEST_RESULT]})", style="dim")

    def _print_new(self, index: int, text: str, *, thinking: bool) -> None:
        new_text = text[len(self._printed.get(index, "")) :]
        self._printed[index] = text
        # An interrupted text can continue in the middle of a word, after thinking, which is therefore not printed.
        if not new_text or (thinking and self._open_text is not None):
            return
        if self._index not in (None, index):
            self._console.print("\n")
        self._index = index
        self._console.print(new_text, end="", style="dim" if thinking else None)


def cut_utf16(text: str, units: int) -> str:
    """Return the first `units` UTF-16 code units of a text."""
    return text if text.isascii() and units >= len(text) else text.encode("utf-16-le")[: 2 * units].decode("utf-16-le")
