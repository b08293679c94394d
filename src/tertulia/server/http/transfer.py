"""`/export` and `/import` of the viewer's conversations."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from tertulia.db import accounts
from tertulia.db.identities import Action
from tertulia.resolvers.context import Context, as_uuid
from tertulia.resolvers.errors import InvalidInput
from tertulia.server.http.uploads import FORM, Refused, check_origin, received
from tertulia.transfer import Format

TYPES = {Format.JSONL: "application/x-ndjson", Format.MARKDOWN: "text/markdown; charset=utf-8"}
FormatQuery = Annotated[
    Format, Query(alias="format", description="`jsonl`: JSON Lines, which `/import` accepts. `markdown`: for reading.")
]
ENDINGS = {Format.JSONL: "jsonl", Format.MARKDOWN: "md"}


class ImportedFile(BaseModel):
    """The result of an import."""

    conversation_ids: list[str]
    messages: int
    attachments: int
    memories: int = Field(description="Files of assistants. Those that the viewer has already are not changed.")
    blocks_left_out: int = Field(description="Content blocks of kinds that exist only in the other service.")


def export_router(context: Callable[[Request], Awaitable[Context]]) -> APIRouter:
    """Return the routes of exports. `context` returns the context of a request."""
    router = APIRouter(tags=["export and import"])

    @router.get("/export", summary="Export all conversations and memories of the viewer", response_class=Response)
    async def everything(
        request_context: Annotated[Context, Depends(context)], form: FormatQuery = Format.JSONL
    ) -> Response:
        await _audit_export(request_context, "all")
        return _download(_export(request_context, None, form), "conversations", form)

    @router.get("/export/{id}", summary="Export one conversation", response_class=Response)
    async def one(
        id: str, request_context: Annotated[Context, Depends(context)], form: FormatQuery = Format.JSONL
    ) -> Response:
        conversation_id = as_uuid(id)
        if conversation_id is None or await request_context.loaders.conversations.load(conversation_id) is None:
            return Refused(404, "NOT_FOUND", "No conversation with this id exists.").response()
        await _audit_export(request_context, str(conversation_id))
        return _download(_export(request_context, id, form), f"conversation-{conversation_id}", form)

    return router


def import_router(context: Callable[[Request], Awaitable[Context]], allowed_origins: Sequence[str]) -> APIRouter:
    """Return the route of imports.

    Args:
        context: Returns the context of a request.
        allowed_origins: The origins of other sites whose pages may upload.
    """
    router = APIRouter(tags=["export and import"])

    @router.post(
        "/import",
        summary="Import an export, or Claude's data export, as the part `file` of a form",
        status_code=201,
        response_model=ImportedFile,
        openapi_extra=FORM,
    )
    async def put_in(request: Request, request_context: Annotated[Context, Depends(context)]) -> Any:
        from tertulia.transfer.archives import MAX_FILE
        from tertulia.transfer.importer import import_file
        from tertulia.transfer.parser import unpacked_size

        try:
            check_origin(request, allowed_origins)
            with tempfile.TemporaryDirectory(prefix="tertulia-") as folder:
                _, file = await received(request, Path(folder), MAX_FILE)
                # An archive counts with its unpacked size.
                size = await asyncio.to_thread(unpacked_size, file)
                await request_context.limits.check_upload(request_context.viewer.user_id, size)
                imported = await import_file(request_context, file)
        except Refused as refused:
            return refused.response()
        except InvalidInput as error:
            return Refused(422, "INVALID_INPUT", error.message).response()
        return ImportedFile(
            conversation_ids=[str(id) for id in imported.conversation_ids],
            messages=imported.messages,
            attachments=imported.attachments,
            memories=imported.memories,
            blocks_left_out=imported.blocks_left_out,
        )

    return router


async def _audit_export(context: Context, conversations: str) -> None:
    async with context.database.write() as session:
        await accounts.audit(
            session, Action.EXPORTED, context.viewer.user_id, context.address, conversations=conversations
        )


def _export(context: Context, id: str | None, form: Format) -> AsyncIterator[bytes]:
    from tertulia.transfer.exporter import export

    conversation_id = as_uuid(id) if id else None
    ids = None if conversation_id is None else [conversation_id]
    return export(context.database, context.services.files.blobs, context.viewer.user_id, ids, form)


def _download(pieces: AsyncIterator[bytes], name: str, form: Format) -> Response:
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.{ENDINGS[form]}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(pieces, media_type=TYPES[form], headers=headers)
