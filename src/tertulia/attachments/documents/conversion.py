"""The conversion of a document to what Claude reads: a text, or passages with their places."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tertulia.attachments.documents import kinds
from tertulia.attachments.documents.archives import Archive
from tertulia.attachments.documents.errors import UnfitMedia, UnknownMedia
from tertulia.attachments.documents.kinds import RecognizedDocument, recognize
from tertulia.attachments.documents.mail import mail_units
from tertulia.attachments.documents.markup import book_units, page_units
from tertulia.attachments.documents.office import opendocument_units, slide_units, word_units
from tertulia.attachments.documents.passages import MAX_CHARACTERS, Passage, Unit, clean, passages
from tertulia.attachments.documents.sheets import delimited_units, workbook_passages
from tertulia.attachments.documents.texts import line_units, markdown_units, notebook_units, rtf_units
from tertulia.extras import is_installed
from tertulia.json import loads

MAX_PASSAGES = 10_000
Content = list[dict[str, str]] | str
"""What Claude reads of a document: its text, or text blocks."""

FROM_ARCHIVE: dict[str, Callable[[Archive], Iterator[Unit]]] = {
    kinds.DOCX: word_units,
    kinds.PPTX: slide_units,
    kinds.ODT: opendocument_units,
    kinds.ODP: opendocument_units,
    kinds.EPUB: book_units,
}
FROM_BYTES: dict[str, Callable[[bytes], Iterator[Unit]]] = {
    kinds.RTF: rtf_units,
    kinds.MAIL: mail_units,
}
FROM_TEXT: dict[str, Callable[[str], Iterator[Unit]]] = {
    kinds.HTML: page_units,
    kinds.MARKDOWN: markdown_units,
    kinds.NOTEBOOK: lambda text: notebook_units(loads(text)),
}
WORKBOOKS = (kinds.XLSX, kinds.WITH_MACROS[kinds.XLSX], kinds.XLSB, kinds.XLS, kinds.ODS)
WITHOUT_MACROS = {with_macros: media_type for media_type, with_macros in kinds.WITH_MACROS.items()}


@dataclass(frozen=True, slots=True)
class ConvertedDocument:
    """The text of a document.

    Attributes:
        media_type: The type of the document.
        content: What Claude reads.
        characters: The number of characters of the text.
    """

    media_type: str
    content: Content
    characters: int

    def to_json(self) -> bytes:
        """Return the content for storage."""
        return json.dumps({"content": self.content}, ensure_ascii=False).encode("utf-8", "surrogatepass")


def convert(data: bytes, filename: str) -> ConvertedDocument:
    """Convert a document.

    Args:
        data: The document.
        filename: Its name.

    Raises:
        UnknownMedia: Its type is not accepted.
        UnfitMedia: It is damaged, protected, too large, or has no text.
    """
    document = recognize(data, filename)
    if document.is_prose and document.text is not None:
        text = clean(document.text.removeprefix("\ufeff"))
        _check_length(len(text))
        content: Content = text
        characters = len(text) if text.strip() else 0
    else:
        blocks: list[dict[str, str]] = []
        characters = 0
        for passage in _passages(document, data):
            characters += len(passage.marked)
            blocks.append({"type": "text", "text": passage.marked})
            _check_length(characters)
            if len(blocks) > MAX_PASSAGES:
                raise UnfitMedia(f"the document must have at most {MAX_PASSAGES:,} pages, slides or other parts.")
        content = blocks
    if not characters:
        raise UnfitMedia("the document has no text. Pictures in it are not read: save it as a PDF.")
    return ConvertedDocument(document.media_type, content, characters)


def _passages(document: RecognizedDocument, data: bytes) -> Iterable[Passage]:
    media_type = WITHOUT_MACROS.get(document.media_type, document.media_type)
    needs_extra = document.text is None or media_type in (kinds.HTML, kinds.MAIL)
    if needs_extra and not is_installed("documents"):
        raise UnknownMedia(f'this server does not read {media_type}: it is installed without the extra "documents".')
    if document.media_type in WORKBOOKS:
        if document.archive is not None:
            document.archive.check_size()
        return workbook_passages(data)
    if document.archive is not None:
        return passages(FROM_ARCHIVE[media_type](document.archive))
    if media_type in FROM_BYTES:
        return passages(FROM_BYTES[media_type](data))
    text = document.text or ""
    if document.delimiter is not None:
        return passages(delimited_units(text, document.delimiter))
    return passages(FROM_TEXT.get(media_type, line_units)(text))


def _check_length(characters: int) -> None:
    if characters > MAX_CHARACTERS:
        raise UnfitMedia(f"the text of a document must have at most {MAX_CHARACTERS:,} characters.")
