"""What MkDocs does beside converting pages: the pages that are made from other files, and links that leave docs/.

Pages are written to be read in the repository too, so they link to files as the repository has them. On the site such a
link leads to the page that is made of the file, or is plain text where there is none.
"""

import logging
import os.path
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from reference import write_reference

ROOT = Path(__file__).parent.parent
SCHEMA = "schema/schema.graphql"
PAGES = {
    "README.md": "index.md",
    "PROTOCOL.md": "protocol.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    SCHEMA: "reference.md",
    "docs/decisions": "decisions/index.md",
}
"""Files of the repository, and the pages that stand for them on the site."""
COPIED = ("PROTOCOL.md", "CHANGELOG.md", "CONTRIBUTING.md")
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?\)")
FENCE = re.compile(r"^\s*```")
FOREIGN = re.compile(r"""<[^>]+\ssrc=["']?(?:https?:)?//|<link[^>]+\shref=["']?(?:https?:)?//""")
"""What makes a browser load something from elsewhere."""

logger = logging.getLogger("mkdocs.hooks.building")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made from other files."""
    made = {PAGES[name]: (ROOT / name).read_text(encoding="utf-8") for name in COPIED}
    made["reference.md"] = write_reference((ROOT / SCHEMA).read_text(encoding="utf-8"))
    made["decisions/index.md"] = _decisions()
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Let links to files of the repository lead to what stands for them here."""
    here: str = page.file.src_uri
    source = next((name for name in COPIED if PAGES[name] == here), f"docs/{here}")
    lines = markdown.split("\n")
    fenced = False
    for number, line in enumerate(lines):
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            lines[number] = LINK.sub(lambda found: _led(found, source, here), line)
    return "\n".join(lines)


def on_post_page(output: str, *, page: Any, **_: Any) -> str:
    """Warn of what is loaded from elsewhere: the site works without the internet, and tells nobody who reads it."""
    if found := FOREIGN.search(output):
        logger.warning("%s loads from elsewhere: %s", page.file.src_uri, found.group())
    return output


def _decisions() -> str:
    titles = ["# Decisions", "", "Decisions that others may want to revisit, one page each.", ""]
    for file in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        title = file.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        number, _, words = title.partition(". ")
        titles.append(f"{int(number)}. [{words}]({file.name})")
    return "\n".join(titles) + "\n"


def _led(found: re.Match[str], source: str, here: str) -> str:
    picture, words, target, anchor = found.groups(default="")
    meant = os.path.normpath(Path(source).parent / target)
    page = PAGES.get(meant) or (meant.removeprefix("docs/") if meant.startswith("docs/") else None)
    if page is not None:
        return f"{picture}[{words}]({os.path.relpath(page, Path(here).parent)}{anchor})"
    if not (ROOT / meant).exists():
        logger.warning("%s links to %s, which is not there", source, meant)
    return words if "`" in words or words == target else f"{words} (`{meant}`)"
