"""Check at the start what only the world outside of the process can tell of the settings."""

import logging
import os
from pathlib import Path

from server.environment import WrongSetting
from server.identities import Unavailable
from server.model_settings import check_model_settings
from server.oidc import Keys
from server.settings import Settings

logger = logging.getLogger("tertulia")


async def check_start(settings: Settings) -> None:
    """Raise WrongSetting for what cannot work. What cannot be reached now may be reached later, and is only logged."""
    _check_attachments(settings.attachments_place)
    await check_model_settings(settings)
    if settings.auth == "oidc":
        try:
            await Keys(settings.oidc_issuer or "").find()
        except Unavailable as unavailable:
            logger.warning("TERTULIA_OIDC_ISSUER: %s: %s", settings.oidc_issuer, unavailable)


def _check_attachments(place: str) -> None:
    if "://" in place:
        return
    folder = Path(place)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise WrongSetting(f"TERTULIA_ATTACHMENTS: {place} is no folder that can be made: {error.strerror}.") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise WrongSetting(f"TERTULIA_ATTACHMENTS: {place} cannot be written.")
