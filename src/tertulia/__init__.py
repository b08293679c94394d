"""Tertulia: a self-hosted GraphQL conversational API for Claude.

The names in `__all__` are the public API, and follow semantic versioning. Each is imported at its first
use, so that the `tertulia` command starts fast. All other modules are internal and may change in any version.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tertulia.resolvers.context import FieldContext, Viewer
    from tertulia.server.app import Tertulia
    from tertulia.server.settings import Settings
    from tertulia.tools.base import Image, ToolContext, ToolError
    from tertulia.tools.functions import tool

__version__ = version("tertulia")
__all__ = ["FieldContext", "Image", "Settings", "Tertulia", "ToolContext", "ToolError", "Viewer", "__version__", "tool"]

_MODULES = {
    "FieldContext": "tertulia.resolvers.context",
    "Image": "tertulia.tools.base",
    "Settings": "tertulia.server.settings",
    "Tertulia": "tertulia.server.app",
    "ToolContext": "tertulia.tools.base",
    "ToolError": "tertulia.tools.base",
    "Viewer": "tertulia.resolvers.context",
    "tool": "tertulia.tools.functions",
}


def __getattr__(name: str) -> Any:
    """Import a public name; raises AttributeError for any other."""
    if name not in _MODULES:
        raise AttributeError(f"module 'tertulia' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
