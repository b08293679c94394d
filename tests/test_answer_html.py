"""Claude's Markdown as HTML on pages without scripts: its formulas, as the chat page finds them. Needs no server."""

import re

import pytest
from test_page_modules import FORMULAS

from tertulia.server.http.answer_html import AnswerRenderer
from tertulia.server.http.formulas import FIRST, PLACEHOLDER, extract_formulas


def marked(text: str) -> str:
    """Return the text with its formulas in one or two brackets."""
    result = extract_formulas(text)

    def formula(placeholder: re.Match[str]) -> str:
        source = result.sources[ord(placeholder[0]) - FIRST]
        length = 2 if source.startswith(("$$", "\\")) else 1
        tex = source[length:-length]
        return f"[[{tex}]]" if source.startswith(("$$", "\\[")) else f"[{tex}]"

    return PLACEHOLDER.sub(formula, result.text)


@pytest.mark.parametrize("name", FORMULAS)
def test_the_formulas_are_those_that_the_chat_page_finds(name: str) -> None:
    text, expected = FORMULAS[name]
    assert marked(text) == expected


def test_a_formula_is_text_in_html_and_what_is_none_stays_as_written() -> None:
    renderer = AnswerRenderer()
    html = renderer.render(
        '*a* \\(x_1<y_1\\) `$x$` [link](https://example.com "$t$") \ue000\n\n    $$code$$\n\n| $a|b$ |\n| --- |'
    )
    assert '<em>a</em> <span class="formula" dir="ltr">\\(x_1&lt;y_1\\)</span> <code>$x$</code>' in html
    assert 'title="$t$"' in html
    assert "<code>$$code$$" in html
    assert '<th><span class="formula" dir="ltr">$a|b$</span></th>' in html
    assert "\ue000" in html
    assert renderer.has_drawings


def test_items_of_lists_show_what_is_done() -> None:
    html = AnswerRenderer().render("- [x] *tea*\n- [ ] cup\n- [y] [x] pot\n\n[x] no item")
    assert re.findall("<li>(.*)</li>", html) == ["☑ <em>tea</em>", "☐ cup", "[y] [x] pot"]
    assert "<p>[x] no item</p>" in html


@pytest.mark.parametrize(
    ("text", "expected"),
    [("It costs $5.", False), ("`$x$`", False), ("```mermaid\ngraph\n```", True), ("- ```mermaid x\n  a\n  ```", True)],
)
def test_an_answer_without_formulas_and_diagrams_needs_no_script(text: str, *, expected: bool) -> None:
    renderer = AnswerRenderer()
    renderer.render(text)
    assert renderer.has_drawings is expected


@pytest.mark.parametrize("piece", ["\\[", "\\(", "$x", "` `` ", "](a(b", "](\\a", "\n\n\\(", "> ", "\n> ```a\n"])
def test_each_position_of_a_hostile_text_is_read_a_few_times_only(piece: str) -> None:
    # A search that begins again at each of these would read a billion characters.
    text = piece * (50_000 // len(piece))
    assert extract_formulas(text).text == text
