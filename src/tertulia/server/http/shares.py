"""`/s/TOKEN`: the page of a shared conversation, for anybody who has the link.

It has no scripts, unless it has formulas or diagrams. One script draws them; without it, they are shown as they were
written.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from html import escape
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import HTMLResponse

from tertulia.db.paging import Page, PageError
from tertulia.db.tables import Role
from tertulia.ratelimit.errors import RateLimited
from tertulia.resolvers.content import JsonBlock, TextBlock, ThinkingBlock
from tertulia.resolvers.context import Context
from tertulia.resolvers.shares import (
    ROUTE,
    SharedBlock,
    SharedFile,
    SharedMessage,
    SharedToolCall,
    SharedToolResult,
    open_share,
    page_of,
)
from tertulia.server.http.answer_html import AnswerRenderer
from tertulia.server.http.pages import built_script
from tertulia.server.http.problems import retry_after

MESSAGES_ON_PAGE = 50
POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# Diagrams are drawn in the frame at `/diagrams`, and shown as images.
DRAWING_POLICY = POLICY + "; script-src 'self'; font-src 'self'; img-src blob:; frame-src 'self'"
HEADERS = {
    "Cache-Control": "no-store",
    # The address is a secret, so links to other sites must not send it.
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": POLICY,
}
AUTHORS = {Role.USER: "User", Role.ASSISTANT: "Claude"}
NOT_FOUND = "<h1>This link does not work</h1><p>It may have expired, or its owner has revoked it.</p>"


def shares_router(context: Callable[[Request], Awaitable[Context | None]]) -> APIRouter:
    """Return the route of the page.

    Args:
        context: Returns the context of a client that has not signed in; None if sharing is switched off.
    """
    router = APIRouter(include_in_schema=False)

    @router.get(ROUTE + "{token}")
    async def page(request: Request, token: str, after: Annotated[str | None, Query()] = None) -> HTMLResponse:
        try:
            reader = await context(request)
        except RateLimited as limited:
            return _page("<h1>Too many requests</h1><p>Try again later.</p>", status=429, headers=retry_after(limited))
        content = None if reader is None else await _read(reader, token, after)
        return _page(NOT_FOUND, status=404) if content is None else content

    return router


async def _read(reader: Context, token: str, after: str | None) -> HTMLResponse | None:
    """Return the page of a shared conversation; None if the token or the cursor is not valid."""
    async with reader.read_snapshot() as snapshot:
        shared = await open_share(snapshot, token, is_view=after is None)
        if shared is None:
            return None
        try:
            messages = await page_of(snapshot, shared.share, Page(first=MESSAGES_ON_PAGE, after=after))
        except PageError:
            return None
    title = shared.title or "Shared conversation"
    when = f"Shared on {shared.shared_at:%Y-%m-%d}"
    if shared.expires_at is not None:
        when += f", until {shared.expires_at:%Y-%m-%d %H:%M} UTC"
    renderer = AnswerRenderer()
    items = await asyncio.to_thread(_items, [edge.node for edge in messages.edges], renderer)
    info = messages.page_info
    # A relative address stays below any prefix.
    following = f'<p><a rel="next" href="?{urlencode({"after": info.end_cursor})}">Next messages</a></p>'
    parts = [f"<h1>{escape(title)}</h1><p class=quiet>{when}</p>", f"<ol>{items}</ol>"]
    script = built_script("shared") if renderer.has_drawings else None
    return _page("".join(parts) + (following if info.has_next_page else ""), title, script=script)


def _items(messages: Sequence[SharedMessage], renderer: AnswerRenderer) -> str:
    return "".join(_message(message, renderer) for message in messages)


def _message(message: SharedMessage, renderer: AnswerRenderer) -> str:
    context = "" if message.context is None else _details("Context", _json(message.context))
    is_answer = message.role is Role.ASSISTANT
    content = "".join(
        renderer.render(block.text) if is_answer and isinstance(block, TextBlock) else _block(block)
        for block in message.content
    )
    return f"<li class={message.role.value}><h2>{AUTHORS[message.role]}</h2>{context}{content}</li>"


def _block(block: SharedBlock) -> str:
    match block:
        case TextBlock() | JsonBlock():
            return f"<div class=text>{escape(block.text)}</div>"
        case ThinkingBlock():
            return "" if block.redacted else _details("Thinking", block.text)
        case SharedToolCall():
            name = f"Tool: {block.name}"
            return f"<p class=quiet>{escape(name)}</p>" if block.input is None else _details(name, _json(block.input))
        case SharedToolResult():
            return _details("Error of the tool" if block.is_error else "Result of the tool", _json(block.output))
        case SharedFile():
            return f"<p class=quiet>Attachment: {escape(block.filename)}</p>"


def _details(summary: str, text: str) -> str:
    return f"<details><summary>{escape(summary)}</summary><div class=text>{escape(text)}</div></details>"


def _json(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _page(
    body: str,
    title: str = "Tertulia",
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    script: str | None = None,
) -> HTMLResponse:
    element = "" if script is None else f'<script type="module" src="../assets/app/{escape(script)}"></script>'
    page = (
        '<!doctype html><html lang="en" data-base=".."><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="robots" content="noindex, nofollow, noarchive">'
        f'<title>{escape(title)}</title><link rel="stylesheet" href="../assets/web/share.css">{element}</head>'
        f"<body><main>{body}</main></body></html>"
    )
    policy = {} if script is None else {"Content-Security-Policy": DRAWING_POLICY}
    # Unpaired surrogates, which earlier versions stored, cannot be encoded.
    return HTMLResponse(page.encode("utf-8", "replace"), status, HEADERS | policy | (headers or {}))
