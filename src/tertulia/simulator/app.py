"""The simulated Claude: a Messages API server for development without an API key, and for tests.

It responds over HTTP with the response formats, errors and headers of the real API (docs.claude.com, "API reference").
`simulator.answers` writes its answers, and `simulator.request_rules` validates requests.
"""

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tertulia.json import Json
from tertulia.simulator.answers import plan
from tertulia.simulator.cache import PromptCache, count_tokens
from tertulia.simulator.compaction import after_summary, check_compaction, is_due, summary_usage, with_summary
from tertulia.simulator.context_edits import edit_context
from tertulia.simulator.diagnostics import Diagnoses
from tertulia.simulator.fallbacks import Credits, check_fallbacks, with_fallback
from tertulia.simulator.files import FileStore, inspect_media
from tertulia.simulator.option_rules import check_options, usage_words
from tertulia.simulator.rate_limits import RateLimits
from tertulia.simulator.request_rules import MODELS, Refused, check, model_info, refusing_wrong_shapes
from tertulia.simulator.responses import Report, message, stream
from tertulia.simulator.script import Failure, Plan
from tertulia.simulator.signatures import check_signatures, signed
from tertulia.simulator.summaries import check_summaries, is_summary_request, summary_plan
from tertulia.simulator.summaries import summary_usage as summary_usage_of
from tertulia.simulator.tool_rules import check_tools

MAX_BODY = 32 * 1024 * 1024
"""The maximum size of a request in bytes, as in the Messages API."""


def create_simulator(*, pace: float = 1.0) -> Starlette:
    """Return the application of a simulated Claude.

    Args:
        pace: The factor of all delays: 1 is reading speed, 0 means no delays.
    """
    files = FileStore()
    messages = _Messages(files, pace)
    routes = [
        Route("/v1/messages", messages.create, methods=["POST"]),
        Route("/v1/messages/count_tokens", messages.count_tokens, methods=["POST"]),
        *_file_routes(files),
        Route("/v1/models", _models, methods=["GET"]),
        Route("/v1/models/{model_id}", _model, methods=["GET"]),
    ]
    handlers: Any = {Refused: _refused, HTTPException: _http_error}
    return Starlette(routes=routes, exception_handlers=handlers)


class _Messages:
    """The routes of messages."""

    def __init__(self, files: FileStore, pace: float) -> None:
        self._files, self._pace = files, pace
        self._counts: dict[str, int] = {}
        self._cache, self._diagnoses, self._limits = PromptCache(), Diagnoses(), RateLimits()
        self._credits = Credits()

    async def create(self, request: Request) -> Response:
        full_body, dropped = await self._read(request, await _read_body(request))
        model = full_body["model"]
        self._limits.check(model)
        whole = summary_plan(full_body) if is_summary_request(full_body) else plan(full_body)
        planned, body = _next_attempt(self._counts, whole, full_body), after_summary(full_body)
        if planned.failure is not None:
            return _failure(planned.failure)
        planned, report = self._report(full_body, planned, request.headers.get("anthropic-beta", ""))
        report = replace(report, transformations=dropped)
        self._files.add_generated(planned.files)
        await asyncio.sleep(planned.first_delay * self._pace)
        if planned.near_limit is not None:
            self._limits.exhaust(model, planned.near_limit)
        headers = _headers(**self._limits.headers(model))
        if body.get("stream"):
            events = stream(body, planned, report, self._pace)
            return StreamingResponse(events, media_type="text/event-stream", headers=headers)
        await asyncio.sleep(sum(step.delay for step in planned.steps) * self._pace)
        return JSONResponse(message(body, planned, report), headers=headers)

    async def count_tokens(self, request: Request) -> Response:
        body, _ = await self._read(request, {"max_tokens": 1, **await _read_body(request)})
        edited, _ = edit_context(body)
        context = {"context_management": {"original_input_tokens": count_tokens(body)}}
        return JSONResponse(
            {"input_tokens": count_tokens(edited), **(context if "context_management" in body else {})},
            headers=_headers(),
        )

    async def _read(self, request: Request, body: Json) -> tuple[Json, list[Json] | None]:
        """Return a valid request with its media, and the thinking to drop. Raise Refused for an invalid request."""
        check(body)
        check_tools(body)
        betas = request.headers.get("anthropic-beta", "")
        with refusing_wrong_shapes():
            check_options(body, betas)
            check_compaction(body, betas)
            check_summaries(body, betas)
            check_fallbacks(body, betas)
        full_body = await asyncio.to_thread(inspect_media, body, self._files)
        return full_body, check_signatures(full_body, betas)

    def _report(self, full_body: Json, planned: Plan, betas: str) -> tuple[Plan, Report]:
        """Return the complete answer to a request, with summaries, signatures and fallbacks, and its report."""
        body = after_summary(full_body)
        if is_summary_request(full_body):
            return planned, Report(usage=summary_usage_of(body, planned) | usage_words(body))
        edited, edits = edit_context(body)
        usage = self._cache.use(edited).usage() | usage_words(body)
        if is_due(edited):
            planned = with_summary(planned, edited)
            usage["iterations"] = summary_usage(edited, dict(usage), planned.output_tokens)
        planned = signed(planned, body)
        usage |= self._credits.redeem(full_body, usage)
        if planned.stop_reason == "refusal":
            planned, usage = with_fallback(full_body, planned, usage, self._cache)
        report = Report(usage=usage, edits=edits if "context_management" in body else None)
        report = replace(report, diagnostics=self._diagnoses.explain(body, report.id))
        return self._credits.with_token(full_body, planned, betas), report


def _file_routes(files: FileStore) -> list[Route]:
    async def listed(request: Request) -> Response:
        _authenticate(request)
        data = files.list_metadata()
        return JSONResponse({"data": data, "has_more": False, "first_id": None, "last_id": None}, headers=_headers())

    async def upload(request: Request) -> Response:
        _authenticate(request)
        async with request.form(max_files=1) as form:
            upload_file = form.get("file")
            if upload_file is None or isinstance(upload_file, str):
                raise Refused(400, "invalid_request_error", "file: Field required")
            file_metadata = files.add(
                upload_file.filename or "unnamed", upload_file.content_type or "", await upload_file.read()
            )
        return JSONResponse(file_metadata, headers=_headers())

    async def metadata(request: Request) -> Response:
        return JSONResponse(_file_metadata(request, files), headers=_headers())

    async def content(request: Request) -> Response:
        file_metadata = _file_metadata(request, files)
        file = files.get(file_metadata["id"])
        if file is None or not file_metadata["downloadable"]:
            raise Refused(400, "invalid_request_error", f"File {file_metadata['id']} is not downloadable")
        return Response(file[1], headers=_headers(), media_type=file_metadata["mime_type"])

    async def delete(request: Request) -> Response:
        file_metadata = _file_metadata(request, files)
        files.remove(file_metadata["id"])
        return JSONResponse({"type": "file_deleted", "id": file_metadata["id"]}, headers=_headers())

    return [
        Route("/v1/files", listed, methods=["GET"]),
        Route("/v1/files", upload, methods=["POST"]),
        Route("/v1/files/{file_id}", metadata, methods=["GET"]),
        Route("/v1/files/{file_id}/content", content, methods=["GET"]),
        Route("/v1/files/{file_id}", delete, methods=["DELETE"]),
    ]


def _file_metadata(request: Request, files: FileStore) -> Json:
    _authenticate(request)
    file = files.get(request.path_params["file_id"])
    if file is None:
        raise Refused(404, "not_found_error", f"File not found: {request.path_params['file_id']}")
    return file[0]


class UnloggedProtocol(HttpToolsProtocol):
    """Does not log requests. With `access_log=False`, uvicorn would also silence the server that this one runs in."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.access_log = False


@asynccontextmanager
async def serving(app: Starlette, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[str]:
    """Serve in this event loop, and yield the base URL. Streams that are open at the end are closed."""
    config = uvicorn.Config(
        app, host, port, http=UnloggedProtocol, log_config=None, lifespan="off", timeout_graceful_shutdown=0
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    with _silence():
        await server.startup()
    if not server.started:
        raise OSError(f"The simulated Claude cannot listen on {host}:{port}.")
    main_loop = asyncio.create_task(server.main_loop())
    try:
        yield f"http://{host}:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        main_loop.cancel()
        with _silence():
            await server.shutdown()


@contextmanager
def _silence() -> Generator[None]:
    """Keep uvicorn from logging this server's start and stop. It shares a logger with the server that it runs in."""
    log = logging.getLogger("uvicorn.error")

    def drop(_record: logging.LogRecord) -> bool:
        return False

    log.addFilter(drop)
    try:
        yield
    finally:
        log.removeFilter(drop)


async def _read_body(request: Request) -> Json:
    _authenticate(request)
    body = await request.body()
    if len(body) > MAX_BODY:
        raise Refused(413, "request_too_large", "Request exceeds the maximum size")
    try:
        decoded: object = json.loads(body)
        if b"\\ud" in body.lower():
            json.dumps(decoded, ensure_ascii=False).encode()
    except ValueError:
        # Half a surrogate pair is no text, so it cannot be encoded.
        raise Refused(400, "invalid_request_error", "The request body is not valid JSON") from None
    if not isinstance(decoded, dict):
        raise Refused(400, "invalid_request_error", "Input should be a valid dictionary")
    return {**decoded}


def _authenticate(request: Request) -> None:
    key = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
    if not key or key.startswith("sk-ant-invalid"):
        raise Refused(401, "authentication_error", "invalid x-api-key" if key else "x-api-key header is required")
    if "anthropic-version" not in request.headers:
        raise Refused(400, "invalid_request_error", "anthropic-version: header is required")


async def _models(request: Request) -> Response:
    _authenticate(request)
    models = [model_info(model_id) for model_id in MODELS]
    ends = {"first_id": models[0]["id"], "last_id": models[-1]["id"], "has_more": False}
    return JSONResponse({"data": models, **ends}, headers=_headers())


async def _model(request: Request) -> Response:
    _authenticate(request)
    model_id = request.path_params["model_id"]
    if model_id not in MODELS:
        raise Refused(404, "not_found_error", f"model: {model_id}")
    return JSONResponse(model_info(model_id), headers=_headers())


def _next_attempt(counts: dict[str, int], planned: Plan, body: Json) -> Plan:
    """Return the plan of this attempt of a request, for scenarios that fail or break a few times and then succeed."""
    if planned.failure is not None:
        if _is_due(counts, "failure", body, planned.failure.times):
            return planned
        planned = replace(planned, failure=None)
    if planned.broken_steps is not None and body.get("stream") and _is_due(counts, "break", body, planned.breaks):
        return replace(planned, steps=planned.broken_steps, breaks_off=True)
    return planned


def _is_due(counts: dict[str, int], kind: str, body: Json, times: int | None) -> bool:
    """Count an attempt. Return whether it is among the first `times` attempts, or True if `times` is None."""
    if times is None:
        return True
    attempt = f"{kind} {json.dumps(body, sort_keys=True)}"
    counts[attempt] = counts.get(attempt, 0) + 1
    if counts[attempt] <= times:
        return True
    del counts[attempt]
    return False


def _headers(**extra: str) -> dict[str, str]:
    return {"request-id": f"req_{uuid.uuid4().hex[:24]}", **RateLimits().headers(), **extra}


def _error(status: int, kind: str, message: str, code: str | None = None, **extra_headers: str) -> JSONResponse:
    headers = _headers(**extra_headers)
    details = {} if code is None else {"details": {"error_code": code}}
    body = {"type": "error", "error": {"type": kind, "message": message, **details}}
    body["request_id"] = headers["request-id"]
    return JSONResponse(body, status, headers)


def _failure(failure: Failure) -> JSONResponse:
    extra_headers = {} if failure.retry_after is None else {"retry-after": str(failure.retry_after)}
    return _error(failure.status, failure.kind, failure.message, failure.code, **extra_headers)


async def _refused(_request: Request, refused: Refused) -> Response:
    return _error(refused.status, refused.kind, refused.message, refused.code, **refused.headers)


async def _http_error(_request: Request, error: HTTPException) -> Response:
    kind = "not_found_error" if error.status_code == HTTPStatus.NOT_FOUND else "invalid_request_error"
    return _error(error.status_code, kind, error.detail)
