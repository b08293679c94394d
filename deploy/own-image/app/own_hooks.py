"""The hooks of this image: docs/moderation.md."""

import re
from dataclasses import replace

from tertulia import Send, hook

CARD = re.compile(r"\b\d(?:[ -]?\d){12,15}\b")


@hook(timeout=2, on_error="refuse")
async def before_send(send: Send) -> Send:
    """Remove card numbers before a message is stored."""
    return replace(send, text=CARD.sub("[card number]", send.text))
