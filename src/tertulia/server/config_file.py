"""A file of the operator that is read again when it changes, while the server runs."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from tertulia.server.environment import WrongSetting

Content = TypeVar("Content")

logger = logging.getLogger("tertulia.settings")


class ConfigFile(Generic[Content]):
    """A file whose content a running server replaces when it changes."""

    def __init__(self, path: str, read: Callable[[], Content], adopt: Callable[[Content], None]) -> None:
        """Initialize without reading.

        Args:
            path: The file.
            read: Reads and checks the file, in a thread. Raises WrongSetting.
            adopt: Called in the event loop with the content of a valid file that may have changed.
        """
        self._path = Path(path)
        self._read = read
        self._adopt = adopt
        self._version: object = None

    async def refresh(self) -> None:
        """Read the file if it has changed. If it is not valid, log that once: the last valid content stays in use."""
        version = await asyncio.to_thread(self._current_version)
        if version == self._version:
            return
        self._version = version
        try:
            content = await asyncio.to_thread(self._read)
        except WrongSetting as error:
            logger.warning("%s The last valid version stays in use.", error)
        else:
            self._adopt(content)

    def _current_version(self) -> object:
        """Return the state of the file; two equal states have the same content."""
        try:
            stat = self._path.stat()
        except OSError as error:
            return error.errno
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
