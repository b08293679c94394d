"""The parser of DATABASE_URL: SQLite files, and PostgreSQL addresses with libpq's parameters for asyncpg.

Source of the parameters: PostgreSQL's documentation, "Connection Strings" and "Parameter Key Words" of libpq.
"""

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

SQLITE, POSTGRESQL = "sqlite+aiosqlite", "postgresql+asyncpg"
EXPECTED = "must be sqlite+aiosqlite:///FILE or postgresql+asyncpg://USER:PASSWORD@HOST/NAME"
ENCODE = "encode @ : / ? # % in the user name and the password as %40 %3A %2F %3F %23 %25"
PORT, LAST_PORT = 5432, 65_535
# Characters of a password that should be percent-encoded are accepted as they are if the address is not ambiguous.
_AUTHORITY = re.compile(
    r"(?:(?P<user>[^:@/?]*)(?::(?P<password>.*?))?@)?(?P<hosts>[^/?@]*)(?:/(?P<name>[^?@]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^:\[\]]*)(?::(?P<port>[0-9]{1,5}))?")
_CHOICES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "ssl": ("true", "false", "disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer"),
    "client_encoding": ("utf8", "UTF8", "auto"),
}
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")
_BY_ASYNCPG = (
    *("sslmode", *_FILES, "sslpassword", "sslnegotiation", "target_session_attrs", "krbsrvname", "gsslib"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version"),
)
"""Parameters that asyncpg itself reads from a DSN, with libpq's meaning."""
_SETTINGS = ("application_name", "options")
_NUMBERS = ("connect_timeout", "statement_cache_size", "prepared_statement_cache_size")
_CONNECTION_PARTS = ("host", "port", "user", "password", "dbname", "database")
_KEEPALIVES = ("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout")
KNOWN_PARAMETERS = frozenset(
    (*_CHOICES, *_BY_ASYNCPG, *_SETTINGS, *_NUMBERS, *_CONNECTION_PARTS, *_KEEPALIVES, "fallback_application_name")
)
SYSTEM = "system"
"""The value of `sslrootcert` that selects the certificate authorities of the operating system."""


@dataclass(frozen=True, slots=True)
class Address:
    """A database URL, and the parameters from which the arguments of the driver are built."""

    url: URL
    parameters: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def without_password(self) -> str:
        """The address without its passwords, for messages."""
        return self.url.render_as_string(hide_password=True)

    def render(self) -> str:
        """Return the complete address, with its password. `read_address` parses it again."""
        return self.url.update_query_dict(self.parameters).render_as_string(hide_password=False)

    def arguments(self, patience: float) -> dict[str, Any]:
        """Return the arguments of `asyncpg.connect`.

        Args:
            patience: The timeout for connecting in seconds, if the address sets no `connect_timeout`.
        """
        parameters = self.parameters
        names = {"application_name": parameters.get("fallback_application_name") or "tertulia"}
        arguments: dict[str, Any] = {
            "timeout": float(parameters.get("connect_timeout", 0)) or patience,
            "server_settings": names | {name: parameters[name] for name in _SETTINGS if parameters.get(name)},
        }
        arguments |= {name: int(parameters[name]) for name in _NUMBERS[1:] if name in parameters}
        context = _verifying_context(parameters)
        if context is not None:
            arguments["ssl"] = context
        passed = {name: parameters[name] for name in _BY_ASYNCPG if name in parameters and parameters[name] != SYSTEM}
        if passed:
            arguments["dsn"] = f"postgresql:///?{urlencode(passed)}"
        return arguments


def read_address(text: str) -> Address:
    """Parse an address.

    Raises:
        ValueError: The address is not valid. The message is one line and never contains a password.
    """
    scheme, separator, rest = text.strip().partition("://")
    if separator and scheme in ("sqlite", SQLITE):
        return _read_sqlite(rest)
    if separator and scheme in ("postgres", "postgresql", POSTGRESQL):
        return _read_postgresql(rest)
    if separator and re.fullmatch(r"(postgres(ql)?|sqlite)\+[a-z0-9_]+", scheme):
        driver = SQLITE if scheme.startswith("sqlite") else POSTGRESQL
        raise ValueError(f"{EXPECTED}; the driver must be {driver.partition('+')[2]}")
    raise ValueError(EXPECTED)


def _read_sqlite(rest: str) -> Address:
    path, _, query = rest.partition("?")
    if not path.startswith("/") or path in ("/", "/:memory:") or query:
        raise ValueError("must be sqlite+aiosqlite:///FILE, with no parameters; an absolute path has four slashes")
    return Address(make_url(f"{SQLITE}://{path}"))


def _read_postgresql(rest: str) -> Address:
    authority = _AUTHORITY.fullmatch(rest)
    if authority is None:
        raise ValueError(f"{EXPECTED}; {ENCODE}")
    try:
        pairs = parse_qsl(authority["query"] or "", keep_blank_values=True, strict_parsing=bool(authority["query"]))
    except ValueError:
        raise ValueError("parameters after ? must be NAME=VALUE&NAME=VALUE") from None
    parameters: dict[str, str] = {}
    hosts: list[str] = []
    for name, value in pairs:
        if name == "host":
            hosts += value.split(",")
        elif parameters.setdefault(name, value) != value:
            raise ValueError(f"the parameter {name} is set twice, with different values")
    _check(parameters)
    connection_parts = {name: parameters.pop(name) for name in _CONNECTION_PARTS if name in parameters}
    name = unquote(authority["name"] or "") or connection_parts.get("dbname") or connection_parts.get("database")
    if not name:
        raise ValueError(f"{EXPECTED}; the NAME of the database is missing, or {ENCODE}")
    url = URL.create(
        POSTGRESQL,
        username=unquote(authority["user"] or "") or connection_parts.get("user"),
        password=unquote(authority["password"] or "") or connection_parts.get("password"),
        database=name,
    )
    return Address(
        _with_hosts(url, hosts or authority["hosts"].split(","), connection_parts.get("port")), _normalized(parameters)
    )


def _with_hosts(url: URL, hosts: list[str], port: str | None) -> URL:
    """Return the URL with the hosts. SQLAlchemy expects a socket folder or several hosts as parameters."""
    addresses: list[tuple[str, int]] = []
    for entry in hosts:
        text = unquote(entry)
        host_match = None if text.startswith("/") else _HOST.fullmatch(text)
        if host_match is None and not text.startswith("/"):
            raise ValueError(f"{EXPECTED}; HOST:PORT is not valid, or {ENCODE}")
        number = (host_match["port"] if host_match else None) or port or str(PORT)
        if not number.isdecimal() or not 0 < int(number) <= LAST_PORT:
            raise ValueError(f"the port must be a number from 1 to {LAST_PORT}")
        addresses.append((host_match["host"].strip("[]") if host_match else text, int(number)))
    if len(addresses) > 1:
        if any(":" in host or not host for host, _ in addresses):
            raise ValueError("several hosts must be written as HOST:PORT,HOST:PORT")
        return url.update_query_dict({"host": [f"{host}:{number}" for host, number in addresses]})
    host, number = addresses[0]
    if host.startswith("/"):
        return url.set(port=number).update_query_dict({"host": host})
    return url.set(host=host, port=number) if host else url


def _check(parameters: dict[str, str]) -> None:
    """Raise ValueError for an unknown parameter, or a value that it does not accept."""
    for name, value in parameters.items():
        if name not in KNOWN_PARAMETERS:
            raise ValueError(f"the parameter {name[:100]} is not supported; remove it")
        if name in _CHOICES and value not in _CHOICES[name]:
            raise ValueError(f"the parameter {name} must be one of {', '.join(_CHOICES[name])}")
        if name in _NUMBERS and not value.isdecimal():
            raise ValueError(f"the parameter {name} must be a whole number")
        if name in ("ssl_min_protocol_version", "ssl_max_protocol_version") and value not in ("TLSv1.2", "TLSv1.3"):
            raise ValueError(f"the parameter {name} must be TLSv1.2 or TLSv1.3")
        if name in _FILES and not (name == "sslrootcert" and value == SYSTEM) and not Path(value).is_file():
            raise ValueError(f"the parameter {name} names a file that does not exist: {value}")


def _normalized(parameters: dict[str, str]) -> dict[str, str]:
    """Return the parameters with `sslmode` instead of `ssl`, as strict as the other parameters require."""
    mode = parameters.pop("ssl", None)
    if mode is not None:
        parameters.setdefault("sslmode", {"true": "require", "false": "disable"}.get(mode, mode))
    if parameters.get("channel_binding") == "require" or parameters.get("sslrootcert") == SYSTEM:
        # asyncpg has no channel binding. Verifying the certificate and the host name prevents the same attacks.
        parameters["sslmode"] = "verify-full"
    if parameters.get("sslmode") == "verify-ca" and "sslrootcert" not in parameters and not _default_roots().is_file():
        raise ValueError("sslmode=verify-ca requires sslrootcert=FILE with the certificate of the authority")
    return parameters


def _default_roots() -> Path:
    return Path("~/.postgresql/root.crt").expanduser()


def _verifying_context(parameters: dict[str, str]) -> ssl.SSLContext | None:
    """Return a context that trusts the system's authorities, or None if asyncpg can apply the parameters itself."""
    roots = parameters.get("sslrootcert", SYSTEM)
    if parameters.get("sslmode") != "verify-full" or roots != SYSTEM:
        return None
    if "sslrootcert" not in parameters and _default_roots().is_file():
        return None
    context = ssl.create_default_context()
    if "sslcert" in parameters:
        context.load_cert_chain(parameters["sslcert"], parameters.get("sslkey"), parameters.get("sslpassword"))
    return context


def show_address(text: str) -> str:
    """Return an address without its passwords, for messages; "the database" if it cannot be parsed."""
    try:
        return read_address(text).without_password
    except (ValueError, ArgumentError):
        return "the database"
