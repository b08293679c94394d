"""Check at the start what only the world outside of the process can tell of the settings."""

import logging

from tertulia.db.blobs import Blobs
from tertulia.server.auth.providers import Unavailable
from tertulia.server.environment import WrongSetting
from tertulia.server.model_settings import check_model_settings
from tertulia.server.settings import Settings

logger = logging.getLogger("tertulia")


async def check_start(settings: Settings) -> None:
    """Raise WrongSetting for what cannot work. What cannot be reached now may be reached later, and is only logged."""
    await _check_attachments(settings.attachments_place)
    await check_model_settings(settings)
    if settings.auth == "oidc":
        from tertulia.server.auth.oidc import Keys

        try:
            await Keys(settings.oidc_issuer or "").find()
        except Unavailable as unavailable:
            logger.warning("TERTULIA_OIDC_ISSUER: %s: %s", settings.oidc_issuer, unavailable)


async def _check_attachments(place: str) -> None:
    """Write a file where attachments are kept, as `doctor` does; an object store may be away for now."""
    if "://" in place:
        return
    try:
        await Blobs(place).check()
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise WrongSetting(f"TERTULIA_ATTACHMENTS: {place} is no folder that can be written: {reason}.") from None
