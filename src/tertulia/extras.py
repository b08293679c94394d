"""The extras of the package: the module that each of them installs, and the error if it is missing."""

from importlib.util import find_spec

MODULES = {  # a module that only this extra installs
    "aws": "boto3",
    "bedrock": "boto3",
    "chat": "gql",
    "documents": "python_calamine",
    "foundry": "azure.identity",
    "google-cloud": "google.auth",
    "mcp": "mcp",
    "otel": "opentelemetry.exporter.otlp.proto.http",
    "postgres": "asyncpg",
    "redis": "redis",
    "s3": "obstore",
    "vertex": "google.auth",
}


class MissingExtraError(ValueError):
    """An extra is not installed. The message contains the command that installs it."""


def require_extra(extra: str, feature: str) -> None:
    """Check that an extra is installed, without importing it.

    Raises:
        MissingExtraError: It is not installed. The message names the feature that needs it.
    """
    if not is_installed(extra):
        raise MissingExtraError(f'{feature} needs the extra "{extra}": pip install "tertulia[{extra}]"')


def is_installed(extra: str) -> bool:
    """Return whether an extra is installed, without importing it."""
    try:
        return find_spec(MODULES[extra]) is not None
    except ModuleNotFoundError:
        # A package that contains the module is not installed.
        return False
