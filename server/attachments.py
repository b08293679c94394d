"""`/attachments`: uploads as multipart, and their bytes for whoever owns them."""

import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends
from pydantic import BaseModel
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from claude.media import MAX_BYTES
from db.tables import Attachment
from resolvers.attachments import NotTaken, download, upload, url
from resolvers.context import Context
from resolvers.errors import NotFound

MAX_UPLOAD = MAX_BYTES + 64 * 1024
"""Bytes of a request: the file, and the form around it."""
COPIED = 1024 * 1024
HEADERS = {
    # Whatever it is, no browser may run it, or take it for something else.
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, max-age=31536000, immutable",
    "Cross-Origin-Resource-Policy": "same-origin",
}
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


class Uploaded(BaseModel):
    """What was uploaded: send its id as one of `attachmentIds`. Pixels of an image, pages of a document."""

    id: str
    filename: str
    media_type: str
    size_bytes: int
    url: str
    width: int | None
    height: int | None
    pages: int | None
    created_at: str


class _Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def response(self) -> JSONResponse:
        shown = {"source": "tertulia", "code": self.code, "message": self.message}
        return JSONResponse({"error": shown}, self.status)


def attachments_router(context: Callable[[], Context], allowed_origins: Sequence[str]) -> APIRouter:
    """Make the routes; `context` gives each request's, `allowed_origins` are those of other sites' pages."""
    router = APIRouter(tags=["attachments"])

    @router.post(
        "/attachments",
        summary="Upload an image or a PDF, as the part `file` of a form",
        status_code=201,
        response_model=Uploaded,
        openapi_extra=FORM,
    )
    async def post(request: Request, with_: Annotated[Context, Depends(context)]) -> Any:
        try:
            _check_origin(request, allowed_origins)
            with tempfile.TemporaryDirectory(prefix="tertulia-") as folder:
                filename, file = await _received(request, Path(folder))
                made = await upload(with_, filename, file)
        except _Refused as refused:
            return refused.response()
        except NotTaken as error:
            code, status = ("UNSUPPORTED_MEDIA_TYPE", 415) if error.unknown else ("INVALID_INPUT", 422)
            return _Refused(status, code, error.message).response()
        return JSONResponse(_shown(made).model_dump(), 201, {"Location": url(made)})

    @router.get("/attachments/{id}", summary="The bytes of an attachment of one's own", response_class=Response)
    async def get(id: str, with_: Annotated[Context, Depends(context)]) -> Response:
        try:
            found, pieces = await download(with_, id)
        except NotFound as error:
            return _Refused(404, "NOT_FOUND", error.message).response()
        shown = "inline" if found.media_type.startswith("image/") else "attachment"
        headers = {
            **HEADERS,
            "Content-Length": str(found.size_bytes),
            "Content-Disposition": f"{shown}; filename*=UTF-8''{quote(found.filename)}",
        }
        return StreamingResponse(pieces, media_type=found.media_type, headers=headers)

    return router


def _check_origin(request: Request, allowed: Sequence[str]) -> None:
    # A form needs no preflight, so that any site's page could send one here with the visitor's browser.
    origin = request.headers.get("origin")
    host = request.headers.get("host", "")
    if origin is not None and origin not in allowed and origin.partition("://")[2] != host:
        raise _Refused(403, "FORBIDDEN_ORIGIN", "Pages of this origin may not upload here.")


async def _received(request: Request, folder: Path) -> tuple[str, Path]:
    """Write the form's file into the folder, never more of it than may be taken; gives its name and place."""
    content_type = request.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        raise _Refused(415, "UNSUPPORTED_MEDIA_TYPE", "An upload is a form of the type multipart/form-data.")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > MAX_UPLOAD:
        raise _too_large()
    try:
        form = await MultiPartParser(request.headers, _bounded(request.stream()), max_files=1, max_fields=0).parse()
    except MultiPartException as error:
        raise _Refused(422, "INVALID_INPUT", f"file: {error.message}") from None
    try:
        part = form.get("file")
        if part is None or isinstance(part, str):
            raise _Refused(422, "INVALID_INPUT", "file: the form has no file of this name.")
        file = folder / "upload"
        with file.open("wb") as written:
            while piece := await part.read(COPIED):
                written.write(piece)
        return part.filename or "", file
    finally:
        await form.close()


async def _bounded(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > MAX_UPLOAD:
            raise _too_large()
        yield piece


def _too_large() -> _Refused:
    return _Refused(413, "PAYLOAD_TOO_LARGE", f"An upload may hold {MAX_BYTES >> 20} MB.")


def _shown(made: Attachment) -> Uploaded:
    same = ("filename", "media_type", "size_bytes", "width", "height", "pages")
    values = {name: getattr(made, name) for name in same}
    return Uploaded(id=str(made.id), url=url(made), created_at=made.created_at.isoformat(), **values)
