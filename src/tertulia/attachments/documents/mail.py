"""The text of e-mail messages (RFC 5322)."""

from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from itertools import count

from tertulia.attachments.documents.markup import page_units
from tertulia.attachments.documents.passages import Unit

HEADERS = ("From", "To", "Cc", "Date", "Subject")


def mail_units(data: bytes) -> Iterator[Unit]:
    """Yield the most important headers, the paragraphs of the body, and the names of the attached files."""
    message = BytesParser(EmailMessage, policy=policy.default).parsebytes(data)
    headers = [f"{name}: {message[name]}" for name in HEADERS if message[name]]
    yield Unit("header", "", 1, "\n".join(headers))
    body = message.get_body(("plain", "html"))
    if body is not None and body.get_content_subtype() == "html":
        yield from page_units(body.get_content(), "body")
    elif body is not None:
        numbers = count(1)
        for paragraph in body.get_content().replace("\r\n", "\n").split("\n\n"):
            yield Unit("body", "paragraph", next(numbers), paragraph)
    names = [part.get_filename() or "without a name" for part in message.iter_attachments()]
    if names:
        yield Unit("attached files, which are not included", "", 1, "\n".join(names))
