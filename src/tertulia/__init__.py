"""Tertulia: a self-hosted GraphQL conversational API for Claude.

The names in `__all__` are the public API, follow semantic versioning and are documented in docs/api.md. Each is
imported at its first use, so that the `tertulia` command starts fast. All other modules are internal and may change in
any version.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tertulia.hooks import Answer, Refusal, Send, hook
    from tertulia.ratelimit.errors import RateLimited
    from tertulia.resolvers.context import FieldContext
    from tertulia.resolvers.errors import BudgetExceeded, ConversationBusy, InvalidInput, NotFound, SendRefused
    from tertulia.server.app import Tertulia
    from tertulia.server.environment import WrongSetting
    from tertulia.server.settings import Settings
    from tertulia.text_filters import Redactor, TextFilter, TextStream
    from tertulia.tools.base import Image, ToolContext, ToolError
    from tertulia.tools.documents import Document
    from tertulia.tools.functions import tool
    from tertulia.viewer import Viewer

__version__ = version("tertulia")
__all__ = [
    "Answer",
    "BudgetExceeded",
    "ConversationBusy",
    "Document",
    "FieldContext",
    "Image",
    "InvalidInput",
    "NotFound",
    "RateLimited",
    "Redactor",
    "Refusal",
    "Send",
    "SendRefused",
    "Settings",
    "Tertulia",
    "TextFilter",
    "TextStream",
    "ToolContext",
    "ToolError",
    "Viewer",
    "WrongSetting",
    "__version__",
    "hook",
    "tool",
]

_MODULES = {
    "Answer": "tertulia.hooks",
    "BudgetExceeded": "tertulia.resolvers.errors",
    "ConversationBusy": "tertulia.resolvers.errors",
    "Document": "tertulia.tools.documents",
    "FieldContext": "tertulia.resolvers.context",
    "Image": "tertulia.tools.base",
    "InvalidInput": "tertulia.resolvers.errors",
    "NotFound": "tertulia.resolvers.errors",
    "RateLimited": "tertulia.ratelimit.errors",
    "Redactor": "tertulia.text_filters",
    "Refusal": "tertulia.hooks",
    "Send": "tertulia.hooks",
    "SendRefused": "tertulia.resolvers.errors",
    "Settings": "tertulia.server.settings",
    "Tertulia": "tertulia.server.app",
    "TextFilter": "tertulia.text_filters",
    "TextStream": "tertulia.text_filters",
    "ToolContext": "tertulia.tools.base",
    "ToolError": "tertulia.tools.base",
    "Viewer": "tertulia.viewer",
    "WrongSetting": "tertulia.server.environment",
    "hook": "tertulia.hooks",
    "tool": "tertulia.tools.functions",
}


def __getattr__(name: str) -> Any:
    """Import and return a public name; raise AttributeError for any other."""
    if name not in _MODULES:
        raise AttributeError(f"module 'tertulia' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
