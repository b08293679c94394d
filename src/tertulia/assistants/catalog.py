"""The assistants of a folder. Files that change are read again while the server runs."""

import logging
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from tertulia.assistants.definition import Assistant, AssistantError, ClientSetting
from tertulia.assistants.parser import read_assistant
from tertulia.tools.memory import NAME as MEMORY

DEFAULT_ID = "default"
"""The id of the assistant that answers where clients name none."""
SUFFIX = ".md"
EVERYTHING = frozenset(ClientSetting)

logger = logging.getLogger("tertulia.assistants")


@dataclass(frozen=True, slots=True)
class _Version:
    """The state of a file; two states with the same values have the same content."""

    modified_ns: int
    size: int
    inode: int


@dataclass(frozen=True, slots=True)
class _File:
    """A file, and its last valid content; None if it was never valid. `problem` is what is wrong with it now."""

    version: _Version
    assistant: Assistant | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class LoadedAssistant:
    """An assistant as it is loaded.

    Attributes:
        id: The name of its file without the suffix.
        assistant: The last valid content of the file; None if it was never valid.
        problem: What is wrong with the file now; None if it is valid.
    """

    id: str
    assistant: Assistant | None
    problem: str | None


class AssistantCatalog:
    """The assistants of a server, and what clients may set if it has none."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        clients_may_set: frozenset[ClientSetting] = EVERYTHING,
        tool_names: Callable[[], Collection[str]] | None = None,
        allowed_models: Collection[str] = (),
    ) -> None:
        """Create a catalog without assistants. `load` reads them.

        Args:
            folder: The folder of the files; None for a server without assistants.
            clients_may_set: What clients may set on a server without assistants.
            tool_names: Returns the names of the server's tools; None to accept all names.
            allowed_models: The models that assistants may name; empty for all.
        """
        self.clients_may_set = clients_may_set
        self._folder = folder
        self._tool_names = tool_names
        self._allowed_models = allowed_models
        self._files: dict[str, _File] = {}
        self._assistants: dict[str, Assistant] = {}
        self._is_readable = True

    @property
    def is_configured(self) -> bool:
        """Whether the server has assistants. If so, they decide what clients may set, even if all files are removed."""
        return self._folder is not None

    def all(self) -> Sequence[Assistant]:
        """Return all assistants, sorted by id."""
        return list(self._assistants.values())

    def loaded(self) -> Sequence[LoadedAssistant]:
        """Return the state of each file, sorted by id, including files that are not valid."""
        return [LoadedAssistant(id, file.assistant, file.problem) for id, file in self._files.items()]

    def get(self, id: str) -> Assistant | None:
        """Return the assistant with this id."""
        return self._assistants.get(id)

    @property
    def default(self) -> Assistant | None:
        """The assistant that answers where clients name none: `default`, or else the first one by id."""
        return self._assistants.get(DEFAULT_ID) or next(iter(self._assistants.values()), None)

    def load(self) -> None:
        """Read all files. This call blocks.

        Raises:
            AssistantError: A file is not valid, or the folder has none.
        """
        problems = self.problems()
        if problems:
            raise problems[0]
        self.refresh()

    def problems(self) -> list[AssistantError]:
        """Return what is wrong with the files. This call blocks."""
        if self._folder is None:
            return []
        try:
            versions = self._versions()
        except OSError as error:
            return [AssistantError(str(self._folder), f"cannot be read: {error.strerror}")]
        if not versions:
            return [AssistantError(str(self._folder), f"must contain at least one file with the suffix {SUFFIX}")]
        found: list[AssistantError] = []
        for id in versions:
            try:
                self._read(id)
            except AssistantError as error:
                found.append(error)
        return found

    def refresh(self) -> None:
        """Read the files that have changed. This call blocks.

        A file that is not valid is logged once. Its last valid content stays in use.
        """
        if self._folder is None:
            return
        try:
            versions = self._versions()
        except OSError as error:
            if self._is_readable:
                logger.warning("The assistants cannot be read, and those read before stay in use: %s", error)
            self._is_readable = False
            return
        self._is_readable = True
        if {id: file.version for id, file in self._files.items()} == versions:
            return
        self._files = {id: self._current(id, version) for id, version in versions.items()}
        self._assistants = {id: file.assistant for id, file in self._files.items() if file.assistant is not None}

    def _versions(self) -> dict[str, _Version]:
        """Return the state of each file, sorted by id; raise OSError."""
        if self._folder is None:
            return {}
        paths = [path for path in self._folder.iterdir() if path.suffix == SUFFIX and not path.name.startswith(".")]
        stats = {path.stem: path.stat() for path in sorted(paths, key=lambda path: path.stem)}
        return {id: _Version(stat.st_mtime_ns, stat.st_size, stat.st_ino) for id, stat in stats.items()}

    def _current(self, id: str, version: _Version) -> _File:
        known = self._files.get(id)
        if known is not None and known.version == version:
            return known
        try:
            return _File(version, self._read(id))
        except AssistantError as error:
            last = known.assistant if known is not None else None
            consequence = "Its last valid version stays in use" if last else "The assistant is not available"
            logger.warning("%s %s.", error, consequence)
            return _File(version, last, str(error))

    def _read(self, id: str) -> Assistant:
        """Read a file, and check the names of tools and models in it; raise AssistantError."""
        folder = self._folder or Path()
        assistant = read_assistant(folder / f"{id}{SUFFIX}")
        names = set(self._tool_names()) if self._tool_names is not None else set(assistant.tools)
        for tool in assistant.tools:
            # A name with "__" may be that of an MCP server's tool, which is missing while the server is disconnected.
            if tool not in names and "__" not in tool and not re.search(r"[*?\[]", tool):
                known = ", ".join(sorted(names)) or "none"
                raise AssistantError(
                    assistant.tool_places[tool], f"unknown tool `{tool}`; the tools of this server are: {known}"
                )
        if assistant.memory and self._tool_names is not None and MEMORY in names:
            problem = f"`memory` must be false, because the server has another tool named `{MEMORY}`"
            raise AssistantError(f"{folder / id}{SUFFIX}", problem)
        for reference in assistant.model_references:
            if self._allowed_models and reference.model not in self._allowed_models:
                allowed = ", ".join(self._allowed_models)
                raise AssistantError(
                    reference.place, f"unknown model `{reference.model}`; TERTULIA_MODELS allows {allowed}"
                )
        return assistant


class OfferedAssistants:
    """The assistants that one viewer may use: those of the server, or those of the viewer's plan."""

    def __init__(self, catalog: AssistantCatalog, ids: Collection[str] | None) -> None:
        """Limit the assistants of `catalog` to some ids; None for all."""
        self._catalog = catalog
        self._ids = ids

    @property
    def is_configured(self) -> bool:
        """Whether the server has assistants."""
        return self._catalog.is_configured

    @property
    def clients_may_set(self) -> frozenset[ClientSetting]:
        """The settings that clients may set on a server without assistants."""
        return self._catalog.clients_may_set

    def all(self) -> Sequence[Assistant]:
        """Return the viewer's assistants, sorted by id."""
        return [assistant for assistant in self._catalog.all() if self._ids is None or assistant.id in self._ids]

    def get(self, id: str) -> Assistant | None:
        """Return the assistant with this id; None if the viewer has no such assistant."""
        return self._catalog.get(id) if self._ids is None or id in self._ids else None

    @property
    def default(self) -> Assistant | None:
        """The assistant that answers where the viewer's client names none: `default`, or else the first one by id."""
        return self.get(DEFAULT_ID) or next(iter(self.all()), None)
