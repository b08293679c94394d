"""The naive peer: what a team would write in a day with Strawberry, FastAPI and the Anthropic SDK.

The subscription's resolver iterates `messages.stream()`, as both documentations show, and yields one event per token.
Nothing is stored. The list has a resolver for each field of a row, and each opens a query. For a fair comparison it is
served as its documentation advises (uvicorn with uvloop, httptools and websockets, no access log, one SDK client),
sends the same events, and uses SQLite in WAL mode like Tertulia. It does without a cache of graphql-core 3.3.2 that the
executors of single events share, and that grows with every event.
"""

import argparse
import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Any
from uuid import UUID

import anthropic
import strawberry
import uvicorn
from fastapi import FastAPI
from graphql.execution import Executor
from strawberry.fastapi import GraphQLRouter
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from bench.peers.naive_list import Conversations
from bench.upstream import MODEL


@strawberry.interface
class GenerationEvent:
    """One event of the stream."""

    sequence: int


@strawberry.type
class SnapshotMessage:
    """The message of a snapshot. This peer sends none."""

    text: str


@strawberry.type
class MessageSnapshot(GenerationEvent):
    """A snapshot. It exists because the load's document selects it."""

    message: SnapshotMessage


@strawberry.type
class ContentBlockStarted(GenerationEvent):
    """A block begins."""

    index: int


@strawberry.type
class TextDelta(GenerationEvent):
    """A token."""

    index: int
    offset: int
    text: str


@strawberry.type
class ContentBlockFinished(GenerationEvent):
    """A block is complete."""

    index: int


@strawberry.type
class Usage:
    """The tokens of an answer."""

    input_tokens: int
    output_tokens: int


@strawberry.type
class Generation:
    """The state of an answer that has ended."""

    status: str
    stop_reason: str | None
    usage: Usage | None


@strawberry.type
class GenerationCompleted(GenerationEvent):
    """The answer is complete."""

    generation: Generation


@strawberry.type
class GenerationError:
    """Why an answer failed."""

    code: str
    message: str


@strawberry.type
class GenerationFailed(GenerationEvent):
    """The answer has failed."""

    error: GenerationError


@strawberry.type
class Viewer:
    """The authenticated caller."""

    id: strawberry.ID
    name: str


@strawberry.type
class Query:
    """The queries."""

    @strawberry.field
    def viewer(self) -> Viewer:
        """The authenticated caller."""
        return Viewer(id=strawberry.ID(str(UUID(int=1))), name="local")

    @strawberry.field
    def conversations(self, first: int = 50) -> Annotated[Conversations, strawberry.lazy("naive_list")]:
        """The newest conversations."""
        return Conversations(first=first)


client = anthropic.AsyncAnthropic(api_key="sk-ant-bench", base_url=os.environ.get("ANTHROPIC_BASE_URL"))


async def events(text: str) -> AsyncIterator[GenerationEvent]:
    """Convert the SDK's events."""
    sequence = offset = 0
    async with client.messages.stream(
        model=MODEL, max_tokens=32_000, messages=[{"role": "user", "content": text}]
    ) as stream:
        async for event in stream:
            sequence += 1
            if event.type == "content_block_start":
                yield ContentBlockStarted(sequence=sequence, index=event.index)
            elif event.type == "content_block_delta" and event.delta.type == "text_delta":
                yield TextDelta(sequence=sequence, index=event.index, offset=offset, text=event.delta.text)
                offset += len(event.delta.text)
            elif event.type == "content_block_stop":
                yield ContentBlockFinished(sequence=sequence, index=event.index)
        message = await stream.get_final_message()
    usage = Usage(input_tokens=message.usage.input_tokens, output_tokens=message.usage.output_tokens)
    ended = Generation(status="COMPLETED", stop_reason=message.stop_reason, usage=usage)
    yield GenerationCompleted(sequence=sequence + 1, generation=ended)


@strawberry.type
class Subscription:
    """The subscriptions."""

    @strawberry.subscription
    async def answer(self, text: str) -> AsyncGenerator[GenerationEvent, None]:
        """Send a message to Claude, and yield the events of the answer."""
        async for event in events(text):
            yield event

    @strawberry.subscription
    async def idle(self) -> AsyncGenerator[GenerationEvent, None]:
        """Yield one event, then wait: the cost of an open subscription without a connection to Claude."""
        yield TextDelta(sequence=1, index=0, offset=0, text="0" * 26)
        await asyncio.Event().wait()


class FixedExecutor(StrawberryGraphQLCoreExecutionContext):
    """Use a separate cache for each event, which is freed with the event."""

    def build_per_event_executor(self, payload: Any) -> Executor[Any]:
        """Copy the executor without the cache entries of earlier events."""
        executor = super().build_per_event_executor(payload)
        executor._relevant_sub_fields = {}  # noqa: SLF001 - the cache is a private attribute
        return executor


def create_app() -> FastAPI:
    """Create the application."""
    schema = strawberry.Schema(
        query=Query,
        subscription=Subscription,
        types=[
            MessageSnapshot,
            ContentBlockStarted,
            TextDelta,
            ContentBlockFinished,
            GenerationCompleted,
            GenerationFailed,
        ],
        execution_context_class=FixedExecutor,
    )
    app = FastAPI()
    app.include_router(GraphQLRouter(schema), prefix="/graphql")
    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    uvicorn.run(
        create_app(),
        host="127.0.0.1",
        port=parser.parse_args().port,
        log_level="warning",
        access_log=False,
        backlog=2048,
        loop="uvloop",
        http="httptools",
        ws="websockets",
    )
