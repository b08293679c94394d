"""Hooks of MkDocs: add the pages that are generated from other files, and rewrite links that leave docs/.

Pages are also read in the repository, so they link to its files. On the site, such a link leads to the page that is
generated from the file, or becomes plain text if there is no such page.
"""

import logging
import os.path
import re
import tomllib
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
"""Files of the repository, and the pages that replace them on the site."""
COPIED = ("PROTOCOL.md", "CHANGELOG.md", "CONTRIBUTING.md")
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?\)")
FENCE = re.compile(r"^\s*```")
FOREIGN = re.compile(r"""<[^>]+\ssrc=["']?(?:https?:)?//|<link[^>]+\shref=["']?(?:https?:)?//""")
"""HTML that makes a browser load something from another host."""

logger = logging.getLogger("mkdocs.hooks.building")


def on_config(config: Any) -> Any:
    """Put the version of this checkout into the name of the site."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    config["site_name"] += f" {project['version']}"
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are generated from other files."""
    pages = {PAGES[name]: (ROOT / name).read_text(encoding="utf-8") for name in COPIED}
    pages["reference.md"] = write_reference((ROOT / SCHEMA).read_text(encoding="utf-8"))
    pages["decisions/index.md"] = _decisions()
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Rewrite links to files of the repository, outside of code blocks."""
    here: str = page.file.src_uri
    source = next((name for name in COPIED if PAGES[name] == here), f"docs/{here}")
    lines = markdown.split("\n")
    fenced = False
    for number, line in enumerate(lines):
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            lines[number] = LINK.sub(lambda link: _rewritten(link, source, here), line)
    return "\n".join(lines)


def on_post_page(output: str, *, page: Any, **_: Any) -> str:
    """Warn about what is loaded from other hosts: the site must work offline, and must not reveal its readers."""
    if match := FOREIGN.search(output):
        logger.warning("%s loads something from another host: %s", page.file.src_uri, match.group())
    return output


def _decisions() -> str:
    titles = ["# Decisions", "", "Decisions that others may want to revisit, one page each.", ""]
    for file in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        title = file.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        number, _, words = title.partition(". ")
        titles.append(f"{int(number)}. [{words}]({file.name})")
    return "\n".join(titles) + "\n"


def _rewritten(link: re.Match[str], source: str, here: str) -> str:
    picture, text, target, anchor = link.groups(default="")
    file = os.path.normpath(Path(source).parent / target)
    page = PAGES.get(file) or (file.removeprefix("docs/") if file.startswith("docs/") else None)
    if page is not None:
        return f"{picture}[{text}]({os.path.relpath(page, Path(here).parent)}{anchor})"
    if not (ROOT / file).exists():
        logger.warning("%s links to %s, which does not exist", source, file)
    return text if "`" in text or text == target else f"{text} (`{file}`)"
