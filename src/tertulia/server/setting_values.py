"""Validation of settings: keys, the origins of pages, and the addresses of the server and of proxies."""

import ipaddress
from urllib.parse import urlsplit

from pydantic import SecretStr

SHORTEST_SECRET = 32
SECRET_RULE = "must have at least 32 random characters, and be the same for all replicas: `openssl rand -base64 48`"  # noqa: S105 - a sentence
SECRET_NEEDED = f"TERTULIA_SECRET_KEY: is required to sign tokens; {SECRET_RULE}."

ORIGIN_RULE = "must be origins such as https://app.example.com, separated by commas, without a path"
PUBLIC_URL_RULE = "must be an address such as https://chat.example.com or http://localhost:8000, without a query"
PROXIES_RULE = "must be IP addresses and networks such as 10.0.0.0/8, separated by commas, or *"


def is_strong(secret: str) -> bool:
    """Return whether a key is long enough to sign or encrypt with."""
    return len(secret) >= SHORTEST_SECRET


def keys_of(setting: SecretStr) -> list[str]:
    """Return the keys of `TERTULIA_ENCRYPTION_KEY`, the one that encrypts first."""
    return [key.strip() for key in setting.get_secret_value().split(",")]


def check_origin_form(origin: str) -> None:
    """Raise ValueError for an origin in a form that no browser sends (RFC 6454), because it would never match."""
    if origin in ("*", "null"):
        return
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        raise ValueError(ORIGIN_RULE) from None
    host = parts.hostname or ""
    url_host = f"[{host}]" if ":" in host else host
    if not parts.scheme or not host or origin != f"{parts.scheme}://{url_host}" + (f":{port}" if port else ""):
        raise ValueError(f"{ORIGIN_RULE}, in lowercase")
    if (parts.scheme, port) in (("http", 80), ("https", 443)):
        raise ValueError(f"{ORIGIN_RULE}; leave out the default port {port}, as browsers do")


def check_public_url(url: str) -> None:
    """Raise ValueError if browsers cannot safely be sent to an address: it needs HTTPS, except on this machine."""
    try:
        parts = urlsplit(url)
        is_local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    except ValueError:
        raise ValueError(PUBLIC_URL_RULE) from None
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_local)
    if not is_safe or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError(PUBLIC_URL_RULE)


def check_proxies(addresses: str) -> None:
    """Raise ValueError for an invalid address: uvicorn would treat it as a name that never matches."""
    for address in addresses.split(","):
        text = address.strip()
        try:
            if text != "*":
                ipaddress.ip_network(text)
        except ValueError:
            raise ValueError(PROXIES_RULE) from None
