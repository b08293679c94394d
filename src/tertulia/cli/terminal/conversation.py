"""The conversation in a terminal: send messages, follow answers, approve tool calls, and open other conversations."""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from gql import GraphQLRequest

from tertulia.cli.terminal import operations
from tertulia.cli.terminal.answer import AnswerReader, Kind, Piece
from tertulia.cli.terminal.reader import Reader
from tertulia.cli.terminal.screen import Screen
from tertulia.cli.terminal.server import RECONNECTING, Event, RefusedError, Server

SHOWN_MESSAGES = 6
"""The number of messages to show of a conversation that is opened."""
YES, ALWAYS = ("y", "yes"), ("a", "always")
WAITING = "Waiting for Claude … Ctrl+C stops the answer."


@dataclass
class Choices:
    """The user's choices for the next message.

    Attributes:
        model: The id of a model; None for the conversation's.
        effort: The effort, such as `HIGH`; None for the conversation's.
        assistant: The id of the assistant of a new conversation; None for the default one.
        attachments: The uploaded files, each with `id` and `filename`.
    """

    model: str | None = None
    effort: str | None = None
    assistant: str | None = None
    attachments: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def options(self) -> dict[str, Any] | None:
        """Return the options of a request."""
        options = {"model": self.model, "effort": self.effort}
        return {name: value for name, value in options.items() if value is not None} or None


class Conversation:
    """A conversation, which exists on the server from the first message on.

    Attributes:
        server: The server.
        screen: Shows answers.
        reader: Asks the user.
        is_interactive: Whether a person reads and writes in a terminal.
        choices: What the user has chosen for the next message.
        node: The conversation as the server returned it; None before the first message.
        generation: The last generation, with `id` and `message`; None before the first message.
        succeeded: Whether the last message was answered.
        models, assistants: Those that the user may choose.
    """

    def __init__(
        self, server: Server, screen: Screen, reader: Reader, choices: Choices, *, is_interactive: bool
    ) -> None:
        self.server, self.screen, self.reader = server, screen, reader
        self.is_interactive = is_interactive
        self.choices = choices
        self.node: dict[str, Any] | None = None
        self.generation: dict[str, Any] | None = None
        self.succeeded = True
        self.models: list[dict[str, Any]] = []
        self.assistants: list[dict[str, Any]] = []
        self._allowed: set[str] = set()
        self._unsent: dict[str, str] = {}

    async def load(self) -> str:
        """Load what the user may choose, and return the user's name."""
        data = await self.server.execute(operations.WELCOME)
        self.models, self.assistants = data["models"], data["assistants"]
        return str(data["viewer"]["name"])

    @property
    def model(self) -> dict[str, Any] | None:
        """The model that answers the next message, with `displayName` and `simulated`; None if it is not known."""
        if self.choices.model is not None:
            return next((model for model in self.models if model["id"] == self.choices.model), None)
        if self.node is not None:
            return dict(self.node["model"])
        chosen = self.choices.assistant
        for assistant in self.assistants:
            if assistant["id"] == chosen or (chosen is None and assistant["isDefault"]):
                return dict(assistant["model"])
        return next((model for model in self.models if model["default"]), None)

    async def send(self, text: str) -> None:
        """Send a message and show the answer.

        Raises:
            RefusedError: The server does not accept the message.
            TransportError, OSError, EOFError: The server cannot be reached. A message that is sent again is not stored
                twice.
        """
        self.succeeded = False
        message: dict[str, Any] = {"text": text, "options": self.choices.options()}
        if self.node is not None:
            message["conversationId"] = self.node["id"]
        elif self.choices.assistant is not None:
            message["assistantId"] = self.choices.assistant
        if self.choices.attachments:
            message["attachmentIds"] = [attachment["id"] for attachment in self.choices.attachments]
        # A message that was not acknowledged keeps its key.
        self._unsent = {text: self._unsent.get(text) or str(uuid4())}
        await self._start(operations.SEND, {**message, "idempotencyKey": self._unsent[text]})
        await self.follow()

    async def retry(self) -> None:
        """Request another answer to the last message, and show it."""
        if self.generation is None:
            raise RefusedError("There is no answer yet.")
        self.succeeded = False
        message = {"messageId": self.generation["message"]["id"], "options": self.choices.options()}
        await self._start(operations.REGENERATE, {**message, "idempotencyKey": str(uuid4())})
        await self.follow()

    async def _start(self, mutation: GraphQLRequest, input: dict[str, Any]) -> None:
        self.screen.begin("Sending …")
        try:
            payload = await self.server.mutate(mutation, input=input)
        except BaseException:
            self.screen.end()
            raise
        self.node, self.generation = payload["conversation"], payload["generation"]
        self.choices.attachments = []
        self._unsent = {}

    async def follow(self) -> None:
        """Show the last answer until it ends. Ctrl+C stops it."""
        if self.generation is None:
            return
        generation_id = self.generation["id"]
        answer = AnswerReader()
        self.screen.begin(WAITING)
        is_stopped = False
        try:
            async for event in self.server.events(generation_id):
                for piece in answer.read(event):
                    self.screen.show(piece)
                if event is RECONNECTING:
                    self.screen.begin("Reconnecting … the answer continues.")
                if event["__typename"] == "ToolResultsRequired" and not await self._submit(generation_id, event):
                    is_stopped = True
                    break
            self.succeeded = answer.ended and not answer.failed
        except asyncio.CancelledError:
            # Ctrl+C cancels the turn, not the program.
            is_stopped = True
        finally:
            self.screen.end()
        if is_stopped:
            await self.stop()

    async def stop(self) -> None:
        """Stop the last answer, and keep its text."""
        if self.generation is None:
            raise RefusedError("There is no answer to stop.")
        await self.server.mutate(operations.STOP, id=self.generation["id"])
        self.screen.say("(stopped)")

    async def _submit(self, generation_id: str, event: Event) -> bool:
        """Ask for approvals, and refuse client tools, which the terminal cannot run. Return False after Ctrl+C."""
        self.screen.end()
        approval_ids = {call["toolUseId"] for call in event["approvals"]}
        results: list[dict[str, Any]] = []
        for call in event["toolUses"]:
            if call["toolUseId"] in approval_ids:
                is_approved = await self._ask_approval(call["name"])
                if is_approved is None:
                    return False
                results.append({"toolUseId": call["toolUseId"], "approved": is_approved})
            else:
                message = "`tertulia chat` cannot run this tool."
                results.append({"toolUseId": call["toolUseId"], "output": message, "isError": True})
        try:
            await self.server.mutate(operations.SUBMIT, input={"generationId": generation_id, "results": results})
        except RefusedError as refused:
            # Another client may have submitted the results already. The stream then continues.
            self.screen.say(str(refused))
        self.screen.begin(WAITING)
        return True

    async def _ask_approval(self, name: str) -> bool | None:
        if name in self._allowed:
            return True
        choices = "[y/N/a]lways" if self.is_interactive else "[y/N]"
        reply = await self.reader.ask(f"Allow Claude to call {name}? {choices} ")
        if reply is None:
            return None
        if self.is_interactive and reply.strip().lower() in ALWAYS:
            self._allowed.add(name)
            return True
        return reply.strip().lower() in YES

    async def open(self, conversation_id: str) -> None:
        """Continue a conversation: show its last messages, and the answer that is being written.

        Raises:
            RefusedError: The user has no such conversation.
        """
        data = await self.server.execute(operations.CONVERSATION, id=conversation_id, last=SHOWN_MESSAGES)
        if data["conversation"] is None:
            raise RefusedError("No conversation with this id exists.")
        self.begin_new(None)
        self.node = data["conversation"]
        messages = [edge["node"] for edge in data["conversation"]["messages"]["edges"]]
        answers = [message for message in messages if message["generation"] is not None]
        if answers:
            self.generation = {"id": answers[-1]["generation"]["id"], "message": {"id": answers[-1]["id"]}}
        active = data["conversation"]["activeGeneration"]
        if not self.is_interactive:
            return
        self.screen.say(title_of(data["conversation"]), Kind.TEXT)
        for message in messages:
            if active is None or message["id"] != active["message"]["id"]:
                self._show(message)
        if active is not None:
            self.generation = active
            await self.follow()

    def _show(self, message: dict[str, Any]) -> None:
        if message["role"] == "USER":
            self.screen.say(f"\n> {message['text']}", Kind.TEXT)
            return
        self.screen.begin("")
        self.screen.show(Piece(Kind.TEXT, message["text"], 0))
        if message["generation"] and message["generation"]["error"]:
            self.screen.show(Piece(Kind.PROBLEM, message["generation"]["error"]["message"]))
        self.screen.end()

    def begin_new(self, assistant: str | None) -> None:
        """Leave the conversation, so that the next message begins another one."""
        self.choices.assistant = assistant
        self.node = self.generation = None
        self._allowed.clear()


def title_of(node: dict[str, Any]) -> str:
    """Return the title of a conversation."""
    return str(node["title"] or "Untitled")
