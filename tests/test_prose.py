"""Texts of the code and the docs contain no phrases that read as if they had been translated word by word."""

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import cleandoc
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SUFFIXES = {".py", ".md", ".ts", ".tsx", ".mjs", ".graphql", ".css", ".html", ".yml", ".yaml", ".toml", ".sh"}
OTHER_NAMES = {"Makefile", "Dockerfile"}
SKIPPED = {"node_modules", "build", "dist", "site", "databases", "generated", "__pycache__"}

_QUESTION_OR_NOUN = r"is the|are the|does|do|did|can|should|must I|happens (?:if|when)|if"
_ONE = r"(?:a|an|the|its|their|this|that)"
_OWNER = (
    rf"ours|theirs|hers|mine|yours|{_ONE} (?:\w+ )?\w+'s|(?:Claude|Anthropic|Tertulia|PostgreSQL|Redis|Strawberry)'s"
)
_PLACE = r"in|on|at|beside|next|twice|there|before|after|under|behind|between|above|below|alone|by|for the|here|so|as"
PHRASES = {
    "name who or what does it": (
        rf"(?:\A|(?<=[.;!?] )|(?<=\n))(?:Who|What|Whatever|Such as) (?!(?:{_QUESTION_OR_NOUN}) )[a-z][^?.;\n]*[.;]"
        r"|\b[Ww]hoever\b|\b(?:to|by|from|for|of|with) who\b"
    ),
    "`after`": (
        r"\bbehind (?:a|an|the|each|every|this|that|its|their) (?:last |first |newest )?"
        r"(?:number|sequence|text|event|cursor|message)s?\b"
    ),
    "`is in`, `is next to`, `is duplicated`": rf"\b(?:stands?|stood|standing) (?:{_PLACE})\b",
    "`our`, `the client's`, `Claude's`": rf"\bof (?:{_OWNER})\b(?! [\w`\[*\"({{$])",
    "the noun instead of `such`": (
        r"\bsuch as (?:ask|are|is|have|has|do|may|can|want|need|run|wait)\b"
        r"|\b(?:and|or|of|for|to) such as\b|\bsuch (?:as|a one) (?:that|which)\b"
    ),
    "`queued`, `a queue forms`": (
        r"\b(?:waits?|stands?|waiting|next|first|last|place|everything|more|those|messages?) in line\b"
        r"|\ba line forms\b|\bin the line\b"
    ),
    "`recreated`, `retried`, `retried without`": r"\banew\b|\b(?:asked|asks|made|said|told) otherwise\b",
    "`fix`": r"\b[Mm]end(?:s|ed|ing)?\b",
    "`authenticate`, `notify`": (
        r"\bdoors?\b|\bdoorbell\b|\bbells?\b|\blets? (?:\w+ )?in\b(?! (?:the|a|this|that) )|\brung\b"
        r"|\b[Rr]ings? (?:the|a|every|all|each|whom|its|their|it)\b"
    ),
    "`a round trip`, `the transport`": (
        r"\b(?:a|one|each|every|per|two|three|no|another|the|in|single) visits?\b(?! (?:https?:|/))|\bthe wire's\b"
    ),
    "`disconnected`, `released`": r"\b(?:is|are|was|were|be) let go\b",
    "`nevertheless`, or nothing": r"\ball the same\b",
    "`continues`": r"\b(?:goes|go|going|went) on\b(?! (?:to the|strike|the))",
    "what happens": r"\bcomes? to nothing\b|\bcame of (?:it|them|each)\b|\bwhat became of\b",
    "`exists`": r"\b(?:is|are|was|were) not there\b|\bis there (?:again|no more|already)\b|\bno more there\b",
}
"""The advice for each pattern."""
OPENINGS = {"a verb for what the function does or returns": r"\A(?:Give|Tell|Say|Know|Take|Let|Hold|Look)\b"}
"""The same for the first words of docstrings."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text of a file, and the line on which it begins."""

    line: int
    words: str
    is_docstring: bool = False


def python_texts(source: str) -> Iterator[Text]:
    """Yield docstrings, other strings that contain a space, comments, and the names of tests."""
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr):
            # `walk` yields a statement before its value.
            docstrings.add(id(node.value))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            is_docstring = id(node) in docstrings
            yield Text(node.lineno, cleandoc(node.value) if is_docstring else node.value, is_docstring)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield Text(node.lineno, node.name.removeprefix("test_").replace("_", " "))
    for comment in re.finditer(r"(?:^[ \t]*#.*\n)+|(?<=  )# .*$", source, re.MULTILINE):
        words = re.sub(r"^[ \t]*# ?", "", comment.group(), flags=re.MULTILINE)
        yield Text(source.count("\n", 0, comment.start()) + 1, words)


def texts(file: Path) -> Iterator[Text]:
    """Yield the texts of a file: those of Python code, or the whole file without the code blocks of Markdown."""
    source = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        yield from python_texts(source)
        return
    if file.suffix == ".md":
        source = re.sub(
            r"^```.*?^```", lambda block: "\n" * block.group().count("\n"), source, flags=re.MULTILINE | re.DOTALL
        )
    # Without the marks of comments, lists and quotes, the words of wrapped lines are adjacent.
    yield Text(1, re.sub(r"^[ \t]*(?:#|//|\*|>)?[ \t]*", "", source, flags=re.MULTILINE))


def found(text: Text) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the words and the advice of each phrase. Lines of the same paragraph are joined."""
    joined = re.sub(r"(?<!\n)\n(?![\n\-*|#0-9])", " ", text.words)
    for advice, pattern in (PHRASES | OPENINGS if text.is_docstring else PHRASES).items():
        for match in re.finditer(pattern, joined):
            yield text.line + text.words.count("\n", 0, match.start()), match.group(), advice


def files() -> Iterator[Path]:
    """Yield the files of this repository that contain prose."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [
            name for name in folders if name not in SKIPPED and (not name.startswith(".") or name == ".github")
        ]
        yield from (Path(folder, name) for name in names if Path(name).suffix in SUFFIXES or name in OTHER_NAMES)


def test_texts_are_plain_english() -> None:
    problems = [
        f"{file.relative_to(ROOT)}:{line}: {words!r}: write {advice}"
        for file in files()
        if not file.is_symlink()
        for text in texts(file)
        for line, words, advice in found(text)
    ]
    assert not problems, "\n".join(problems)


# Strings without spaces are not read, so the samples have underscores.
@pytest.mark.parametrize(
    ("sample", "advice"),
    [
        ("Who_reads_nothing_is_disconnected.", "name who or what does it"),
        ("Whoever_asks", "name who or what does it"),
        ("Return_the_events_behind_the_last_sequence.", "`after`"),
        ("The_id_stands_twice_in_this_conversation.", "`is in`, `is next to`, `is duplicated`"),
        ("a_limit_of_the_client's.", "`our`, `the client's`, `Claude's`"),
        ("the_tools,_and_such_as_ask_the_user_first", "the noun instead of `such`"),
        ("The_message_waits_in_line.", "`queued`, `a queue forms`"),
        ("The_log_is_made_anew.", "`recreated`, `retried`, `retried without`"),
        ("Mended:_a_lost_event", "`fix`"),
        ("Ring_each_follower_of_the_generation.", "`authenticate`, `notify`"),
        ("It_costs_one_visit_to_Redis.", "`a round trip`, `the transport`"),
        ("The_client_is_let_go.", "`disconnected`, `released`"),
        ("It_is_sent_all_the_same.", "`nevertheless`, or nothing"),
        ("The_answer_goes_on_without_it.", "`continues`"),
        ("what_became_of_the_call", "what happens"),
        ("The_file_is_not_there.", "`exists`"),
        ("Give_the_events_of_a_generation.", "a verb for what the function does or returns"),
    ],
)
def test_a_translated_phrase_is_found(sample: str, advice: str) -> None:
    text = Text(1, sample.replace("_", " "), is_docstring=True)
    assert advice in {kind for _, _, kind in found(text)}


@pytest.mark.parametrize(
    "text",
    [
        "What is the difference between a stop, a failure and an interruption?",
        "Limit the calls.\n\nArgs:\n    key: What is limited\n    client: A client of Claude's API, such as `anthropic`.",
        "Messages are queued behind it.",
        "Return a list of the client's tools.",
    ],
)
def test_plain_english_is_accepted(text: str) -> None:
    assert list(found(Text(1, text, is_docstring=True))) == []
