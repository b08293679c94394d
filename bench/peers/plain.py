"""The plain peer: the naive peer with the operations of PROTOCOL.md, for the conformance suite.

It has what the documentation of Strawberry shows, and no log of events: conversations are in a dictionary, the resolver
of the subscription asks Claude, and `after` skips the first events of the new answer. Clients of Tertulia can call it,
and `tertulia conformance` reports which rules it does not follow.
"""

import argparse
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Annotated
from uuid import uuid4

import strawberry
import uvicorn
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter

from bench.peers import naive


@strawberry.interface
class ContentBlock:
    """A block of an answer."""

    index: int


@strawberry.type
class TextBlock(ContentBlock):
    """A text."""

    text: str


@strawberry.type
class ThinkingBlock(ContentBlock):
    """Thinking. This peer sends none."""

    text: str


@strawberry.type
class Message:
    """A message of a conversation."""

    id: strawberry.ID
    role: str
    text: str = ""

    @strawberry.field
    def content(self) -> list[ContentBlock]:
        """The blocks."""
        return [TextBlock(index=0, text=self.text)]


@strawberry.interface
class GenerationEvent:
    """One event of a generation."""

    sequence: int


@strawberry.type
class MessageSnapshot(GenerationEvent):
    """A snapshot. This peer sends none."""

    reason: str | None
    message: Message


@strawberry.type
class ContentBlockStarted(GenerationEvent):
    """A block begins."""

    index: int
    block: ContentBlock


@strawberry.type
class TextDelta(GenerationEvent):
    """A token."""

    index: int
    offset: int
    text: str


@strawberry.type
class ThinkingDelta(TextDelta):
    """Thinking. This peer sends none."""


@strawberry.type
class ContentBlockFinished(GenerationEvent):
    """A block is complete."""

    index: int
    block: ContentBlock


@strawberry.type
class Edge:
    """An event in the list."""

    node: GenerationEvent


@strawberry.type
class PageInfo:
    """The end of the list."""

    has_next_page: bool
    end_cursor: str | None


@strawberry.type
class Events:
    """The list of events."""

    edges: list[Edge]
    page_info: PageInfo


@strawberry.type
class Generation:
    """An answer."""

    id: strawberry.ID
    prompt: strawberry.Private[str]
    message: Message
    status: str = "RUNNING"
    log: strawberry.Private[list[GenerationEvent]] = field(default_factory=list)

    @strawberry.field
    def events(self, after: int | None = None, first: int = 100) -> Events:
        """The events that the last subscriber received."""
        later = [event for event in self.log if event.sequence > (after or 0)][:first]
        more = bool(later) and later[-1] is not self.log[-1]
        return Events(
            edges=[Edge(node=event) for event in later], page_info=PageInfo(has_next_page=more, end_cursor=None)
        )


@strawberry.type
class GenerationCompleted(GenerationEvent):
    """The answer is complete."""

    generation: Generation


@strawberry.type
class MessageEdge:
    """A message in the list."""

    node: Message


@strawberry.type
class Messages:
    """The messages of a conversation."""

    edges: list[MessageEdge]


@strawberry.type
class Conversation:
    """A conversation."""

    id: strawberry.ID
    stored: strawberry.Private[list[Message]] = field(default_factory=list)

    @strawberry.field
    def messages(self, first: int = 100) -> Messages:
        """The oldest messages."""
        return Messages(edges=[MessageEdge(node=message) for message in self.stored[:first]])


@dataclass
class Store:
    """The conversations and generations of the process."""

    conversations: dict[str, Conversation] = field(default_factory=dict[str, Conversation])
    generations: dict[str, Generation] = field(default_factory=dict[str, Generation])


store = Store()


@strawberry.interface
class Error:
    """An error."""

    message: str


@strawberry.type
class NotFound(Error):
    """The object does not exist."""


@strawberry.type
class InvalidInput(Error):
    """A field is wrong."""

    field: str


@strawberry.type
class RateLimited(Error):
    """Too many messages. This peer has no limit."""

    retry_after_seconds: float


@strawberry.type
class ConversationBusy(Error):
    """The conversation is being answered. This peer never says so."""

    generation: Generation


@strawberry.type
class SendMessagePayload:
    """The stored message and its generation."""

    conversation: Conversation
    user_message: Message
    generation: Generation


@strawberry.type
class GenerationPayload:
    """A generation."""

    generation: Generation


SendMessageResult = Annotated[
    SendMessagePayload | ConversationBusy | RateLimited | InvalidInput | NotFound, strawberry.union("SendMessageResult")
]
StopResult = Annotated[GenerationPayload | NotFound, strawberry.union("StopGenerationResult")]


@strawberry.input
class SendMessageInput:
    """A message of the user."""

    text: str
    conversation_id: strawberry.ID | None = None
    idempotency_key: strawberry.ID | None = None


def _id() -> strawberry.ID:
    return strawberry.ID(str(uuid4()))


@strawberry.type
class Query:
    """The queries."""

    @strawberry.field
    def generation(self, id: strawberry.ID) -> Generation | None:
        """An answer."""
        return store.generations.get(id)

    @strawberry.field
    def conversation(self, id: strawberry.ID) -> Conversation | None:
        """A conversation."""
        return store.conversations.get(id)


@strawberry.type
class Mutation:
    """The mutations."""

    @strawberry.mutation
    def send_message(self, input: SendMessageInput) -> SendMessageResult:
        """Store a message. Claude is asked when a client subscribes."""
        conversation = store.conversations.setdefault(input.conversation_id or _id(), Conversation(id=_id()))
        store.conversations[conversation.id] = conversation
        message = Message(id=_id(), role="USER", text=input.text)
        answer = Message(id=_id(), role="ASSISTANT")
        conversation.stored += [message, answer]
        generation = Generation(id=_id(), prompt=input.text, message=answer)
        store.generations[generation.id] = generation
        return SendMessagePayload(conversation=conversation, user_message=message, generation=generation)

    @strawberry.mutation
    def stop_generation(self, id: strawberry.ID) -> StopResult:
        """Stop an answer."""
        generation = store.generations.get(id)
        if generation is None:
            return NotFound(message="No such generation.")
        generation.status = "STOPPED"
        return GenerationPayload(generation=generation)


@strawberry.type
class Subscription:
    """The subscriptions."""

    @strawberry.subscription
    async def generation_events(
        self, generation_id: strawberry.ID, after: int | None = None
    ) -> AsyncGenerator[GenerationEvent, None]:
        """Ask Claude, and yield the events of the answer."""
        generation = store.generations[generation_id]
        text = ""
        log: list[GenerationEvent] = []
        generation.log = log
        async for event in naive.events(generation.prompt):
            if generation.status == "STOPPED":
                return
            if isinstance(event, naive.TextDelta):
                text += event.text
            shown = _converted(event, generation, text, len(log) + 1)
            log.append(shown)
            if shown.sequence > (after or 0):
                yield shown


def _converted(event: naive.GenerationEvent, generation: Generation, text: str, number: int) -> GenerationEvent:
    """Return the event with the fields of the protocol. The end stores the text."""
    match event:
        case naive.ContentBlockStarted(index=index):
            return ContentBlockStarted(sequence=number, index=index, block=TextBlock(index=index, text=""))
        case naive.TextDelta(index=index, offset=offset, text=piece):
            return TextDelta(sequence=number, index=index, offset=offset, text=piece)
        case naive.ContentBlockFinished(index=index):
            return ContentBlockFinished(sequence=number, index=index, block=TextBlock(index=index, text=text))
        case _:
            generation.status, generation.message.text = "COMPLETED", text
            return GenerationCompleted(sequence=number, generation=generation)


def create_app() -> FastAPI:
    """Create the application."""
    schema = strawberry.Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[
            *(TextBlock, ThinkingBlock, MessageSnapshot, ContentBlockStarted, TextDelta, ThinkingDelta),
            *(ContentBlockFinished, GenerationCompleted),
        ],
        execution_context_class=naive.FixedExecutor,
    )
    app = FastAPI()
    app.include_router(GraphQLRouter(schema), prefix="/graphql")
    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvicorn.run(create_app(), host="127.0.0.1", port=parser.parse_args().port, log_level="warning", access_log=False)
