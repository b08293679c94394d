"""The support assistant's tool, and the hooks that Tertulia calls for each message."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from catalog import CARTS, ORDERS, SHOP_URL

from tertulia import Document, Redactor, Refusal, Send, TextFilter, TextStream, ToolContext, ToolError, hook

CARD_NUMBER = r"\b\d(?:[ -]?\d){12,15}\b"
MEDICAL = re.compile(r"\b(cure|diagnos\w*|disease|heal|medicine|symptoms?)\b", re.IGNORECASE)


def read_help_page(file: Path) -> Document:
    """Return a help page, whose first paragraph is its title. Claude cites whole paragraphs."""
    title, *paragraphs = file.read_text(encoding="utf-8").split("\n\n")
    return Document(title.removeprefix("# "), f"{SHOP_URL}/help/{file.stem}", paragraphs)


HELP = [read_help_page(file) for file in Path(__file__).with_name("help").glob("*.md")]


async def find_order(number: str, context: ToolContext) -> dict[str, str]:
    """Find an order of the customer: what was ordered, and where it is.

    Args:
        number: The number of the order, such as 1042.
    """
    order = ORDERS.get(number)
    # The number comes from Claude. Only `context` says who is signed in.
    if order is None or order.customer != context.user_subject:
        raise ToolError("The customer has no order with this number.")
    return {"items": order.items, "status": order.status}


@hook(timeout=2, on_error="refuse")
async def before_send(send: Send) -> Send | Refusal:
    """Refuse medical questions, which are then neither stored nor sent to Claude. Add the cart to all others."""
    if MEDICAL.search(send.text):
        return Refusal("We sell tea and cannot give medical advice. Please ask your doctor.", code="MEDICAL")
    # The page sends the context, so customers could send any. The cart is that of the shop.
    return replace(send, context={**(send.context or {}), "cart": CARTS[send.viewer.id]})


@hook(timeout=5, on_error="allow")
async def retrieve(send: Send) -> Sequence[Document]:
    """Return the help pages whose title has a word of the question. A real shop asks its search engine."""
    return [page for page in HELP if stems(page.title) & stems(send.text)]


def stems(text: str) -> set[str]:
    """Return the beginnings of the longer words of a text."""
    return {word[:4] for word in re.findall(r"[a-z]{4,}", text.lower())}


@hook(timeout=0.1, on_error="refuse")
def transform_text(_stream: TextStream) -> TextFilter:
    """Hide card numbers that Claude writes, also while it is still writing them."""
    return Redactor(CARD_NUMBER, "[card number]", longest=32)
