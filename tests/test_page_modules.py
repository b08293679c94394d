"""The modules of the page that need no browser: formulas in Markdown, and the page's texts."""

import json
import re
from typing import Any

import pytest
from graphql import GraphQLEnumType, build_schema
from npm import NODE, run

pytestmark = pytest.mark.needs("node", "node_modules")
SOURCE = NODE.parent.parent / "web/app/src"

FORMULAS = {
    "parentheses": (r"a \(x\) b", "a [x] b"),
    "brackets over several lines": ("\\[\nx\n\\]", "[[\nx\n]]"),
    "two dollar signs": ("$$x$$ and $$ y $$", "[[x]] and [[ y ]]"),
    "one dollar sign": ("so $x_1$ and $y$, or ($z$)", "so [x_1] and [y], or ([z])"),
    "a formula of a list": ("1. a:\n   $$\n   x\n   $$\n2. b", "1. a:\n   [[\n   x\n   ]]\n2. b"),
    "a table": ("| $a|b$ | \\(c\\) |", "| [a|b] | [c] |"),
    "Markdown in a formula": (r"\(a_1 * b_1 * c\)", "[a_1 * b_1 * c]"),
    "an escaped dollar sign in a formula": (r"$$a\$b$$", r"[[a\$b]]"),
    "prices": ("It costs $5 and $10, or US$5 (A$7).", "It costs $5 and $10, or US$5 (A$7)."),
    "variables of a shell": ("Set $HOME/$USER or $PATH.", "Set $HOME/$USER or $PATH."),
    "escaped dollar signs": (r"\$5 and \$6", r"\$5 and \$6"),
    "escaped backslashes": (r"\\(x\\)", r"\\(x\\)"),
    "the target of a link": (r"[a](https://b.org/c_\(d\))", r"[a](https://b.org/c_\(d\))"),
    "inline code": (r"`\(x\)` and `` $`x`$ ``", r"`\(x\)` and `` $`x`$ ``"),
    "a code block": ("```tex\n\\[x\\]\n```\n\\(y\\)", "```tex\n\\[x\\]\n```\n[y]"),
    "a code block in a list": ("- ```\n  $$x$$\n  ```\n- $$y$$", "- ```\n  $$x$$\n  ```\n- [[y]]"),
    "a code block without an end": ("~~~\n$$x$$", "~~~\n$$x$$"),
    "a formula without an end": (r"a \(x", r"a \(x"),
}
GROWING = {
    "an unfinished formula": (r"a \(x + \frac{1", "a "),
    "the beginning of a delimiter": ("a \\", "a "),
    "an unfinished formula after a finished one": ("$$x$$ and $$y", "[[x]] and "),
    "an unfinished code block": ("```\n\\(x", "```\n\\(x"),
    "the rest of a paragraph": (r"a \(x\) b", "a [x] b"),
}


OPEN = {
    "no code": ("a `b` c", None),
    "a block with an end": ("```py\na\n```", None),
    "a block without an end": ("a\n```py\nb\nc", "b\nc"),
    "a second block": ("```\na\n```\nb\n~~~ html\nc", "c"),
    "a fence inside a longer one": ("````md\n```py\na\n```", "```py\na\n```"),
    "a fence with a language does not end a block": ("```md\n```py", "```py"),
    "a block in a list": ("- a\n  ```\n  b", "  b"),
    "backticks in one line": ("```a```\nb", None),
}
TITLES = {
    "a title": (("<title>Tea</title>", "html", ""), ("Tea", "html", "html")),
    "a file name after the language": (("p {}", "css", "style.css"), ("style.css", "css", None)),
    "an attribute after the language": (("a", "js", 'title="src/app.js" {1,3}'), ("src/app.js", "js", None)),
    "a first comment": (("# app.py\nprint(1)", "python", ""), ("app.py", "python", None)),
    "a comment after a shebang": (("#!/bin/sh\n# Backup\nls", "sh", ""), ("Backup", "sh", None)),
    "a comment of HTML": (("<!-- Tea -->\n<p>", "HTML", ""), ("Tea", "html", "html")),
    "a preprocessor's line": (("#include <a.h>", "c", ""), (None, "c", None)),
    "a heading": (("Text\n\n# Notes *on* tea\n", "markdown", ""), ("Notes *on* tea", "markdown", "markdown")),
    "a drawing": (("<svg><title>Cup</title></svg>", "xml", ""), ("Cup", "svg", "svg")),
    "no language": (("a", None, ""), (None, None, None)),
    "a long title": ((f"<title>{'a' * 99}</title>", "html", ""), ("a" * 59 + "…", "html", "html")),
}
DOWNLOADS = {
    ("src/app.js", "js"): "app.js",
    ("Tea & cake!", "html"): "tea-cake.html",
    ("お茶", "svg"): "お茶.svg",
    (None, "python"): "code.py",
    ("../..", None): "code.txt",
}


def call(*calls: tuple[Any, ...]) -> list[Any]:
    """Return the results of calls, each the name of a module, that of a function, and arguments."""
    return list(run("page_modules.mjs", json.dumps(calls)))


def marked(result: dict[str, Any]) -> str:
    """Return the text with its formulas in one or two brackets."""

    def formula(match: re.Match[str]) -> str:
        found = result["formulas"][ord(match[0]) - 0xE000]
        return f"[[{found['tex']}]]" if found["display"] else f"[{found['tex']}]"

    return re.sub("[\ue000-\uf8ff]", formula, result["text"])


def test_formulas_are_found_and_code_prices_and_links_are_not(subtests: pytest.Subtests) -> None:
    cases = [(*case, False) for case in FORMULAS.items()] + [(*case, True) for case in GROWING.items()]
    results = call(*(("formulas", "extractFormulas", text, growing) for _, (text, _), growing in cases))
    for (name, (_, expected), _), result in zip(cases, results, strict=True):
        with subtests.test(name):
            assert marked(result) == expected


def test_a_character_that_looks_like_a_placeholder_stays_in_the_text() -> None:
    (result,) = call(("formulas", "extractFormulas", "\ue000 and \\(x\\)", False))
    assert [formula["source"] for formula in result["formulas"]] == ["\ue000", r"\(x\)"]


def listed(id: str, day: int, **more: Any) -> dict[str, Any]:
    entry = {"id": id, "updatedAt": f"2026-03-{day:02}T12:00:00Z", "tags": [], "pinned": False}
    return entry | {"archived": False, "temporary": False} | more


def test_a_change_moves_adds_or_removes_a_conversation_in_the_loaded_part_of_a_list() -> None:
    filter = {"archived": False, "pinned": False, "tag": None}
    entries = [listed("c", 9), listed("b", 5), listed("a", 5)]

    def after(changed: dict[str, Any] | None, *, id: str = "", end: str | None = None, **other: Any) -> str:
        state = {"entries": entries, "end": end}
        (result,) = call(("@tertulia/react", "withChange", state, filter | other, id or (changed or {})["id"], changed))
        assert result["end"] == end
        return "".join(entry["id"] for entry in result["entries"])

    assert after(listed("a", 10)) == "acb"
    assert after(listed("d", 7)) == "cdba"
    assert after(listed("aa", 5)) == "cbaaa"
    assert (after(listed("d", 1)), after(listed("d", 1), end="more")) == ("cbad", "cba")
    assert (after(None, id="b"), after(listed("b", 5, archived=True)), after(listed("b", 5, pinned=True))) == (
        "ca",
    ) * 3
    assert after(listed("d", 10, temporary=True)) == "cba"
    assert after(listed("c", 9, tags=["tea"]), tag="tea") == "cba"
    assert after(listed("c", 9, tags=["tea"]), tag="te") == "ba"


def test_the_next_page_of_a_list_repeats_no_conversation_that_moved() -> None:
    first = {"entries": [listed("b", 5), listed("a", 4)], "end": "x"}
    (result,) = call(("@tertulia/react", "withPage", first, {"entries": [listed("b", 3), listed("c", 2)], "end": None}))
    assert ([entry["id"] for entry in result["entries"]], result["end"]) == (["b", "a", "c"], None)


PRESSED: dict[tuple[str, bool], str | None] = {
    ("ctrl o shift", True): "new",
    ("meta O shift", False): "new",
    ("ctrl o", False): None,
    ("ctrl k", True): "search",
    ("ctrl alt k", True): None,
    ("ctrl l shift", True): "copy",
    ("/", False): "composer",
    ("/", True): None,
    ("ctrl /", True): "help",
    ("ctrl / shift", True): "help",
    ("? shift", False): "help",
    ("? shift", True): None,
    ("Escape", False): "stop",
    ("Escape", True): None,
    ("alt ArrowDown", False): "next",
    ("alt ArrowDown", True): None,
    ("ArrowDown", False): None,
    ("l", False): None,
}
"""Keys with modifiers, whether a text field has the focus, and the shortcut."""


def test_shortcuts_leave_the_keys_of_text_fields_alone() -> None:
    modifiers = ("ctrl", "meta", "alt", "shift")

    def pressed(keys: str) -> dict[str, Any]:
        (key,) = set(keys.split()) - set(modifiers)
        return {"key": key, **{f"{name}Key": name in keys.split() for name in modifiers}}

    results = call(*(("shortcuts", "shortcutOf", pressed(keys), in_text) for keys, in_text in PRESSED))
    assert dict(zip(PRESSED, results, strict=True)) == PRESSED
    texts = call(*(("shortcuts", "keysText", "new", mac) for mac in (False, True)))
    assert texts == ["Ctrl+Shift+O", "⇧⌘O"]


def test_a_code_block_is_open_until_its_fence_ends() -> None:
    results = call(*(("codeBlocks", "openCode", text) for text, _ in OPEN.values()))
    assert dict(zip(OPEN, results, strict=True)) == {name: expected for name, (_, expected) in OPEN.items()}


def test_code_blocks_have_titles_previews_and_file_names() -> None:
    blocks = [dict(zip(("code", "language", "info"), block, strict=True)) for block, _ in TITLES.values()]
    results = call(*(("codeBlocks", "describe", block) for block in blocks))
    found = {name: tuple(result.values()) for name, result in zip(TITLES, results, strict=True)}
    assert found == {name: expected for name, (_, expected) in TITLES.items()}
    named = [{"title": title, "language": language} for title, language in DOWNLOADS]
    assert call(*(("codeBlocks", "downloadName", one) for one in named)) == list(DOWNLOADS.values())


def test_short_code_opens_only_with_a_preview() -> None:
    cases = (("a", "html", True), ("a", None, False), ("a\n" * 30, None, True))
    assert call(*(("codeBlocks", "opens", code, {"preview": preview}) for code, preview, _ in cases)) == [
        opens for _, _, opens in cases
    ]


def test_texts_have_plural_forms_and_values() -> None:
    one, many, value, unknown, known = call(
        ("messages", "t", "composer.uploading", {"count": 1}),
        ("messages", "t", "composer.uploading", {"count": 12}),
        ("messages", "t", "entry.actions", {"title": "{count}, plural"}),
        ("messages", "forCode", "failure", "A_NEW_CODE", "The server's message."),
        ("messages", "forCode", "failure", "OVERLOADED", "The server's message."),
    )
    assert (one, many) == ("Uploading 1 file…", "Uploading 12 files…")
    assert value == "Actions for {count}, plural"
    assert unknown == "The server's message."
    assert known.startswith("Claude is overloaded")


def test_amounts_are_shown_for_people() -> None:
    results = call(
        ("messages", "dollars", "0"),
        ("messages", "dollars", "0.0123"),
        ("messages", "number", 12_345),
        ("messages", "duration", 65),
        ("messages", "t", "usage.total", {"count": 0, "tokens": "0"}),
    )
    assert results == ["$0.00", "$0.0123", "12.3K", "1 min 5 sec", "0 tokens"]


def test_the_chart_of_usage_has_a_column_for_each_day_stacked_by_model() -> None:
    rows = [
        {"day": "2026-01-30", "model": "small", "cost": 1, "tokens": 500},
        {"day": "2026-02-01", "model": "small", "cost": 1, "tokens": 100},
        {"day": "2026-02-01", "model": "big", "cost": 3, "tokens": 100},
        {"day": "2025-12-01", "model": "before", "cost": 9, "tokens": 9},
    ]
    unpriced = [{**rows[0], "cost": None}, *rows[1:]]
    chart, tokens, empty = call(
        ("usageChart", "chartOf", rows, "2026-02-01", 3),
        ("usageChart", "chartOf", unpriced, "2026-02-01", 3),
        ("usageChart", "chartOf", [], "2026-02-01", 3),
    )
    assert (chart["inDollars"], chart["maximum"], chart["models"]) == (True, 4, ["big", "small"])
    assert [column["day"] for column in chart["columns"]] == ["2026-01-30", "2026-01-31", "2026-02-01"]
    assert [
        [(part["model"], part["start"], part["size"]) for part in column["segments"]] for column in chart["columns"]
    ] == [
        [("small", 0, 0.25)],
        [],
        [("big", 0, 0.75), ("small", 0.75, 0.25)],
    ]
    assert (tokens["inDollars"], tokens["maximum"], tokens["models"]) == (False, 500, ["small", "big"])
    assert (empty["maximum"], len(empty["columns"])) == (0, 3)


def test_devices_are_named_by_their_browser_and_system() -> None:
    webkit = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
    agents = {
        "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0": ("Firefox", "Linux"),
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {webkit} Chrome/130.0.0.0 Safari/537.36 Edg/130.0": (
            "Edge",
            "Windows",
        ),
        f"Mozilla/5.0 (Linux; Android 15) {webkit} Chrome/130.0.0.0 Mobile Safari/537.36": ("Chrome", "Android"),
        f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) {webkit} Version/18.0 Mobile/15E148 Safari/604.1": (
            "Safari",
            "iPhone",
        ),
        f"Mozilla/5.0 (Macintosh; Intel Mac OS X 14_0) {webkit} Version/18.0 Safari/605.1.15": ("Safari", "macOS"),
        "curl/8.5.0": ("curl", None),
        "": (None, None),
    }
    named = call(*(("device", "deviceOf", agent) for agent in agents))
    assert [(device["program"], device["system"]) for device in named] == list(agents.values())


def test_every_code_of_the_api_has_a_text() -> None:
    schema = build_schema((NODE.parent.parent / "schema/schema.graphql").read_text())
    keys = set(re.findall(r'^  "([\w.]+)":', (SOURCE / "messages/en.ts").read_text(), re.MULTILINE))
    for enum, group in (("GenerationErrorCode", "failure"), ("LeftOutReason", "leftOut"), ("Effort", "options.effort")):
        declared = schema.get_type(enum)
        assert isinstance(declared, GraphQLEnumType)
        assert [code for code in declared.values if f"{group}.{code}" not in keys] == []


def test_the_page_uses_every_text_and_contains_no_other_ones() -> None:
    sources = {path.name: path.read_text() for path in SOURCE.glob("*.ts*")}
    text = "\n".join(sources.values())
    for key in re.findall(r'^  "([\w.]+)":', (SOURCE / "messages/en.ts").read_text(), re.MULTILINE):
        group = key.rsplit(".", 1)[0]
        assert f'"{key}"' in text or f"`{group}.${{" in text or f'forCode("{group}"' in text, key
    for name, source in sources.items():
        shown = re.findall(
            r'(?<!=)>\s*([A-Z][a-z]+(?: [^<{]*)?)<|(?:aria-label|title|placeholder|alt)="([^"]+)"', source
        )
        assert [words for words in shown if "Tertulia" not in words[0]] == [], name
