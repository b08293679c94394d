"""The messages of a conversation as those of the AI SDK, and what it shows of a generation."""

import asyncio
from typing import Any
from uuid import UUID

from tertulia.db import branches, tool_calls
from tertulia.db.paging import MAX_PAGE, Page
from tertulia.db.rows import AnyConversation, AnyGeneration, MessageRow
from tertulia.db.tables import UNFINISHED, Role, Status
from tertulia.generation.state import tool_results_required
from tertulia.json import Json
from tertulia.resolvers.content import AttachmentBlock, TextBlock, show
from tertulia.resolvers.context import Context
from tertulia.resolvers.messages import error, refusal, usage
from tertulia.server.http.aisdk.chunks import AnswerChunks, file_chunk
from tertulia.server.http.aisdk.parts import parts_of
from tertulia.server.http.rest import model_name, stop_reason_of


async def history(context: Context, conversation: AnyConversation) -> list[Json]:
    """Return the last messages of the active branch."""
    async with context.read() as session:
        page = await branches.page(session, context.viewer.user_id, conversation.active_leaf_id, Page(last=MAX_PAGE))
    rows = [edge.node for edge in page.edges]
    # Together, so that the loaders combine their queries.
    return await asyncio.gather(*[(_question if row.role is Role.USER else _answer)(context, row) for row in rows])


def path_of(context: Context, attachment_id: UUID) -> str:
    """Return the path at which clients of this context download an attachment."""
    return context.path(f"/attachments/{attachment_id}")


async def generated_file_chunks(context: Context, message_id: UUID) -> list[Json]:
    """Return the chunks of the files that Claude made for an answer."""
    files = await context.loaders.generated_files.load(message_id) or []
    ids = [file.attachment_id for file in files if file.attachment_id is not None]
    attachments = await context.loaders.attachments.load_many(ids)
    return [file_chunk(path_of(context, row.id), row.media_type) for row in attachments if row is not None]


async def metadata_of(context: Context, generation: AnyGeneration) -> Json:
    """Return the metadata of an answer, which is complete when the answer has ended."""
    billed, failure, declined = usage(generation), error(generation), refusal(generation)
    cost = billed.cost_usd if billed is not None else None
    counts = billed and {
        "inputTokens": billed.input_tokens,
        "outputTokens": billed.output_tokens,
        "cacheReadTokens": billed.cache_read_tokens,
        "cacheWriteTokens": billed.cache_write_tokens,
        "costUsd": None if cost is None else str(cost),
    }
    return {
        "conversationId": str(generation.conversation_id),
        "generationId": str(generation.id),
        "status": generation.status.value,
        "model": await model_name(context, generation.model),
        "stopReason": stop_reason_of(generation),
        "usage": counts,
        "refusal": declined and {"category": declined.category, "explanation": declined.explanation},
        "error": failure and {"code": failure.code.name, "message": failure.message},
    }


async def _question(context: Context, row: MessageRow) -> Json:
    blocks = show(row.content)
    ids = [block.attachment_id for block in blocks if isinstance(block, AttachmentBlock)]
    attachments = {file.id: file for file in await context.loaders.attachments.load_many(ids) if file is not None}
    parts: list[Json] = []
    for block in blocks:
        if isinstance(block, TextBlock):
            parts.append({"type": "text", "text": block.text})
        elif isinstance(block, AttachmentBlock) and (file := attachments.get(block.attachment_id)) is not None:
            parts.append({**file_chunk(path_of(context, file.id), file.media_type), "filename": file.filename})
    metadata: dict[str, Any] = {"metadata": row.app_metadata} if row.app_metadata else {}
    return {"id": str(row.id), "role": "user", "parts": parts, **metadata}


async def _answer(context: Context, row: MessageRow) -> Json:
    generation = await context.loaders.generation_of.load(row.id)
    chunks = AnswerChunks(lambda id: path_of(context, id))
    shown = chunks.show_all(row.content)
    if generation is None or generation.status not in UNFINISHED:
        shown += [*chunks.end(), *await generated_file_chunks(context, row.id)]
    elif generation.status is Status.AWAITING_TOOL_RESULTS:
        async with context.read() as session:
            calls = await tool_calls.of_generation(session, generation.id)
        required = tool_results_required(generation, row.content, calls)
        shown += [] if required is None else chunks.wait(required)
    metadata = {} if generation is None else {"metadata": await metadata_of(context, generation)}
    return {"id": str(row.id), "role": "assistant", "parts": parts_of(shown), **metadata}
