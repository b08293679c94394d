"""Open the SDK's client of a provider, with the provider's usual credentials.

The credentials are those of the environment, as the SDK and the libraries of each cloud read them: keys, profiles, and
the identity of the machine or the workload.
"""

import logging
import os
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tertulia.claude.errors import ErrorCode, GenerationError, StreamError
from tertulia.claude.providers import PLATFORMS, Platform, Provider

if TYPE_CHECKING:
    import anthropic

logger = logging.getLogger("tertulia.claude")

MAX_RETRIES = 2
"""The number of retries of a request that fails before Claude's first event."""
ENTRA_SCOPE = "https://ai.azure.com/.default"
"""The scope of Microsoft Foundry's tokens. Source: `anthropic/lib/foundry.md` in the SDK."""
UNUSABLE = "The credentials or settings for {} cannot be used."


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The time limits of a request in seconds: for connecting, between two bytes, and for the whole answer."""

    connect: float = 10.0
    silence: float = 90.0
    answer: float = 30 * 60.0


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach Anthropic's own API: its key, and its address if it is not the SDK's default."""

    api_key: str
    base_url: str | None = None


class ProviderConfigurationError(Exception):
    """The environment lacks something that a provider needs. The message names it."""


class Connection:
    """The SDK's client of one provider."""

    def __init__(self, platform: Platform, sdk: "anthropic.AsyncAnthropic", close: "Closing | None") -> None:
        """Initialize with a client. `close` closes what belongs to its credentials."""
        self.platform = platform
        self.sdk = sdk
        # The SDK's own span would miss the events, because we read the bytes of the stream ourselves.
        self.streaming = sdk.with_options(open_telemetry=False)
        self._close = close

    async def close(self) -> None:
        """Close all connections."""
        await self.sdk.close()
        if self._close is not None:
            await self._close()


Closing = Callable[[], Awaitable[None]]


def open_connection(
    provider: Provider, deadlines: Deadlines, middleware: Callable[..., Any], access: Access | None
) -> Connection:
    """Create the SDK's client of a provider. This imports the SDK, and may read the files of the cloud's profiles.

    Args:
        provider: The provider.
        deadlines: The time limits of its requests.
        middleware: Is called with each attempt of a request.
        access: The key and address of Anthropic's API; None for other providers.

    Raises:
        ProviderConfigurationError: The environment lacks something, such as a region.
    """
    import anthropic
    import httpx2

    from tertulia.claude.transport import Client, Transport

    timeout = httpx2.Timeout(deadlines.silence, connect=deadlines.connect, pool=deadlines.connect)
    options: dict[str, Any] = {
        "timeout": timeout,
        "max_retries": MAX_RETRIES,
        "middleware": [middleware],
        "open_telemetry": {"propagation": False, "traces": {"content_mode": "metadata_only"}},
        "default_headers": {"Accept-Encoding": "identity"},
        "http_client": Client(transport=Transport(), timeout=timeout, follow_redirects=True),
    }
    close: Closing | None = None
    match provider:
        case Provider.ANTHROPIC:
            options |= {} if access is None else {"api_key": access.api_key, "base_url": access.base_url}
        case Provider.VERTEX:
            # The SDK needs the project before it loads the credentials, which may name one.
            names = ("ANTHROPIC_VERTEX_PROJECT_ID", "GOOGLE_CLOUD_PROJECT")
            options["project_id"] = next(filter(None, map(os.environ.get, names)), "")
        case Provider.FOUNDRY if not os.environ.get("ANTHROPIC_FOUNDRY_API_KEY"):
            options["azure_ad_token_provider"], close = _entra_tokens()
        case _:
            pass
    platform = PLATFORMS[provider]
    try:
        sdk = getattr(anthropic, platform.client)(**options)
    except Exception as error:
        # The SDK raises its own errors and ValueError, and the libraries of the clouds raise theirs.
        raise ProviderConfigurationError(str(error)) from error
    return Connection(platform, sdk, close)


def _entra_tokens() -> tuple[Callable[[], Awaitable[str]], Closing]:
    """Return a source of Microsoft Entra's tokens, and what closes it. It refreshes them before they expire."""
    from azure.identity.aio import DefaultAzureCredential, get_bearer_token_provider

    credential = DefaultAzureCredential()
    return get_bearer_token_provider(credential, ENTRA_SCOPE), credential.close


@contextmanager
def reporting_credentials(platform: Platform) -> Generator[None]:
    """Turn the exceptions of the clouds' libraries for credentials into StreamError. Their text is only logged."""
    try:
        yield
    except Exception as error:
        if platform.provider is Provider.ANTHROPIC or _is_of_request(error):
            raise
        message = UNUSABLE.format(platform.title)
        logger.error("%s %s: %s", message, type(error).__name__, error)  # noqa: TRY400 - the reason is in the message
        raise StreamError(GenerationError(ErrorCode.AUTHENTICATION, message)) from error


def _is_of_request(error: Exception) -> bool:
    """Return whether a request was sent, or could not be sent for another reason than its credentials."""
    import anthropic
    import httpx2

    return isinstance(
        error, StreamError | anthropic.APIError | httpx2.HTTPError | OSError | TimeoutError | UnicodeEncodeError
    )
