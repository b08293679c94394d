"""Code blocks of Markdown files, with the comments that say how to test them."""

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parent.parent
FILES = sorted(
    {
        *(ROOT / name for name in ("README.md", "PROTOCOL.md", "CONTRIBUTING.md")),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").glob("*/README.md"),
        *(ROOT / "web" / "packages").glob("*/README.md"),
    }
)
NOT_RUN = re.compile(r"<!--\s*not run:\s*(\S.*?)\s*-->\s*", re.DOTALL)
PRINTS = re.compile(r"<!--\s*prints\s*-->\s*")


@dataclass(frozen=True)
class Fence:
    """A code block.

    `not_run` says why it is not run. `prints` is the output that it must print, in which `…` matches anything.
    """

    file: Path
    line: int
    language: str
    text: str
    not_run: str | None
    prints: str | None

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line}"

    @property
    def comments(self) -> dict[str, str]:
        """The values in comments such as `# variables: {}` or `# gives: NotFound`."""
        return dict(re.findall(r"^# (variables|gives): (.*)$", self.text, re.MULTILINE))


def fences(file: Path) -> list[Fence]:
    """Return all code blocks of a file."""
    tokens = MarkdownIt("commonmark").disable("inline").parse(file.read_text(encoding="utf-8"))
    return [_fence(file, tokens, index) for index, token in enumerate(tokens) if token.type in ("fence", "code_block")]


def _fence(file: Path, tokens: list[Token], index: int) -> Fence:
    token = tokens[index]
    above = NOT_RUN.fullmatch(tokens[index - 1].content) if index and tokens[index - 1].type == "html_block" else None
    below = tokens[index + 1 : index + 3]
    prints = None
    if len(below) > 1 and PRINTS.fullmatch(below[0].content) and below[1].type == "fence":
        prints = below[1].content
    line = token.map[0] + 1 if token.map else 0
    return Fence(file, line, token.info.strip(), token.content, above and above.group(1), prints)


ALL = [fence for file in FILES for fence in fences(file)]
