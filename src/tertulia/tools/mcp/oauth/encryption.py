"""Encrypt what is stored about the connections of users, with Fernet (AES-128-CBC and HMAC-SHA256)."""

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from typing import TypeVar

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import BaseModel, ValidationError

from tertulia.json import Json, encode, loads

PURPOSE = b"tertulia tool connections"
"""Separates the derived keys from others that are derived from the same secret."""
Model = TypeVar("Model", bound=BaseModel)


class Encryption:
    """Encrypts with the first key, and decrypts with all keys, so that keys can be rotated."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """Derive a key from each secret. There is at least one."""
        keys = [Fernet(_key(secret)) for secret in secrets]
        self._newest, self._fernet = keys[0], MultiFernet(keys)

    def encrypt(self, value: BaseModel, about: str) -> str:
        """Return a value as text. `about` names its owner, so that no other owner can be given the text."""
        content: Json = {"about": about, "value": value.model_dump(mode="json")}
        return self._fernet.encrypt(encode(content)).decode()

    def decrypt(self, text: str, about: str, model: type[Model], seconds: int | None = None) -> Model | None:
        """Return a value that was encrypted.

        Args:
            text: The encrypted value.
            about: The owner of the value.
            model: The type of the value.
            seconds: The maximum age of the text; None for any.

        Returns:
            None if no key fits, or if the text is about another owner, is too old or has another form.
        """
        try:
            content = loads(self._fernet.decrypt(text.encode("utf-8", "replace"), ttl=seconds))
            return model.model_validate(content["value"]) if content["about"] == about else None
        except (InvalidToken, ValidationError):
            return None

    def reencrypt(self, text: str) -> str | None:
        """Return an encrypted value as the first key encrypts it, or `text` itself if that key did so already.

        Returns:
            None if no key fits.
        """
        data = text.encode("utf-8", "replace")
        try:
            self._newest.decrypt(data)
        except InvalidToken:
            try:
                return self._fernet.rotate(data).decode()
            except InvalidToken:
                return None
        return text


def _key(secret: str) -> bytes:
    return urlsafe_b64encode(HKDF(SHA256(), 32, salt=None, info=PURPOSE).derive(secret.encode()))
