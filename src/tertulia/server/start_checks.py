"""Checks of the settings at the start that need the file system or the network."""

import logging

from tertulia.db.blobs import Blobs
from tertulia.server.auth.providers import Unavailable
from tertulia.server.environment import WrongSetting
from tertulia.server.model_settings import check_model_settings
from tertulia.server.settings import Settings

logger = logging.getLogger("tertulia")


async def check_start(settings: Settings) -> None:
    """Raise WrongSetting for settings that cannot work; only log services that are unreachable for now."""
    await _check_attachments(settings.attachments_place)
    await check_model_settings(settings)
    if settings.auth == "oidc":
        from tertulia.server.auth.oidc import Keys

        try:
            await Keys(settings.oidc_issuer or "").find()
        except Unavailable as unavailable:
            logger.warning("TERTULIA_OIDC_ISSUER: %s: %s", settings.oidc_issuer, unavailable)


async def _check_attachments(location: str) -> None:
    """Write a test file to the attachments folder, as `doctor` does; an object store may be unreachable for now."""
    if "://" in location:
        return
    try:
        await Blobs(location).check()
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise WrongSetting(f"TERTULIA_ATTACHMENTS: {location} is no folder that can be written: {reason}.") from None
