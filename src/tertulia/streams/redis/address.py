"""Check REDIS_URL without connecting, for errors that the client would report only when it is used."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from redis.asyncio import Redis
from redis.exceptions import RedisError

EXPECTED = "must be redis://USER:PASSWORD@HOST:PORT/NUMBER, rediss://... for TLS, or unix://PATH?db=NUMBER"
ENCODE = "in the password, write / ? # as %2F %3F %23"
FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


def check_redis_address(url: str) -> None:
    """Raise ValueError for an address that cannot be used. The message has one line, without the password."""
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError(EXPECTED)
    try:
        parts = urlsplit(url)
        parameters = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        client: Any = Redis
        pool = client.from_url(url).connection_pool
        pool.connection_class(**pool.connection_kwargs)
    except TypeError as error:
        argument = re.search(r"argument '(\w+)'", str(error))
        name = argument[1] if argument else "after ?"
        needs = "; ssl_... requires rediss://" if name.startswith("ssl_") else ""
        raise ValueError(f"the parameter {name} is not supported{needs}") from None
    except (ValueError, RedisError) as error:
        # Both libraries quote values that they cannot parse, and that may contain the password.
        option = re.search(r"Invalid value for '(\w+)'", str(error))
        raise ValueError(
            f"the parameter {option[1]} has an invalid value" if option else f"{EXPECTED}; {ENCODE}"
        ) from None
    if parts.scheme == "unix":
        if parts.path in ("", "/"):
            raise ValueError(EXPECTED)
    elif not parts.hostname or parts.fragment or not re.fullmatch(r"/?|/[0-9]{1,9}", parts.path):
        raise ValueError(f"{EXPECTED}; {ENCODE}")
    for name in FILES:
        if name in parameters and not Path(parameters[name]).is_file():
            raise ValueError(f"the parameter {name} names a file that does not exist: {parameters[name]}")
