"""The rules and texts of the memory tool: paths, limits, listings and edits. This module does no I/O.

The texts are those of the memory tool in the Anthropic SDK (`anthropic.lib.tools`).
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate

from tertulia.tools.base import ToolError

ROOT = "/memories"
MAX_FILES = 100
"""The maximum number of files of an assistant for one viewer."""
KILOBYTE = 1024
MAX_FILE_BYTES = 64 * KILOBYTE
MAX_BYTES = 1024 * KILOBYTE
"""The maximum size of all files of an assistant for one viewer."""
MAX_NAME = 100
"""The maximum length of the name of a file or folder, in characters."""
MAX_LEVELS = 8
"""The maximum number of levels of folders and files below the root."""
OF_GUEST = "guest-"
"""How the name of a folder begins that contains the files of a guest who has become this user."""
LISTED_LEVELS = 2
LINE_NUMBER_WIDTH = 6
MAX_QUOTED = 200
"""The maximum length of a path in an error, in characters."""


def path_problem(path: str) -> str | None:
    """Return why a path cannot be that of a file or folder, as a sentence; None if it can."""
    if path != ROOT and not path.startswith(f"{ROOT}/"):
        return f"Path must start with {ROOT}, got: {path[:MAX_QUOTED]}"
    names = path.split("/")[2:]
    if ".." in names:
        return f"Path {path[:MAX_QUOTED]} would escape {ROOT} directory"
    # `db.memories.move_guest` adds a level to the files of a guest.
    most = MAX_LEVELS + 1 if names and names[0].startswith(OF_GUEST) else MAX_LEVELS
    if len(names) > most:
        return f"A path must have at most {MAX_LEVELS} levels below {ROOT}."
    for name in names:
        if not 0 < len(name) <= MAX_NAME or name.startswith(".") or "\\" in name or not name.isprintable():
            rule = f"1 to {MAX_NAME} printable characters, without a backslash and without a dot at the beginning"
            return f"The name {name[:MAX_NAME]!r} in the path must have {rule}."
    return None


def checked_path(path: str) -> str:
    """Return a path without slashes at its end. Raise ToolError if it cannot be that of a file or folder."""
    path = path.rstrip("/")
    problem = path_problem(path)
    if problem is not None:
        raise ToolError(problem)
    return path


def size_problem(sizes: Mapping[str, int], path: str, content: str) -> str | None:
    """Return why a file cannot have this content, as the end of a sentence; None if it can.

    Args:
        sizes: The sizes of all files by path.
        path: The path of the new or existing file.
        content: Its new content.
    """
    size = len(content.encode())
    if size > MAX_FILE_BYTES:
        return f"must have at most {MAX_FILE_BYTES:,} bytes, not {size:,}."
    if path not in sizes and len(sizes) >= MAX_FILES:
        return f"must not be a new file, because the memory has {MAX_FILES} files already. Delete some first."
    total = sum(sizes.values()) - sizes.get(path, 0) + size
    if total > MAX_BYTES:
        return f"must be shorter: with it, all files would have {total:,} bytes, and at most {MAX_BYTES:,} are allowed."
    return None


def is_folder(sizes: Mapping[str, int], path: str) -> bool:
    """Return whether a path is a folder, which the root always is."""
    return path == ROOT or any(file.startswith(f"{path}/") for file in sizes)


def check_free(sizes: Mapping[str, int], path: str) -> None:
    """Raise ToolError if a new file or folder would be below a file."""
    for parent in accumulate(path.split("/")[:-1], "{}/{}".format):
        if parent in sizes:
            raise ToolError(f"The path {parent} is a file, not a directory.")


def listing(sizes: Mapping[str, int], folder: str) -> str:
    """Return the files and folders of a folder, two levels deep, with their sizes."""
    entries = {folder: 0}
    for path, size in sizes.items():
        if not path.startswith(f"{folder}/"):
            continue
        entries[folder] += size
        names = path[len(folder) + 1 :].split("/")
        for level in range(1, min(len(names), LISTED_LEVELS) + 1):
            entry = "/".join([folder, *names[:level]]) + ("/" if level < len(names) else "")
            entries[entry] = entries.get(entry, 0) + size
    header = f"Here're the files and directories up to 2 levels deep in {folder}, excluding hidden items:"
    return "\n".join([header, *(f"{_size(size)}\t{path}" for path, size in sorted(entries.items()))])


def numbered(path: str, content: str, view_range: Sequence[int] | None) -> str:
    """Return the lines of a file with their numbers, or those in a range. The end -1 is the last line."""
    lines, first = content.split("\n"), 1
    match view_range:
        case [begin, end]:
            first = max(1, begin)
            lines = lines[first - 1 : None if end == -1 else max(end, 0)]
        case _:
            pass
    return f"Here's the content of {path} with line numbers:\n" + _with_numbers(lines, first)


def replaced(path: str, content: str, old: str, new: str) -> str:
    """Return the content with one text replaced. Raise ToolError unless it occurs exactly once."""
    count = content.count(old) if old else 0
    if count == 0:
        raise ToolError(f"No replacement was performed, old_str `{old}` did not appear verbatim in {path}.")
    if count > 1:
        places: list[str] = []
        position = content.find(old)
        while position >= 0:
            places.append(str(content.count("\n", 0, position) + 1))
            position = content.find(old, position + 1)
        where = f"Multiple occurrences of old_str `{old}` in lines: {', '.join(places)}"
        raise ToolError(f"No replacement was performed. {where}. Please ensure it is unique")
    return content.replace(old, new)


def snippet(content: str, replaced_content: str, old: str) -> str:
    """Return the lines around a replacement, with their numbers.

    Args:
        content: The content before it.
        replaced_content: The content after it.
        old: The text that was replaced.
    """
    line = content.count("\n", 0, content.find(old)) + 1
    first = max(1, line - 2)
    lines = replaced_content.split("\n")[first - 1 : line + 2]
    header = "The memory file has been edited. Here is the snippet showing the change (with line numbers):"
    return f"{header}\n{_with_numbers(lines, first)}"


def inserted(content: str, line: int, text: str) -> str:
    """Return the content with a text after a line, counted from 1. Raise ToolError if there is no such line."""
    lines = content.split("\n")
    if lines[-1] == "":
        lines.pop()
    if not 0 <= line <= len(lines):
        raise ToolError(f"Invalid `insert_line` parameter: {line}. It should be within the range [0, {len(lines)}].")
    lines.insert(line, text.rstrip("\n"))
    return "\n".join(lines) + "\n"


def _with_numbers(lines: Sequence[str], first: int) -> str:
    return "\n".join(f"{number:>{LINE_NUMBER_WIDTH}}\t{line}" for number, line in enumerate(lines, first))


def _size(size: int) -> str:
    return f"{size}B" if size < KILOBYTE else f"{size / KILOBYTE:.1f}K".replace(".0K", "K")
