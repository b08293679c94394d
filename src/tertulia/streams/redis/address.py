"""Check REDIS_URL without connecting, for errors that the client would report only when it is used."""

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from redis.exceptions import RedisClusterException, RedisError

from tertulia.redis_client import connect_redis, is_cluster, node_addresses

EXPECTED = "must be redis://USER:PASSWORD@HOST:PORT/NUMBER, rediss://... for TLS, or unix://PATH?db=NUMBER"
EXPECTED_CLUSTER = (
    "the address of a Redis Cluster must be redis+cluster://USER:PASSWORD@HOST:PORT,HOST:PORT or rediss+cluster://..."
)
ENCODE = "in the password, write / ? # as %2F %3F %23"
FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


def check_redis_address(url: str) -> None:
    """Raise ValueError for an address that cannot be used. The message has one line, without the password."""
    for address in node_addresses(url):
        _check(address, EXPECTED_CLUSTER if is_cluster(url) else EXPECTED)
    if is_cluster(url):
        _check_cluster(url)


def _check_cluster(url: str) -> None:
    if not url.startswith(("redis+", "rediss+")):
        raise ValueError(EXPECTED_CLUSTER)
    try:
        connect_redis(url)
    except TypeError as error:
        raise ValueError(f"the parameter {_argument(error)} is not supported for a cluster") from None
    except RedisClusterException:
        raise ValueError("a Redis Cluster has only the database 0") from None


def _check(url: str, expected: str) -> None:
    """Check the address of one server."""
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError(expected)
    try:
        parts = urlsplit(url)
        parameters = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        pool = connect_redis(url).connection_pool
        pool.connection_class(**pool.connection_kwargs)
    except TypeError as error:
        name = _argument(error)
        needs = "; ssl_... requires rediss://" if name.startswith("ssl_") else ""
        raise ValueError(f"the parameter {name} is not supported{needs}") from None
    except (ValueError, RedisError) as error:
        # Both libraries quote values that they cannot parse, and that may contain the password.
        option = re.search(r"Invalid value for '(\w+)'", str(error))
        raise ValueError(
            f"the parameter {option[1]} has an invalid value" if option else f"{expected}; {ENCODE}"
        ) from None
    if parts.scheme == "unix":
        if parts.path in ("", "/"):
            raise ValueError(expected)
    elif not parts.hostname or parts.fragment or not re.fullmatch(r"/?|/[0-9]{1,9}", parts.path):
        raise ValueError(f"{expected}; {ENCODE}")
    for name in FILES:
        if name in parameters and not Path(parameters[name]).is_file():
            raise ValueError(f"the parameter {name} names a file that does not exist: {parameters[name]}")


def _argument(error: TypeError) -> str:
    argument = re.search(r"argument '(\w+)'", str(error))
    return argument[1] if argument else "after ?"
