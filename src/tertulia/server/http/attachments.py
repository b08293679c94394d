"""`/attachments`: multipart uploads, and downloads by their owners."""

import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from tertulia.attachments.media import FORMATS, MAX_BYTES
from tertulia.db.tables import Attachment
from tertulia.resolvers.attachments import FileRejected, download, download_converted, path_of, upload
from tertulia.resolvers.context import Context
from tertulia.resolvers.errors import NotFound
from tertulia.server.http.uploads import FORM, Refused, check_origin, received

HEADERS = {
    # Browsers must neither execute the content nor guess another type for it.
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, max-age=31536000, immutable",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Uploaded(BaseModel):
    """An uploaded file. Send its `id` as one of `attachmentIds` to attach it to a message."""

    id: str
    filename: str
    media_type: str
    size_bytes: int
    url: str
    width: int | None = Field(description="The width in pixels of the image that Claude receives; null for documents.")
    height: int | None = Field(
        description="The height in pixels of the image that Claude receives; null for documents."
    )
    pages: int | None = Field(description="The number of pages of a PDF; null for other files.")
    characters: int | None = Field(
        description="The length of a document that Claude receives as text; null for others."
    )
    converted_url: str | None = Field(description="The path of what Claude receives; null if that is the file itself.")
    created_at: str


def attachments_router(context: Callable[[Request], Awaitable[Context]], allowed_origins: Sequence[str]) -> APIRouter:
    """Return the routes of attachments.

    Args:
        context: Returns the context of a request.
        allowed_origins: The origins of other sites whose pages may upload.
    """
    router = APIRouter(tags=["attachments"])

    @router.post(
        "/attachments",
        summary="Upload an image or a document as the part `file` of a form",
        status_code=201,
        response_model=Uploaded,
        openapi_extra=FORM,
    )
    async def post(request: Request, request_context: Annotated[Context, Depends(context)]) -> Any:
        try:
            check_origin(request, allowed_origins)
            with tempfile.TemporaryDirectory(prefix="tertulia-") as folder:
                filename, file = await received(request, Path(folder), MAX_BYTES)
                attachment = await upload(request_context, filename, file)
        except Refused as refused:
            return refused.response()
        except FileRejected as error:
            code, status = ("UNSUPPORTED_MEDIA_TYPE", 415) if error.unknown else ("INVALID_INPUT", 422)
            return Refused(status, code, error.message).response()
        return JSONResponse(
            _uploaded(request_context, attachment).model_dump(), 201, {"Location": path_of(request_context, attachment)}
        )

    @router.get("/attachments/{id}", summary="Download an attachment of the viewer", response_class=Response)
    async def get(id: str, request_context: Annotated[Context, Depends(context)]) -> Response:
        try:
            attachment, pieces = await download(request_context, id)
        except NotFound as error:
            return Refused(404, "NOT_FOUND", error.message).response()
        disposition = "inline" if attachment.media_type in FORMATS.values() else "attachment"
        headers = {
            **HEADERS,
            "Content-Length": str(attachment.size_bytes),
            "Content-Disposition": f"{disposition}; filename*=UTF-8''{quote(attachment.filename)}",
        }
        return StreamingResponse(pieces, media_type=attachment.media_type, headers=headers)

    _add_converted(router, context)
    return router


def _add_converted(router: APIRouter, context: Callable[[Request], Awaitable[Context]]) -> None:
    @router.get(
        "/attachments/{id}/converted",
        summary="Download what Claude receives instead of an attachment of the viewer: a text, an image or a PDF",
        response_class=Response,
    )
    async def get_converted(id: str, request_context: Annotated[Context, Depends(context)]) -> Response:
        try:
            converted = await download_converted(request_context, id)
        except NotFound as error:
            return Refused(404, "NOT_FOUND", error.message).response()
        disposition = "inline" if converted.media_type in FORMATS.values() else "attachment"
        headers = {**HEADERS, "Content-Disposition": disposition}
        return Response(converted.data, media_type=converted.media_type, headers=headers)


def _uploaded(context: Context, attachment: Attachment) -> Uploaded:
    copied_fields = ("filename", "media_type", "size_bytes", "width", "height", "pages", "characters")
    values = {name: getattr(attachment, name) for name in copied_fields}
    url = path_of(context, attachment)
    return Uploaded(
        id=str(attachment.id),
        url=url,
        converted_url=None if attachment.sent_bytes is None else f"{url}/converted",
        created_at=attachment.created_at.isoformat(),
        **values,
    )
