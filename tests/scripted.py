"""A Messages API server whose every byte is chosen by the test. It records the requests."""

import json
import threading
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import anyio.to_thread
from running import running
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

Json = dict[str, Any]
WAIT = 60.0


class Cut(Exception):
    """Cuts the connection in the middle of the body."""


@dataclass
class Reply:
    """One answer: a body, with a status, or a stream of pieces."""

    pieces: list[Any] = field(default_factory=list[Any])
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    gate: "Gate | None" = None
    """A gate at which Claude waits before it sends the response's headers."""


class Gate:
    """A point in a stream at which Claude waits until the test opens it."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()


class ScriptedClaude:
    """Answers each request with the next reply; the last one is repeated."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.requests: list[Json] = []
        self.headers: list[dict[str, str]] = []
        self.clients: list[Any] = []
        self.when_asked: Callable[[], None] | None = None
        """Called for each request, before any part of the reply is sent."""
        self.address = ""
        self.files: dict[str, list[Reply]] = {}
        """The replies of the Files API by path, such as `file_1/content`. All others are 404."""
        self.file_requests: list[str] = []
        self.tokens: int | None = None
        """The input tokens that it counts; None if it has no such route."""
        self.counted: list[Json] = []
        self.models: Any = [model("claude-opus-5-5"), model("claude-haiku-5-5")]

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/messages", self._messages, methods=["POST"]),
                Route("/v1/messages/count_tokens", self._count, methods=["POST"]),
                Route("/v1/models", self._models, methods=["GET"]),
                Route("/v1/files/{path:path}", self._file, methods=["GET"]),
            ]
        )

    async def _count(self, request: Request) -> Response:
        self.counted.append(await request.json())
        return JSONResponse({"input_tokens": self.tokens}, 404 if self.tokens is None else 200)

    async def _models(self, _request: Request) -> Response:
        if isinstance(self.models, Gate):
            gate, self.models = self.models, [model("claude-opus-5-5")]
            gate.reached.set()
            await anyio.to_thread.run_sync(gate.open.wait, WAIT)
        if isinstance(self.models, int):
            return JSONResponse({"type": "error", "error": {"type": "api_error", "message": "no"}}, self.models)
        return JSONResponse({"data": self.models, "has_more": False, "first_id": None, "last_id": None})

    async def _file(self, request: Request) -> Response:
        path = request.path_params["path"]
        self.file_requests.append(path)
        replies = self.files.get(path) or [
            Reply(status=404, body={"type": "error", "error": {"type": "not_found_error"}})
        ]
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if reply.pieces:
            return StreamingResponse(self._stream(reply.pieces))
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        return Response(body, reply.status, {"content-type": "application/json"})

    async def _messages(self, request: Request) -> Response:
        self.requests.append(await request.json())
        self.headers.append(dict(request.headers))
        self.clients.append(request.client)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if self.when_asked is not None:
            await anyio.to_thread.run_sync(self.when_asked)
        if reply.gate is not None:
            reply.gate.reached.set()
            await anyio.to_thread.run_sync(reply.gate.open.wait, WAIT)
        headers = {"request-id": "req_scripted", **reply.headers}
        if reply.status != 200 or reply.body is not None:
            headers["content-type"] = "application/json"
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            return Response(body, reply.status, headers)
        return StreamingResponse(self._stream(reply.pieces), media_type="text/event-stream", headers=headers)

    async def _stream(self, pieces: list[Any]) -> AsyncIterator[bytes]:
        for piece in pieces:
            if isinstance(piece, Gate):
                piece.reached.set()
                await anyio.to_thread.run_sync(piece.open.wait, WAIT)
            elif piece is Cut:
                raise Cut
            else:
                yield piece if isinstance(piece, bytes) else sse(piece)


def sse(event: Json) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def model(id: str) -> Json:
    return {
        "type": "model",
        "id": id,
        "display_name": f"The {id}",
        "created_at": "2026-10-01T00:00:00Z",
        "max_input_tokens": 1_000_000,
        "max_tokens": 128_000,
    }


START: Json = {
    "type": "message_start",
    "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-5-5", "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 11, "output_tokens": 1},
    },
}  # fmt: skip
STOP: Json = {"type": "message_stop"}


def end(stop_reason: str = "end_turn", **usage: Any) -> list[Json]:
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    return [{"type": "message_delta", "delta": delta, "usage": {"output_tokens": 7, **usage}}, STOP]


def begin(index: int, **block: Any) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **values: Any) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **values}}


def finish(index: int) -> Json:
    return {"type": "content_block_stop", "index": index}


def text(*pieces: Any, index: int = 0) -> list[Any]:
    """Return the events of a text block. `pieces` are texts, and gates between them."""
    deltas = [delta(index, "text_delta", text=piece) if isinstance(piece, str) else piece for piece in pieces]
    return [begin(index, type="text", text=""), *deltas, finish(index)]


def says(*pieces: Any) -> Reply:
    """Return a complete answer with one text block."""
    return Reply([START, *text(*pieces), *end()])


def uses(*calls: tuple[str, Any]) -> Reply:
    """Return an answer that calls tools, given by name and input. Every call gets a unique id."""
    pieces: list[Any] = [START]
    for index, (name, input) in enumerate(calls):
        pieces += [
            begin(index, type="tool_use", id=f"toolu_{uuid4().hex}", name=name, input={}),
            delta(index, "input_json_delta", partial_json=json.dumps(input)),
            finish(index),
        ]
    return Reply([*pieces, *end("tool_use")])


@contextmanager
def scripted(*replies: Reply) -> Generator[ScriptedClaude]:
    """Serve a scripted Claude."""
    claude = ScriptedClaude(*replies)
    with running(claude.app(), lifespan="off") as claude.address:
        yield claude


EVERYTHING = [
    START,
    begin(0, type="thinking", thinking="", signature=""),
    delta(0, "thinking_delta", thinking="Let me "),
    delta(0, "thinking_delta", thinking="think."),
    delta(0, "signature_delta", signature="c2lnbmVk"),
    finish(0),
    *text("Hé ", "👋 ", "there", index=1),
    begin(2, type="tool_use", id="toolu_1", name="look", input={}),
    delta(2, "input_json_delta", partial_json='{"at": '),
    delta(2, "input_json_delta", partial_json='"it"}'),
    finish(2),
    *end(),
]
"""An answer with thinking, text and a tool use."""
