"""Validate the settings that need the file system or the network, at the start."""

import asyncio
import logging

from tertulia.db.blobs import Blobs
from tertulia.server.assistants import open_assistants
from tertulia.server.auth.providers import Unavailable
from tertulia.server.environment import WrongSetting
from tertulia.server.model_settings import check_model_settings
from tertulia.server.settings import Settings
from tertulia.server.tooling import open_tool_registry

logger = logging.getLogger("tertulia")


async def check_start(settings: Settings) -> None:
    """Raise WrongSetting for settings that cannot work. A service that is unreachable is only logged."""
    await _check_attachments(settings.attachments_place)
    if settings.redis_url is not None:
        from tertulia.redis_client import find_wrong_mode

        if wrong := await find_wrong_mode(settings.redis_url):
            raise WrongSetting(f"REDIS_URL: {wrong}.")
    if settings.assistants is not None:
        tool_registry, _ = open_tool_registry(settings)
        await asyncio.to_thread(open_assistants, settings, tool_registry, many_users=True)
    await check_model_settings(settings)
    if settings.auth == "oidc":
        from tertulia.server.auth.oidc import Keys

        try:
            await Keys(settings.oidc_issuer or "").find()
        except Unavailable as unavailable:
            logger.warning("TERTULIA_OIDC_ISSUER: got %r. %s", settings.oidc_issuer, unavailable)


async def _check_attachments(location: str) -> None:
    """Write a test file to the attachments folder. Object stores are not checked: they may be unreachable for now."""
    if "://" in location:
        return
    try:
        await Blobs(location).check()
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise WrongSetting(f"TERTULIA_ATTACHMENTS: {location} must be a writable folder: {reason}.") from None
