"""Checks of single values of settings: origins of pages, and addresses of proxies."""

import ipaddress
from urllib.parse import urlsplit

ORIGIN_TAKES = "takes origins such as https://app.example.com, separated by commas: a scheme, a host, no path"
PROXIES_TAKE = "takes IP addresses and networks such as 10.0.0.0/8, separated by commas, or *"


def check_origin_form(origin: str) -> None:
    """Raise ValueError for an origin that no browser sends (RFC 6454), which would never match."""
    if origin in ("*", "null"):
        return
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        raise ValueError(ORIGIN_TAKES) from None
    host = parts.hostname or ""
    url_host = f"[{host}]" if ":" in host else host
    if not parts.scheme or not host or origin != f"{parts.scheme}://{url_host}" + (f":{port}" if port else ""):
        raise ValueError(f"{ORIGIN_TAKES}, in small letters")
    if (parts.scheme, port) in (("http", 80), ("https", 443)):
        raise ValueError(f"{ORIGIN_TAKES}; browsers leave the port {port} out")


def check_proxies(addresses: str) -> None:
    """Raise ValueError for an invalid address, which uvicorn would treat as a name that never matches."""
    for address in addresses.split(","):
        text = address.strip()
        try:
            if text != "*":
                ipaddress.ip_network(text)
        except ValueError:
            raise ValueError(PROXIES_TAKE) from None
