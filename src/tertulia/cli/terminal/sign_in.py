"""The sign-ins of `tertulia login`: stored in the user's configuration, and refreshed before they expire.

Sources: RFC 8628 (device code); RFC 6749, section 6 (refresh).
"""

import asyncio
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
from pydantic import BaseModel, TypeAdapter, ValidationError

from tertulia.json import dumps

REFRESH_EARLY_SECONDS = 30.0
"""A token is refreshed this long before it expires."""
SLOW_DOWN_SECONDS = 5.0
"""Seconds by which `slow_down` lengthens the wait between two polls (RFC 8628, section 3.5)."""
TIMEOUT_SECONDS = 30.0
TEMPORARY = "temporarily_unavailable"
RETRYABLE = (TEMPORARY, "slow_down", "server_error")
"""The errors of a refresh after which the sign-in may still be valid."""
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class SignInError(Exception):
    """The sign-in has failed. The message says what to do.

    Attributes:
        code: The error code of OAuth (RFC 6749, section 5.2); None if there is none.
    """

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class StoredSignIn(BaseModel):
    """A sign-in at a server. `expires_at` is in seconds since 1970."""

    access: str
    refresh: str | None
    expires_at: float

    @property
    def is_expired(self) -> bool:
        """Whether the access token must be refreshed before it is used."""
        return self.expires_at - REFRESH_EARLY_SECONDS < time.time()


class DeviceCode(BaseModel):
    """The response that begins a sign-in with a code."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str | None = None
    expires_in: float
    interval: float = 5


_FILE: TypeAdapter[dict[str, StoredSignIn]] = TypeAdapter(dict[str, StoredSignIn])
_OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


class SignInStore:
    """The file of sign-ins, by the address of the server. Only the user can read it."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def get(self, url: str) -> StoredSignIn | None:
        """Return the sign-in at a server; None if there is none, or if the file cannot be read."""
        return self._read().get(url.rstrip("/"))

    def put(self, url: str, sign_in: StoredSignIn | None) -> None:
        """Store the sign-in at a server; None removes it. Raises OSError."""
        sign_ins = self._read()
        sign_ins.pop(url.rstrip("/"), None)
        if sign_in is not None:
            sign_ins[url.rstrip("/")] = sign_in
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A new file replaces the old one, so that no other program reads a part of it, or keeps its permissions.
        temporary = self.file.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(dumps({url: stored.model_dump() for url, stored in sign_ins.items()}))
        temporary.replace(self.file)

    @contextmanager
    def locked(self) -> Generator[None]:
        """Keep other terminals from refreshing at the same time: a refresh token works once."""
        try:
            import fcntl
        except ImportError:  # Windows
            yield
            return
        with os.fdopen(os.open(self.file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read(self) -> dict[str, StoredSignIn]:
        try:
            return _FILE.validate_json(self.file.read_bytes())
        except (OSError, ValidationError):
            return {}


def open_store(variables: dict[str, str] | None = None) -> SignInStore:
    """Return the store of the user: `~/.config/tertulia/sign-ins.json`, or in `$XDG_CONFIG_HOME`."""
    variables = dict(os.environ) if variables is None else variables
    folder = Path(variables.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return SignInStore(folder / "tertulia" / "sign-ins.json")


async def current_token(store: SignInStore, url: str) -> str | None:
    """Return a valid access token of the stored sign-in; None if there is none, or if it has ended.

    Raises:
        ClientError, OSError: The server cannot be reached.
    """
    sign_in = store.get(url)
    if sign_in is None or not sign_in.is_expired:
        return sign_in.access if sign_in else None
    with store.locked():
        # Another terminal may have refreshed it meanwhile.
        sign_in = store.get(url)
        if sign_in is None or not sign_in.is_expired:
            return sign_in.access if sign_in else None
        renewed = None
        if sign_in.refresh is not None:
            try:
                renewed = await _request_tokens(url, "refresh", {"refresh_token": sign_in.refresh})
            except SignInError as error:
                if error.code in RETRYABLE:
                    raise OSError(str(error)) from error
        store.put(url, renewed)
        return renewed.access if renewed else None


async def sign_in_with_code(url: str, show: Callable[[DeviceCode], None]) -> StoredSignIn:
    """Sign in with a code that the user enters in a browser, on any device. `show` shows the code.

    Raises:
        SignInError: The user did not allow the sign-in, the code has expired, or the server offers no such sign-in.
        ClientError, OSError: The server cannot be reached.
    """
    try:
        device = DeviceCode.model_validate(await _post(url, "device", {}))
    except ValidationError as error:
        raise SignInError("The identity provider sent an invalid response. Try again later.") from error
    show(device)
    end, interval = time.monotonic() + device.expires_in, device.interval
    form = {"grant_type": DEVICE_GRANT, "device_code": device.device_code}
    while time.monotonic() < end:
        await asyncio.sleep(interval)
        try:
            return await _request_tokens(url, "token", form)
        except SignInError as error:
            if error.code == "slow_down":
                interval += SLOW_DOWN_SECONDS
            elif error.code not in ("authorization_pending", TEMPORARY):
                raise
    raise SignInError("The code has expired. Run `tertulia login` again.")


async def sign_in_with_password(url: str, name: str, password: str) -> StoredSignIn:
    """Sign in to a server with accounts; raises SignInError, ClientError, OSError."""
    form = {"grant_type": "password", "username": name, "password": password}
    return await _request_tokens(url, "token", form)


async def sign_out(store: SignInStore, url: str) -> bool:
    """Revoke and forget the sign-in at a server. Return whether there was one."""
    sign_in = store.get(url)
    if sign_in is None:
        return False
    store.put(url, None)
    try:
        await _post(url, "revoke", {"token": sign_in.refresh or sign_in.access})
    except SignInError as error:
        raise SignInError(f"Signed out here, but the server could not revoke the sign-in: {error}") from error
    return True


async def authentication_of(url: str) -> tuple[str, bool]:
    """Return how users of a server sign in, and whether it signs them in at an identity provider."""
    async with (
        _session() as session,
        session.get(f"{url.rstrip('/')}/", headers={"Accept": "application/json"}) as response,
    ):
        info = _OBJECT.validate_json(await response.read())
    return str(info.get("auth")), info.get("provider") is True


async def _request_tokens(url: str, path: str, form: dict[str, str]) -> StoredSignIn:
    tokens = await _post(url, path, form)
    expires_at = time.time() + float(tokens["expires_in"])
    return StoredSignIn(access=tokens["access_token"], refresh=tokens.get("refresh_token"), expires_at=expires_at)


async def _post(url: str, path: str, form: dict[str, str]) -> dict[str, Any]:
    async with _session() as session, session.post(f"{url.rstrip('/')}/auth/{path}", data=form) as response:
        try:
            body = _OBJECT.validate_json(await response.read())
        except ValidationError:
            body = {}
        if response.status == HTTPStatus.OK:
            return body
        message = body.get("error_description") or f"The server refused the sign-in with the status {response.status}."
        # Proxies return a page if they cannot reach the server.
        is_temporary = response.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        raise SignInError(str(message), body.get("error") or (TEMPORARY if is_temporary else None))


def _session() -> aiohttp.ClientSession:
    # A request without fields must have this type too.
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(TIMEOUT_SECONDS), headers=headers)
