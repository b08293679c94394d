"""Claude's Markdown as HTML, for pages without scripts.

The HTML has no elements or attributes from the text itself, loads nothing from other hosts, and links only to `http`,
`https` and `mailto`. Formulas and diagrams are shown as they are written; the script of the page draws them.
"""

import re
from collections.abc import Sequence
from functools import cache
from html import escape
from typing import TYPE_CHECKING

from tertulia.server.http.formulas import FIRST, PLACEHOLDER, extract_formulas

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

SCHEMES = ("http://", "https://", "mailto:")
FIRST_HEADING = 3
"""The level of the text's headings of level 1, below the headings of the page."""
MAX_CHARACTERS = 50_000
"""The maximum for one page. The parser takes up to 15 microseconds for each character of a hostile text."""


class AnswerRenderer:
    """Renders the answers of one page. Beyond `MAX_CHARACTERS` together, they are shown as they are written."""

    def __init__(self) -> None:
        """Create a renderer for one page."""
        self._remaining = MAX_CHARACTERS
        self.has_drawings = False
        """Whether an answer contains formulas or diagrams."""

    def render(self, text: str) -> str:
        """Return the HTML of a text in Markdown."""
        if len(text) > self._remaining:
            return f'<div class="text" dir="auto">{escape(text)}</div>'
        self._remaining -= len(text)
        parser = _parser()
        # The parser encodes addresses, and cannot encode unpaired surrogates.
        content = extract_formulas(text.encode("utf-8", "replace").decode())
        tokens = parser.parse(content.text)
        _adapt(tokens)
        _show_boxes(tokens)
        _insert(tokens, content.sources)
        diagrams = any(token.type == "fence" and token.info.split()[:1] == ["mermaid"] for token in tokens)
        self.has_drawings |= diagrams or content.sources != []
        html: str = parser.renderer.render(tokens, parser.options, {})
        return f'<div class="markdown" dir="auto">{html}</div>'


@cache
def _parser() -> "MarkdownIt":
    # Imported when the first page is shown, because servers without shares do not need it.
    from markdown_it import MarkdownIt

    class Parser(MarkdownIt):
        def validateLink(self, url: str) -> bool:  # noqa: N802 - the library's name
            return url.lower().startswith(SCHEMES)

    return Parser("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")


def _adapt(tokens: "Sequence[Token]") -> None:
    """Lower headings below those of the page, and change attributes that the page's policies forbid."""
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1:]) + FIRST_HEADING - 1, 6)}"
        elif token.type == "link_open":
            token.attrSet("rel", "nofollow noopener noreferrer")
        elif token.type in ("th_open", "td_open"):
            # The alignment of a column.
            token.attrs.pop("style", None)
        _adapt(token.children or ())


def _show_boxes(tokens: "Sequence[Token]") -> None:
    """Show `[ ]` and `[x]` at the beginning of items of lists as boxes."""
    for item, _, content in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if item.type == "list_item_open" and content.children and content.children[0].type == "text":
            first = content.children[0]
            first.content = re.sub(r"^\[([ xX])\] ", lambda box: "☐ " if box[1] == " " else "☑ ", first.content)


def _insert(tokens: "Sequence[Token]", sources: Sequence[str]) -> None:
    """Replace the placeholders of formulas: in texts by elements, and elsewhere by what was written."""
    if not sources:
        return

    def source(placeholder: re.Match[str]) -> str:
        position = ord(placeholder[0]) - FIRST
        # More placeholders than formulas were in the text itself.
        return sources[position] if position < len(sources) else placeholder[0]

    for token in tokens:
        token.attrs = {
            name: PLACEHOLDER.sub(source, value) if isinstance(value, str) else value
            for name, value in token.attrs.items()
        }
        if token.type == "text" and PLACEHOLDER.search(token.content):
            # A type whose content is not escaped again.
            token.type = "html_inline"
            token.content = PLACEHOLDER.sub(lambda found: _formula(source(found)), escape(token.content))
        else:
            token.content = PLACEHOLDER.sub(source, token.content)
        _insert(token.children or (), sources)


def _formula(source: str) -> str:
    return f'<span class="formula" dir="ltr">{escape(source)}</span>'
