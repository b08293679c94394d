"""Validation of two kinds of settings: the origins of pages, and the addresses of proxies."""

import ipaddress
from urllib.parse import urlsplit

ORIGIN_RULE = "must be origins such as https://app.example.com, separated by commas, without a path"
PROXIES_RULE = "must be IP addresses and networks such as 10.0.0.0/8, separated by commas, or *"


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


def check_proxies(addresses: str) -> None:
    """Raise ValueError for an invalid address: uvicorn would treat it as a name that never matches."""
    for address in addresses.split(","):
        text = address.strip()
        try:
            if text != "*":
                ipaddress.ip_network(text)
        except ValueError:
            raise ValueError(PROXIES_RULE) from None
